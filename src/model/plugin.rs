//! A plugin as it is registered; what it does at this moment is `plugins::status`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::time::Timestamp;

/// What a plugin is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginState {
    /// A folder without a row: dropped, not registered, or deleted over HTTP.
    Discovered,
    /// Switched off.
    Disabled,
    /// Its chunk is running.
    Loading,
    /// Its hooks are called.
    Running,
    /// It does not load; `last_error` says why.
    Failed,
    /// Its last calls are finishing.
    Draining,
    /// Kept off by the host after repeated harm.
    Quarantined,
    /// Its folder is gone.
    Missing,
    /// Not a Lua plugin.
    Unsupported,
}

impl PluginState {
    /// All of them.
    pub const ALL: &[PluginState] = &[
        PluginState::Discovered,
        PluginState::Disabled,
        PluginState::Loading,
        PluginState::Running,
        PluginState::Failed,
        PluginState::Draining,
        PluginState::Quarantined,
        PluginState::Missing,
        PluginState::Unsupported,
    ];

    /// The state of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        PluginState::ALL.iter().copied().find(|it| it.as_str() == name)
    }

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            PluginState::Discovered => "discovered",
            PluginState::Disabled => "disabled",
            PluginState::Loading => "loading",
            PluginState::Running => "running",
            PluginState::Failed => "failed",
            PluginState::Draining => "draining",
            PluginState::Quarantined => "quarantined",
            PluginState::Missing => "missing",
            PluginState::Unsupported => "unsupported",
        }
    }
}

/// The row of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginRow {
    /// Number in the API.
    pub id: i64,
    /// The folder's name.
    pub name: String,
    /// What people call it.
    pub display_name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Semantic version.
    pub version: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// `lua` runs; others are kept as `unsupported`.
    pub plugin_type: String,
    /// The file that starts it, inside its folder.
    pub entry_point: Option<String>,
    /// Its folder.
    pub install_path: Option<String>,
    /// What was last set over HTTP; none = the manifest decides.
    pub enabled: Option<bool>,
    /// False after DELETE: the folder shows as discovered and does not run.
    pub registered: bool,
    /// Free JSON.
    pub metadata: Map<String, Value>,
    /// When the row was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Counts the changes of the row; the ETag.
    pub version_count: i64,
}

/// What an admin has granted to a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantRow {
    /// The plugin's name.
    pub plugin: String,
    /// As in a manifest: `true` or a list by permission.
    pub permissions: Value,
    /// The hash of what the manifest asked for at that moment.
    pub manifest_hash: String,
    /// Who granted it: a key's id.
    pub granted_by: String,
    /// When (UTC).
    pub granted_at: Timestamp,
}

/// What the text of a sealed value begins with: no JSON does.
pub const SEALED: &str = "sealed:1:";

/// A value of a plugin's config as the database holds it.
#[derive(Clone, PartialEq)]
pub enum StoredValue {
    /// Any JSON.
    Plain(Value),
    /// A secret: text that only the server's key opens.
    Sealed(String),
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoredValue::Plain(_) => "Plain",
            StoredValue::Sealed(_) => "Sealed",
        })
    }
}

/// A row of a plugin's config as the database holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredConfig {
    /// Number in the API.
    pub id: i64,
    /// The key in the plugin's config.
    pub key: String,
    /// The value.
    pub value: StoredValue,
    /// When the row was made (UTC).
    pub created_at: Timestamp,
    /// When it last changed (UTC).
    pub updated_at: Timestamp,
}

/// The row that a sealed value belongs to: it opens nowhere else.
pub fn config_row(plugin_id: i64, key: &str) -> String {
    format!("plugin config {plugin_id} {key}")
}

/// One stored value of a plugin's config, opened.
#[derive(Clone, PartialEq)]
pub struct ConfigRow {
    /// Number in the API.
    pub id: i64,
    /// The key in the plugin's config.
    pub key: String,
    /// Any JSON; null when it could not be opened.
    pub value: Value,
    /// Whether it is stored as a secret.
    pub sealed: bool,
    /// Whether the key that it is sealed with is a former one.
    pub outdated: bool,
    /// Why it could not be opened.
    pub fault: Option<String>,
    /// When the row was made (UTC).
    pub created_at: Timestamp,
    /// When it last changed (UTC).
    pub updated_at: Timestamp,
}
