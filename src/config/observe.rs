//! What is kept of plugins' lines, and how their health is asked for.

use serde::{Deserialize, Serialize};

/// The lines of each plugin that are held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// So many last lines.
    pub lines: usize,
    /// KiB they may take together.
    pub kib: usize,
    /// Lines a second the server may write about one plugin.
    pub server_per_s: u64,
    /// Such lines at once.
    pub server_burst: u64,
    /// KiB of lines that are held while nobody reads stderr.
    pub buffer_kib: usize,
}

/// How plugins are asked for their health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Seconds between two questions.
    pub every_s: u64,
    /// Milliseconds an answer may take.
    pub timeout_ms: u64,
    /// Last answers of each plugin that are kept.
    pub history: usize,
}
