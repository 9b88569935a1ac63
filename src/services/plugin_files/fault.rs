//! Why something could not be done with a file.

use std::io::{Error, ErrorKind};

/// Why something could not be done with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// There is nothing.
    #[error("there is no `{0}`")]
    NotFound(String),
    /// The path leads out of its folder, or the system does not let the server in.
    #[error("`{0}` leads out of its folder, or may not be opened")]
    Denied(String),
    /// More than the plugin may keep, or than one call answers.
    #[error("{0}")]
    Limit(String),
    /// The disk is full.
    #[error("the disk is full; nothing was changed")]
    DiskFull,
    /// It is no file, or not one that can be used so.
    #[error("{0}")]
    Wrong(String),
}

impl FileFault {
    /// Its stable name for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            FileFault::NotFound(_) => "not_found",
            FileFault::Denied(_) => "denied",
            FileFault::Limit(_) => "limit",
            FileFault::DiskFull => "disk_full",
            FileFault::Wrong(_) => "file",
        }
    }

    /// What a failure of the file system means to whoever asked for `path`.
    pub(super) fn of(path: &str, error: &Error) -> Self {
        let shown = path.escape_debug().to_string();
        match error.kind() {
            ErrorKind::NotFound => FileFault::NotFound(shown),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FileFault::DiskFull,
            // cap-std refuses so what leads out of its folder.
            ErrorKind::PermissionDenied => FileFault::Denied(shown),
            _ => FileFault::Wrong(format!("`{shown}`: {error}")),
        }
    }
}
