//! Leaves a plugin alone that keeps being killed, for a while that doubles.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use crate::config;
use crate::model::call::Outcome;

use super::quiet::{Quiet, Stirs};

/// Whether a plugin is called at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is called.
    Closed,
    /// It is left alone.
    Open,
    /// One call tries whether it has recovered.
    HalfOpen,
}

/// The breaker as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct BreakerView {
    /// What it does.
    pub state: BreakerState,
    /// Deadline and memory kills within the window.
    pub kills: usize,
    /// Seconds until the next try, while it is open.
    pub opens_again_in: Option<f64>,
    /// How often it opened without a good call between.
    pub opened: u32,
}

/// Counts kills and decides; one per plugin.
#[derive(Debug)]
pub struct Breaker {
    rule: config::Breaker,
    kills: VecDeque<Instant>,
    until: Option<Instant>,
    probing: bool,
    opened: u32,
}

/// What the breaker says to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Go on.
    Free,
    /// Go on; this call decides whether the breaker closes.
    Probe,
    /// Not now; the time left.
    Shut(Duration),
}

impl Breaker {
    /// A closed breaker.
    pub fn new(rule: config::Breaker) -> Self {
        Breaker { rule, kills: VecDeque::new(), until: None, probing: false, opened: 0 }
    }

    /// Whether a call may pass at `now`.
    pub fn pass(&mut self, now: Instant) -> Pass {
        match self.until {
            None => Pass::Free,
            Some(until) if now < until => Pass::Shut(until - now),
            Some(_) if self.probing => Pass::Shut(Duration::ZERO),
            Some(_) => {
                self.probing = true;
                Pass::Probe
            }
        }
    }

    /// Counts how a call that had passed ended; true when this opened the breaker.
    pub fn note(&mut self, pass: Pass, outcome: Outcome, now: Instant) -> bool {
        let killed = is_kill(outcome);
        if pass == Pass::Probe {
            self.probing = false;
            return match (killed, outcome) {
                (true, _) => self.open(now),
                // The call never ran: the next one tries again.
                (false, Outcome::Skipped) => false,
                (false, _) => {
                    self.reset();
                    false
                }
            };
        }
        if !killed {
            return false;
        }
        self.forget(now);
        self.kills.push_back(now);
        self.until.is_none() && self.kills.len() >= self.rule.kills as usize && self.open(now)
    }

    /// A probe that was dropped before it ended: the next call tries again.
    pub fn abandon(&mut self, pass: Pass) {
        if pass == Pass::Probe {
            self.probing = false;
        }
    }

    /// Closes it and forgets everything.
    pub fn reset(&mut self) {
        *self = Breaker::new(self.rule);
    }

    /// Why it is open and what ends that, for the log.
    pub fn told(&mut self, plugin: &str, now: Instant) -> String {
        let config::Breaker { kills, window_s, .. } = self.rule;
        let left_s = self.view(now).opens_again_in.unwrap_or_default();
        format!(
            "killed too often (breaker.kills: {kills} within {window_s} s): it is left alone for {left_s:.0} s, unless an edit, \
             `panotti reload {plugin}` or POST /api/v1/plugins/{plugin}/breaker/reset ends that"
        )
    }

    /// What the API shows.
    pub fn view(&mut self, now: Instant) -> BreakerView {
        self.forget(now);
        let left = self.until.map(|until| until.saturating_duration_since(now));
        BreakerView {
            state: match left {
                None => BreakerState::Closed,
                Some(Duration::ZERO) => BreakerState::HalfOpen,
                Some(_) => BreakerState::Open,
            },
            kills: self.kills.len(),
            opens_again_in: left.filter(|it| !it.is_zero()).map(|it| it.as_secs_f64()),
            opened: self.opened,
        }
    }

    fn open(&mut self, now: Instant) -> bool {
        let doubled = self.rule.open_s.saturating_mul(1_u64 << self.opened.min(32));
        self.until = Some(now + Duration::from_secs(doubled.min(self.rule.open_max_s)));
        self.opened += 1;
        self.kills.clear();
        true
    }

