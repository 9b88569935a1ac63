//! What the manager needs of the script host: to load a plugin's files, and to hold what came of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::hooks::{CallFailure, CallFuture, HookCall, HookHandler, Offer, Registration, Subscription};
use crate::lua::quota::Quotas;
use crate::lua::replay::{Replayed, Tried};
use crate::lua::{Generation, GenerationStats, LuaHost, PluginSource};
use crate::model::tally::HostTallies;
use crate::model::trace::Trace;

/// Loads plugins.
pub trait ScriptHost: Send + Sync + 'static {
    /// Runs a plugin's chunk; what it registers is in the answer.
    fn load(&self, source: PluginSource) -> BoxFuture<'static, Result<Arc<dyn Script>, CallFailure>>;
    /// Runs a plugin's chunk and throws it away again; nothing of it is kept, and nothing reaches the world.
    fn try_out(&self, source: PluginSource) -> BoxFuture<'static, Result<Tried, CallFailure>>;
    /// Runs a recorded call again on the files of `source`, in a VM that is thrown away.
    fn replay(&self, _source: PluginSource, _trace: Arc<Trace>) -> BoxFuture<'static, Replayed> {
        Box::pin(std::future::ready(Replayed::default()))
    }
    /// The lines of a manifest that ask for what a plugin was seen to need.
    fn learned(&self, _plugin: &Arc<str>) -> String {
        String::new()
    }
    /// What the host counts of a plugin.
    fn tallies(&self, _plugin: &Arc<str>) -> Arc<HostTallies> {
        Arc::default()
    }
    /// VMs that were given up because nothing stopped their script.
    fn stuck(&self) -> usize {
        0
    }
    /// What a plugin has of what is counted.
    fn quotas(&self, _plugin: &Arc<str>) -> Arc<Quotas> {
        Arc::default()
    }
}

/// A loaded generation, as the manager holds it.
pub trait Script: Send + Sync + 'static {
    /// Its hooks.
    fn registrations(&self) -> Vec<Registration>;
    /// Its event subscriptions of this moment.
    fn subscriptions(&self) -> Vec<Subscription>;
    /// What it offers besides.
    fn offers(&self) -> Vec<Offer> {
        Vec::new()
    }
    /// Calls one of its functions.
    fn call(&self, call: HookCall) -> CallFuture<'_>;
    /// Deliveries of events it takes at once; none = as many as the server's limit says.
    fn at_once(&self) -> Option<usize> {
        None
    }
    /// Whether so many calls wait for it that one more is better sent away.
    fn is_crowded(&self) -> bool {
        false
    }
    /// One was sent away.
    fn sent_away(&self) {}
    /// Hands it a new config, before `on_config_changed`.
    fn set_config(&self, config: Arc<Value>);
    /// What it uses.
    fn usage(&self) -> GenerationStats;
    /// The number of the last change of its subscriptions.
    fn change(&self) -> u64 {
        0
    }
    /// Ends when its subscriptions have changed after `change`; the number of that change.
    fn changed(&self, change: u64) -> BoxFuture<'static, u64>;
    /// Whoever tells of events knows its subscriptions as they were after `change`; none = nobody looks any longer.
    fn know(&self, _change: Option<u64>) {}
    /// Lets calls under way finish for `drain`, then cancels them and drops the VMs.
    fn retire(&self, drain: Duration) -> BoxFuture<'static, ()>;
}

impl ScriptHost for LuaHost {
    fn load(&self, source: PluginSource) -> BoxFuture<'static, Result<Arc<dyn Script>, CallFailure>> {
        let host = self.clone();
        Box::pin(async move {
            let generation = LuaHost::load(&host, source).await?;
            Ok(Arc::new(Loaded(generation)) as Arc<dyn Script>)
        })
    }

    fn try_out(&self, source: PluginSource) -> BoxFuture<'static, Result<Tried, CallFailure>> {
        let host = self.clone();
        Box::pin(async move { LuaHost::try_out(&host, source).await })
    }

    fn replay(&self, source: PluginSource, trace: Arc<Trace>) -> BoxFuture<'static, Replayed> {
        let host = self.clone();
        Box::pin(async move { LuaHost::replay(&host, source, &trace).await })
    }

    fn learned(&self, plugin: &Arc<str>) -> String {
        LuaHost::learned(self, plugin).lines()
    }

    fn tallies(&self, plugin: &Arc<str>) -> Arc<HostTallies> {
        LuaHost::tallies(self, plugin)
    }

    fn stuck(&self) -> usize {
        LuaHost::stuck(self)
    }

    fn quotas(&self, plugin: &Arc<str>) -> Arc<Quotas> {
        LuaHost::quotas(self, plugin)
    }
}

/// A generation of the Lua host.
struct Loaded(Arc<Generation>);

impl Script for Loaded {
    fn registrations(&self) -> Vec<Registration> {
        self.0.registrations()
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        self.0.subscriptions()
    }

    fn offers(&self) -> Vec<Offer> {
        self.0.offers()
    }

    fn at_once(&self) -> Option<usize> {
        HookHandler::at_once(&*self.0)
    }

    fn is_crowded(&self) -> bool {
        HookHandler::is_crowded(&*self.0)
    }

    fn sent_away(&self) {
        HookHandler::sent_away(&*self.0);
    }

    fn call(&self, call: HookCall) -> CallFuture<'_> {
        self.0.call(call)
    }

    fn set_config(&self, config: Arc<Value>) {
        self.0.set_config(config);
    }

    fn usage(&self) -> GenerationStats {
        self.0.stats()
    }

    fn change(&self) -> u64 {
        self.0.change()
    }

    fn changed(&self, change: u64) -> BoxFuture<'static, u64> {
        Box::pin(self.0.changed(change))
    }

    fn know(&self, change: Option<u64>) {
        self.0.know(change);
    }

    fn retire(&self, drain: Duration) -> BoxFuture<'static, ()> {
        let generation = Arc::clone(&self.0);
        Box::pin(async move { generation.retire(drain).await })
    }
}
