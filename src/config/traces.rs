//! What is recorded of calls into plugins, and how much of it is kept.

use serde::{Deserialize, Serialize};

/// The flight recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// Whether calls are recorded at all.
    pub enabled: bool,
    /// Calls of each hook of a plugin that are held in memory.
    pub last: usize,
    /// KiB that one recorded call may hold of what the host answered it.
    pub call_kib: usize,
    /// Failures and refusals of one plugin that are stored in a second; 0 is no limit.
    pub failures_per_second: u64,
    /// Samples of one plugin that are stored in a second; 0 is no limit.
    pub samples_per_second: u64,
    /// Recorded calls of one plugin that are kept; 0 is no limit.
    pub per_plugin: u64,
    /// MiB of recorded calls that are kept; 0 is no limit.
    pub mib: u64,
    /// Days for which recorded calls are kept; 0 is for ever.
    pub days: u64,
}
