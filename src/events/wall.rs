//! Notices when the wall clock jumps: by how much it left the monotonic one behind.

use std::time::Instant;

use crate::clock::SharedClock;

/// So many microseconds are a jump; less is drift.
const JUMP_US: i64 = 2_000_000;

/// Both clocks at one moment.
pub(super) struct Wall {
    wall_us: i64,
    at: Instant,
}

impl Wall {
    pub(super) fn new(clock: &SharedClock) -> Self {
        Wall { wall_us: clock.now_us(), at: Instant::now() }
    }

    /// Microseconds by which the wall clock jumped since the last time this was asked; negative = back.
    pub(super) fn jumped(&mut self, clock: &SharedClock) -> Option<i64> {
        if !clock.may_be_set() {
            return None;
        }
        let passed = i64::try_from(self.at.elapsed().as_micros()).unwrap_or(i64::MAX);
        let by = clock.now_us().saturating_sub(self.wall_us).saturating_sub(passed);
        *self = Wall::new(clock);
        (by.abs() >= JUMP_US).then_some(by)
    }
}
