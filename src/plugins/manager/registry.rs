//! What the manager keeps across restarts: rows, configs, and who changed them.

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::error::Result;
use crate::model::plugin::{ConfigRow, PluginRow};

/// An administrative act, for the audit log.
#[derive(Debug, Clone)]
pub struct Act {
    /// Who: a key's id, `server`, ….
    pub by: String,
    /// What, such as `plugin.enable`.
    pub action: &'static str,
    /// Which plugin.
    pub plugin: String,
    /// Anything else; never a secret.
    pub detail: Value,
}

/// Keeps plugins; each change and its audit row are one transaction.
pub trait Registry: Send + Sync + 'static {
    /// Every plugin with its stored config.
    fn all(&self) -> BoxFuture<'_, Result<Vec<(PluginRow, Vec<ConfigRow>)>>>;
    /// Stores a row (a new one has the id 0) and answers it as it is stored now.
    fn save(&self, row: PluginRow, act: Option<Act>) -> BoxFuture<'_, Result<PluginRow>>;
    /// Unregisters a plugin and drops its config; a purge drops what its scripts kept, too.
    fn forget(&self, row: PluginRow, purge: bool, act: Act) -> BoxFuture<'_, Result<PluginRow>>;
    /// Adds a config value.
    fn add_config(
        &self,
        plugin_id: i64,
        key: String,
        value: Value,
        act: Act,
    ) -> BoxFuture<'_, Result<ConfigRow>>;
    /// Changes a config value.
    fn set_config(&self, plugin_id: i64, id: i64, value: Value, act: Act)
    -> BoxFuture<'_, Result<ConfigRow>>;
    /// Drops a config value.
    fn drop_config(&self, plugin_id: i64, id: i64, act: Act) -> BoxFuture<'_, Result<()>>;
}
