//! What uploads may take, and how often keys may be used.

use serde::{Deserialize, Serialize};

/// What unfinished uploads may take, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// Hours without a byte after which one is forgotten.
    pub expire_hours: u64,
    /// MiB that all of them together may be announced with; 0 is no limit.
    pub max_mib: u64,
    /// MiB of the disk that they leave free.
    pub spare_mib: u64,
}

/// How often a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests in that time; 0 is no limit.
    pub requests: u64,
    /// Seconds.
    pub per_seconds: u64,
}
