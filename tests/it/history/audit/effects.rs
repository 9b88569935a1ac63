//! Keys and events of handlers: once for each acknowledgement, nothing of runs that failed or died.

use std::collections::HashMap;

use super::{Case, Promise};

/// The counter of all that is done, and who was last of each subject.
pub(super) fn check_keys(case: &mut Case<'_>, subscriber: &'static str) {
    let done = case.done(subscriber);
    let value = |key: &str| {
        let value = case.record.kv.get(&(subscriber.to_owned(), key.to_owned()));
        value.and_then(|it| it.as_f64()).unwrap_or_default() as i64
    };
    let mut broken = Vec::new();
    if value("done") != done.len() as i64 {
        broken.push(format!("{subscriber} counted {}, {} are done", value("done"), done.len()));
    }
    let mut last: HashMap<&str, i64> = HashMap::new();
    for it in done {
        if let Some(subject) = &it.subject {
            last.insert(subject, it.n);
        }
    }
    for (subject, n) in last {
        let kept = value(&format!("last:{subject}"));
        if kept != n {
            broken.push(format!("{subscriber} left {kept} behind as the last of {subject}, not {n}"));
        }
    }
    broken.into_iter().for_each(|what| case.breaks(Promise::Effects, what));
}

/// One answer of `echo` for each event it has done, in the order of the subject, and no other.
pub(super) fn check_answers(case: &mut Case<'_>) {
    let mut answers: HashMap<i64, usize> = HashMap::new();
    let mut order: HashMap<&str, i64> = HashMap::new();
    for answer in case.record.events.iter().filter(|it| it.kind == "history.answer") {
        let n = answer.n;
        *answers.entry(n).or_default() += 1;
        let Some(told) = case.told.get(&n).copied() else {
            case.breaks(Promise::Effects, format!("an answer to event {n}, which is not there"));
            continue;
        };
        if answer.causation_id.as_ref() != Some(&told.id) || answer.correlation_id != told.correlation_id {
            case.breaks(Promise::Effects, format!("the answer to event {n} names another cause"));
        }
        if answer.seq < told.seq || answer.subject != told.subject {
            case.breaks(Promise::Effects, format!("the answer to event {n} is out of place"));
        }
        if let Some(subject) = &told.subject
            && order.insert(subject, told.seq).is_some_and(|former| former > told.seq)
        {
            case.breaks(Promise::Order, format!("event {n} of {subject} was answered after a later one"));
        }
    }
    for it in case.done("echo") {
        match answers.remove(&it.n) {
            Some(1) => {}
            count => {
                let count = count.unwrap_or_default();
                case.breaks(Promise::Effects, format!("event {} is done and has {count} answers", it.n));
            }
        }
    }
    for (n, count) in answers {
        case.breaks(Promise::Effects, format!("event {n} is not done and has {count} answers"));
    }
}
