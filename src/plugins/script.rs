//! What the manager needs of the script host: to load a plugin's files, and to hold what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::config::PluginLimits;
use crate::hooks::{CallFailure, CallFuture, HookCall, Registration, Subscription};
use crate::lua::permission::Permissions;

/// Everything a new generation is made from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The plugin's name.
    pub name: Arc<str>,
    /// The manifest's version.
    pub version: String,
    /// Counts up with every load.
    pub generation: u64,
    /// The file that starts it.
    pub entry: String,
    /// All files, by path.
    pub files: Arc<BTreeMap<String, Arc<[u8]>>>,
    /// The config in force.
    pub config: Arc<Value>,
    /// What it may do.
    pub permissions: Permissions,
    /// What it may use.
    pub limits: PluginLimits,
}

/// What a generation uses at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes its VMs hold.
    pub memory_bytes: u64,
    /// Calls that wait for it.
    pub queued: usize,
    /// Calls that have begun and not ended.
    pub in_flight: usize,
}

/// Loads plugins.
pub trait ScriptHost: Send + Sync + 'static {
    /// Runs a plugin's chunk; what it registers is in the answer.
    fn load(&self, source: Source) -> BoxFuture<'static, Result<Arc<dyn Script>, CallFailure>>;
}

/// A loaded generation.
pub trait Script: Send + Sync + 'static {
    /// Its hooks.
    fn registrations(&self) -> Vec<Registration>;
    /// Its event subscriptions of this moment.
    fn subscriptions(&self) -> Vec<Subscription>;
    /// Calls one of its functions.
    fn call(&self, call: HookCall) -> CallFuture;
    /// Hands it a new config, before `on_config_changed`.
    fn set_config(&self, config: Arc<Value>);
    /// What it uses.
    fn usage(&self) -> Usage;
    /// Ends when its subscriptions have changed.
    fn changed(&self) -> BoxFuture<'static, ()>;
    /// Lets calls under way finish for `drain`, then cancels them and drops the VMs.
    fn retire(&self, drain: Duration) -> BoxFuture<'static, ()>;
}