    fn forget(&mut self, now: Instant) {
        let window = Duration::from_secs(self.rule.window_s);
        while self.kills.front().is_some_and(|it| now.saturating_duration_since(*it) > window) {
            self.kills.pop_front();
        }
    }
}

impl Stirs for Breaker {
    fn stirs(&self) -> bool {
        self.until.is_some()
    }
}

impl Quiet<Breaker> {
    /// See [`Breaker::pass`].
    pub(super) fn pass(&self, now: Instant) -> Pass {
        if self.is_quiet() { Pass::Free } else { self.with(|it| it.pass(now)) }
    }

    /// See [`Breaker::note`].
    pub(super) fn note(&self, pass: Pass, outcome: Outcome, now: Instant) -> bool {
        let is_nothing = pass == Pass::Free && !is_kill(outcome);
        !is_nothing && self.with(|it| it.note(pass, outcome, now))
    }

    /// See [`Breaker::abandon`].
    pub(super) fn abandon(&self, pass: Pass) {
        if pass != Pass::Free {
            self.with(|it| it.abandon(pass));
        }
    }
}

fn is_kill(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Deadline | Outcome::Memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: config::Breaker =
        config::Breaker { kills: 5, window_s: 60, open_s: 30, open_max_s: 3600, slow_request_ms: 500 };

    fn kill(breaker: &mut Breaker, now: Instant) -> bool {
        let pass = breaker.pass(now);
        breaker.note(pass, Outcome::Deadline, now)
    }

    #[test]
    fn the_log_says_for_how_long_by_which_setting_and_what_ends_it() {
        let now = Instant::now();
        let mut breaker = Breaker::new(RULE);
        assert_eq!((0..5).filter(|_| kill(&mut breaker, now)).count(), 1);
        let told = breaker.told("spin", now);
        for part in
            ["breaker.kills: 5 within 60 s", "alone for 30 s", "panotti reload spin", "/spin/breaker/reset"]
        {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn five_kills_within_a_minute_open_it_and_a_good_probe_closes_it() {
        let (mut breaker, start) = (Breaker::new(RULE), Instant::now());
        let at = |s: u64| start + Duration::from_secs(s);
        let opened: Vec<bool> = (0..5).map(|n| kill(&mut breaker, at(n))).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        assert_eq!(breaker.pass(at(10)), Pass::Shut(Duration::from_secs(24)));
        assert_eq!(breaker.pass(at(34)), Pass::Probe);
        assert!(matches!(breaker.pass(at(34)), Pass::Shut(_)), "one probe at a time");
        breaker.note(Pass::Probe, Outcome::Runtime, at(35));
        assert_eq!(breaker.pass(at(35)), Pass::Free);
    }

    #[test]
    fn kills_far_apart_and_errors_do_not_open_it() {
        let (mut breaker, start) = (Breaker::new(RULE), Instant::now());
        for n in 0..20 {
            assert!(!kill(&mut breaker, start + Duration::from_secs(n * 20)));
            assert!(!breaker.note(Pass::Free, Outcome::Runtime, start));
        }
    }

    #[test]
    fn a_bad_probe_doubles_the_time_up_to_the_bound() {
        let (mut breaker, mut now) = (Breaker::new(RULE), Instant::now());
        while !kill(&mut breaker, now) {}
        for expected in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            let Pass::Shut(left) = breaker.pass(now) else { panic!("it should be shut") };
            now += left;
            assert_eq!(breaker.pass(now), Pass::Probe);
            assert!(breaker.note(Pass::Probe, Outcome::Memory, now));
            assert_eq!(breaker.pass(now), Pass::Shut(Duration::from_secs(expected)));
        }
        breaker.reset();
        assert_eq!(breaker.pass(now), Pass::Free);
    }

    #[test]
    fn a_probe_that_was_given_up_lets_the_next_call_try() {
        let (mut breaker, now) = (Breaker::new(RULE), Instant::now());
        while !kill(&mut breaker, now) {}
        let later = now + Duration::from_secs(31);
        let pass = breaker.pass(later);
        breaker.abandon(pass);
        assert_eq!(breaker.pass(later), Pass::Probe);
    }
}
