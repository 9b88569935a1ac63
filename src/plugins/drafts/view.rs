//! Drafts as clients see them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ScriptFault;
use crate::model::time::Timestamp;
use crate::plugins::sources;

use super::{Draft, Files};

/// A draft: what it changes, and what has happened to the plugin's files meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DraftView {
    /// The plugin.
    pub plugin: String,
    /// The hash of the version it was begun on.
    pub base_hash: String,
    /// The hash of the files in the plugin's folder now.
    pub live_hash: String,
    /// What it changes, by path.
    pub files: Vec<DraftFile>,
    /// Files that it changes and that somebody else has changed, too: publishing it is refused.
    pub conflicts: Vec<String>,
    /// Files in the plugin's folder that are not as they were when it was begun.
    pub changed_on_disk: Vec<String>,
    /// When it was begun (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub begun_at: Timestamp,
    /// Who began it.
    pub begun_by: String,
    /// When it was last changed (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: Timestamp,
    /// Who changed it last.
    pub changed_by: String,
}

/// What a draft does to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DraftFile {
    /// Its path in the plugin's folder.
    pub path: String,
    /// What is done to it.
    pub change: DraftChange,
    /// Bytes of its content in the draft; null when it is deleted.
    pub size: Option<u64>,
    /// BLAKE3 of that content.
    pub hash: Option<String>,
    /// What If-Match takes.
    pub etag: Option<String>,
    /// BLAKE3 of the file in the plugin's folder now; null when there is none.
    pub live_hash: Option<String>,
    /// Whether somebody else has changed it since the draft took it up.
    pub conflict: bool,
}

/// What a draft does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DraftChange {
    /// There is none live.
    Added,
    /// The live one is another one.
    Changed,
    /// The live one goes.
    Deleted,
}

/// Whether a draft would load, tried aside: nothing of it went live.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct DraftCheck {
    /// Whether it loads.
    pub ok: bool,
    /// The hash its version would have.
    pub hash: String,
    /// Hooks and patterns of events it would be called for.
    pub hooks: Vec<String>,
    /// Those that the running version is not called for.
    pub hooks_added: Vec<String>,
    /// Those that only the running version is called for.
    pub hooks_removed: Vec<String>,
    /// What is odd about it and does no harm.
    pub warnings: Vec<String>,
    /// Files that it changes and that somebody else has changed, too.
    pub conflicts: Vec<String>,
    /// Why it does not load: file, line, excerpt.
    pub fault: Option<ScriptFault>,
}

impl DraftView {
    /// The draft of `plugin` beside its files now.
    pub fn new(plugin: &str, draft: &Draft, live: &Files, live_hash: &str, own: &Files) -> Self {
        let conflicts = draft.conflicts(live);
        let files = draft.changes.iter().map(|(path, change)| DraftFile {
            path: path.clone(),
            change: match (&change.hash, live.contains_key(path)) {
                (None, _) => DraftChange::Deleted,
                (Some(_), false) => DraftChange::Added,
                (Some(_), true) => DraftChange::Changed,
            },
            size: own.get(path).map(|it| it.len() as u64),
            hash: change.hash.clone(),
            etag: change.hash.as_deref().map(sources::etag),
            live_hash: live.get(path).map(|it| sources::hash(it)),
            conflict: conflicts.contains(path),
        });
        DraftView {
            plugin: plugin.to_owned(),
            base_hash: draft.base_hash.clone(),
            live_hash: live_hash.to_owned(),
            files: files.collect(),
            conflicts,
            changed_on_disk: draft.moved(live),
            begun_at: draft.begun_at,
            begun_by: draft.begun_by.clone(),
            changed_at: draft.changed_at,
            changed_by: draft.changed_by.clone(),
        }
    }
}
