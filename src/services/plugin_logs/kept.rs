//! The last lines of one plugin, as many as there is room for.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config;
use crate::model::log_line::{LogLevel, LogLine};

/// The lines, the oldest first.
pub(super) struct Kept {
    lines: VecDeque<Arc<LogLine>>,
    bytes: usize,
    /// Lines up to this place are not kept any more.
    lost_to: i64,
    said: [u64; LogLevel::ALL.len()],
}

impl Kept {
    /// None yet; what was said before `born` is lost.
    pub(super) fn new(born: i64) -> Self {
        Kept { lines: VecDeque::new(), bytes: 0, lost_to: born, said: [0; LogLevel::ALL.len()] }
    }

    pub(super) fn push(&mut self, line: Arc<LogLine>, keep: config::Logs) {
        self.said[line.level as usize] += 1;
        self.bytes += line.weight();
        self.lines.push_back(line);
        let most = keep.kib.saturating_mul(1024);
        while self.lines.len() > keep.lines || self.bytes > most && self.lines.len() > 1 {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.weight();
            self.lost_to = oldest.id;
        }
    }

    /// The lines behind a place, the oldest first.
    pub(super) fn after(&self, place: i64) -> impl DoubleEndedIterator<Item = &Arc<LogLine>> {
        let first = self.lines.partition_point(|it| it.id <= place);
        self.lines.range(first..)
    }

    /// Whether lines behind a place are not kept any more.
    pub(super) fn has_lost_after(&self, place: i64) -> bool {
        place < self.lost_to
    }

    /// Lines by level, from debug to error, since the start.
    pub(super) fn said(&self) -> [u64; LogLevel::ALL.len()] {
        self.said
    }
}
