//! The runs: in the order of the journal, one at a time per subject, each with a number of its own.

use std::collections::HashMap;

use super::super::record::Line;
use super::{Case, Promise};

/// What is known of a subject, or of an event without one, while its runs are read.
#[derive(Default)]
struct Lane {
    /// The run that has begun and not ended: number, attempt.
    open: Option<(i64, i64)>,
    /// The last event that began, by its place on the journal.
    seq: i64,
}

pub(super) fn check(case: &mut Case<'_>, subscriber: &'static str) {
    let mut lanes: HashMap<String, Lane> = HashMap::new();
    let mut attempts: HashMap<i64, i64> = HashMap::new();
    let mut ended: HashMap<i64, i64> = HashMap::new();
    let before = done_before(case, subscriber);
    let lines = case.record.runs[subscriber].iter();
    for Line { what, n, attempt, last } in lines {
        let run = format!("{subscriber}, event {n}, attempt {attempt}");
        let Some(told) = case.told.get(n).copied() else {
            case.breaks(Promise::Published, format!("{run}: ran, but is not on the journal"));
            continue;
        };
        let subject = told.subject.clone().unwrap_or_else(|| format!("event {n}"));
        let lane = lanes.entry(subject.clone()).or_default();
        if what != "begin" {
            if lane.open.take() != Some((*n, *attempt)) {
                case.breaks(Promise::Order, format!("{run}: ran beside another run of {subject}"));
            }
            if what == "end" {
                ended.insert(*n, *attempt);
            }
            continue;
        }
        lane.open = Some((*n, *attempt));
        let former = lane.seq;
        lane.seq = told.seq.max(former);
        if told.seq < former {
            case.breaks(Promise::Order, format!("{run}: began after a later event of {subject}"));
        }
        let before = before.get(n).copied().unwrap_or_default();
        if *last != before {
            let what = format!("{run}: saw what event {last} of {subject} left behind, not {before}");
            case.breaks(Promise::Effects, what);
        }
        let former = attempts.insert(*n, *attempt).unwrap_or_default();
        if *attempt <= former {
            case.breaks(Promise::Attempts, format!("{run}: the run before was attempt {former}"));
        }
    }
    for n in case.told.keys().copied().collect::<Vec<_>>() {
        let Some(delivery) = case.deliveries.get(&(subscriber, n)).copied() else { continue };
        let ran = attempts.get(&n).copied().unwrap_or_default();
        if ran > delivery.attempts {
            let counted = delivery.attempts;
            case.breaks(
                Promise::Attempts,
                format!("{subscriber}, event {n}: attempt {ran} ran, {counted} are counted"),
            );
        }
        if delivery.state == "done" && ended.get(&n) != Some(&delivery.attempts) {
            let (last, counted) = (ended.get(&n), delivery.attempts);
            case.breaks(
                Promise::Delivered,
                format!(
                    "{subscriber}, event {n}: done at attempt {counted}, the last that ended is {last:?}"
                ),
            );
        }
    }
}

/// For each event with a subject: the last one before it that is done, whose keys its runs must have seen.
fn done_before(case: &Case<'_>, subscriber: &str) -> HashMap<i64, i64> {
    let mut told: Vec<_> = case.told.values().copied().collect();
    told.sort_by_key(|it| it.seq);
    let mut last: HashMap<&str, i64> = HashMap::new();
    let mut before = HashMap::new();
    for it in told {
        let Some(subject) = &it.subject else { continue };
        before.insert(it.n, last.get(subject.as_str()).copied().unwrap_or_default());
        if case.deliveries.get(&(subscriber, it.n)).is_some_and(|it| it.state == "done") {
            last.insert(subject, it.n);
        }
    }
    before
}
