//! How a version of a plugin's files came about.

use serde::Serialize;
use utoipa::ToSchema;

/// Where a version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionOrigin {
    /// The files in the plugin's folder were changed.
    Disk,
    /// A client changed them over HTTP.
    Api,
    /// Somebody went back to a former version.
    Rollback,
    /// The server went back to a former version, for the new one failed too often.
    AutomaticRollback,
}

impl VersionOrigin {
    /// The name of the origin.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Api => "api",
            Self::Rollback => "rollback",
            Self::AutomaticRollback => "automatic_rollback",
        }
    }
}

/// Who made a version, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorship {
    /// Where it came from.
    pub origin: VersionOrigin,
    /// A key's id; `server` for what the server did itself.
    pub author: String,
    /// What its author says of it.
    pub note: Option<String>,
}

impl Authorship {
    /// Files that were changed in the plugin's folder, nobody knows by whom.
    pub fn disk() -> Self {
        Authorship { origin: VersionOrigin::Disk, author: "server".to_owned(), note: None }
    }

    /// A change over HTTP by the key `author`.
    pub fn api(author: &str) -> Self {
        Authorship { origin: VersionOrigin::Api, author: author.to_owned(), note: None }
    }
}
