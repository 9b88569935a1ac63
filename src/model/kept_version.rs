//! The versions of a plugin's files, as they are kept.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::plugin_version::{Authorship, VersionOrigin};
use super::time::Timestamp;

/// A version of a plugin's files that went live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionRow {
    /// The number of its row.
    #[serde(skip)]
    pub id: i64,
    /// The number of its plugin.
    #[serde(skip)]
    pub plugin_id: i64,
    /// Counts the plugin's versions from 1.
    pub number: i64,
    /// BLAKE3 of its files.
    pub hash: String,
    /// The generation it went live as; counts from 1 after each start of the server.
    pub generation: u64,
    /// Where it came from.
    pub origin: VersionOrigin,
    /// A key's id; `server` for what the server did, or found on disk.
    pub author: String,
    /// What its author says of it.
    pub note: Option<String>,
    /// When it went live (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The version whose files these are again.
    pub restores: Option<i64>,
    /// How many files it has.
    pub files: i64,
    /// Their bytes together.
    pub bytes: i64,
    /// That it was gone back from, and why.
    pub rolled_back: Option<RolledBack>,
}

/// A version was gone back from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RolledBack {
    /// When (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why, in words.
    pub why: String,
}

/// One file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionFile {
    /// Path inside the plugin's folder.
    pub path: String,
    /// BLAKE3 of its bytes.
    pub hash: String,
    /// Its bytes.
    pub size: i64,
}

/// A version to keep.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// The number of its plugin.
    pub plugin_id: i64,
    /// BLAKE3 of its files.
    pub hash: Arc<str>,
    /// The generation it goes live as.
    pub generation: u64,
    /// Who made it, and how.
    pub authorship: Authorship,
    /// When it goes live (UTC).
    pub at: Timestamp,
    /// Its files by path.
    pub files: Vec<(String, Arc<Blob>)>,
}

/// The bytes of a file, as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// BLAKE3 of the file.
    pub hash: String,
    /// Bytes of the file.
    pub size: i64,
    /// Whether `bytes` are deflated.
    pub deflated: bool,
    /// The file, or less.
    pub bytes: Vec<u8>,
}
