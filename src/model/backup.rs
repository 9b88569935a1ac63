//! Backups: what one holds, how far one is, and what can go wrong with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::Timestamp;

/// The form of a backup; a server refuses one of a later form.
pub const FORMAT: u32 = 1;

/// The file that makes a folder a backup; it is written last.
pub const MANIFEST: &str = "backup.json";

/// The server's database in a backup.
pub const DATABASE: &str = "panotti.db";

/// What a backup holds, as its `backup.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup.
    pub format: u32,
    /// Its id.
    pub id: String,
    /// The server that made it.
    pub server_version: String,
    /// The last migration of the database in it.
    pub schema: String,
    /// When it was begun: what was answered before is in it (UTC).
    pub begun_at: Timestamp,
    /// When it was complete (UTC).
    pub ended_at: Timestamp,
    /// Rows of the database by table.
    pub counts: BTreeMap<String, u64>,
    /// Bytes of all files.
    pub bytes: u64,
    /// What could not be taken, and what is not in it.
    pub warnings: Vec<String>,
    /// Every file but this one, by path.
    pub files: Vec<BackupFile>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Where it is in the backup, with `/`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of its bytes in hex.
    pub blake3: String,
}

/// Whether a backup is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupState {
    /// It is being made.
    Running,
    /// It is complete.
    Done,
    /// It broke off; nothing of it is kept.
    Failed,
    /// It lies there and its `backup.json` cannot be read.
    Damaged,
}

/// What is being done for a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupPhase {
    /// The server's database is copied.
    #[default]
    Database,
    /// Recordings, clips and assets are taken.
    Media,
    /// Plugins' own databases are copied.
    PluginDatabases,
    /// Plugins' files and code are copied.
    Plugins,
    /// What was taken is hashed.
    Hashes,
    /// Nothing is left to do.
    Ended,
}

/// A backup below `<data_dir>/backups`, or one that is being made.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Backup {
    /// Its id; the name of its folder.
    pub id: String,
    /// Whether it is complete.
    pub state: BackupState,
    /// What is being done.
    pub phase: BackupPhase,
    /// Bytes copied and hashed so far.
    pub bytes_done: u64,
    /// Bytes that there are to copy and hash, as far as known.
    pub bytes_total: u64,
    /// When it was begun (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub begun_at: Option<Timestamp>,
    /// When it was complete or broke off (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// Why it broke off.
    pub error: Option<String>,
    /// The folder it lies in.
    pub path: String,
    /// Files in it.
    pub files: Option<u64>,
    /// The server that made it.
    pub server_version: Option<String>,
    /// The last migration of the database in it.
    pub schema: Option<String>,
    /// Rows of the database by table.
    pub counts: BTreeMap<String, u64>,
    /// What could not be taken, and what is not in it.
    pub warnings: Vec<String>,
}

/// Why a backup was not made, or not taken back.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// Somebody asked for its end.
    #[error("it was cancelled; nothing of it is kept")]
    Cancelled,
    /// There is no room.
    #[error("the disk is full; nothing of it is kept")]
    DiskFull,
    /// A database cannot be read.
    #[error("{0}")]
    Damaged(String),
    /// Anything else, in words for the admin.
    #[error("{0}")]
    Failed(String),
}

impl BackupFault {
    /// What the system said about a file.
    pub fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Self::DiskFull,
            _ => Self::Failed(format!("{}: {error}", path.display())),
        }
    }
}
