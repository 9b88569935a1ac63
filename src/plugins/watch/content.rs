//! What a plugin's folder holds, to tell whether that is anything new.

use std::path::PathBuf;
use std::sync::Arc;

use crate::plugins::discovery;

/// What is to be found under a plugin's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// No folder.
    Missing,
    /// A folder whose sources have this hash.
    Files(Arc<str>),
    /// A folder that cannot be taken for a plugin, and why.
    Unfit(String),
}

impl Content {
    /// The hash of the files, where there are any.
    pub(super) fn hash(&self) -> Option<Arc<str>> {
        match self {
            Content::Files(hash) => Some(Arc::clone(hash)),
            Content::Missing | Content::Unfit(_) => None,
        }
    }

    /// Reads it.
    pub(super) fn of(roots: &[PathBuf], name: &str) -> Self {
        match discovery::folder_of(roots, name) {
            None => Content::Missing,
            Some(folder) => match discovery::snapshot(&folder) {
                Ok(snapshot) => Content::Files(snapshot.hash),
                Err(fault) => Content::Unfit(fault.to_string()),
            },
        }
    }
}
