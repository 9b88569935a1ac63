//! The script host of a test: the real one, whose failures are noted for the test.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;

use crate::error::ScriptFault;
use crate::hooks::{CallFailure, CallFuture, HookCall, Offer, Registration, Subscription};
use crate::lua::quota::Quotas;
use crate::lua::replay::{Replayed, Tried};
use crate::lua::stand_in::StandIn;
use crate::lua::{GenerationStats, LuaHost, PluginSource};
use crate::model::call::Outcome;
use crate::model::tally::HostTallies;
use crate::model::trace::Trace;
use crate::plugins::script::{Script, ScriptHost};

/// Loads plugins, and hears how their calls end.
pub(super) struct Watched {
    inner: LuaHost,
    world: StandIn,
    scripts: Mutex<Vec<Weak<dyn Script>>>,
}

impl Watched {
    pub(super) fn new(inner: LuaHost, world: StandIn) -> Self {
        Watched { inner, world, scripts: Mutex::default() }
    }

    /// Tasks and timers that live.
    pub(super) fn tasks(&self) -> usize {
        let scripts = self.scripts.lock();
        scripts.iter().filter_map(Weak::upgrade).map(|it| it.usage().tasks).sum()
    }
}

impl ScriptHost for Arc<Watched> {
    fn load(&self, source: PluginSource) -> BoxFuture<'static, Result<Arc<dyn Script>, CallFailure>> {
        let own = Arc::clone(self);
        let loading = ScriptHost::load(&self.inner, source);
        Box::pin(async move {
            let inner = loading.await?;
            let script: Arc<dyn Script> = Arc::new(WatchedScript { inner, world: own.world.clone() });
            own.scripts.lock().push(Arc::downgrade(&script));
            Ok(script)
        })
    }

    fn try_out(&self, source: PluginSource) -> BoxFuture<'static, Result<Tried, CallFailure>> {
        ScriptHost::try_out(&self.inner, source)
    }

    fn replay(&self, source: PluginSource, trace: Arc<Trace>) -> BoxFuture<'static, Replayed> {
        ScriptHost::replay(&self.inner, source, trace)
    }

    fn learned(&self, plugin: &Arc<str>) -> String {
        ScriptHost::learned(&self.inner, plugin)
    }

    fn tallies(&self, plugin: &Arc<str>) -> Arc<HostTallies> {
        ScriptHost::tallies(&self.inner, plugin)
    }

    fn quotas(&self, plugin: &Arc<str>) -> Arc<Quotas> {
        ScriptHost::quotas(&self.inner, plugin)
    }
}

/// One generation of a plugin that is tested.
struct WatchedScript {
    inner: Arc<dyn Script>,
    world: StandIn,
}

impl Script for WatchedScript {
    fn registrations(&self) -> Vec<Registration> {
        self.inner.registrations()
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        self.inner.subscriptions()
    }

    fn offers(&self) -> Vec<Offer> {
        self.inner.offers()
    }

    fn at_once(&self) -> Option<usize> {
        self.inner.at_once()
    }

    fn call(&self, call: HookCall) -> CallFuture<'_> {
        let (world, hook) = (self.world.clone(), call.ctx.hook);
        let answer = self.inner.call(call);
        Box::pin(async move {
            let answer = answer.await;
            match &answer {
                Err(failure) => {
                    let mut fault = failure.fault.clone();
                    fault.hook.get_or_insert_with(|| hook.to_owned());
                    world.note_fault(fault);
                }
                // A door noted something, and the script went on all the same.
                Ok(reply) if ![Outcome::Ok, Outcome::Refused].contains(&reply.outcome) => {
                    let outcome = reply.outcome.as_str().to_owned();
                    let message = reply.noted.clone().unwrap_or_else(|| format!("it came to `{outcome}`"));
                    let hook = Some(hook.to_owned());
                    world.note_fault(ScriptFault { outcome, hook, message, ..ScriptFault::default() });
                }
                Ok(_) => {}
            }
            answer
        })
    }

    fn set_config(&self, config: Arc<Value>) {
        self.inner.set_config(config);
    }

    fn usage(&self) -> GenerationStats {
        self.inner.usage()
    }

    fn change(&self) -> u64 {
        self.inner.change()
    }

    fn changed(&self, change: u64) -> BoxFuture<'static, u64> {
        self.inner.changed(change)
    }

    fn know(&self, change: Option<u64>) {
        self.inner.know(change);
    }

    fn retire(&self, drain: Duration) -> BoxFuture<'static, ()> {
        self.inner.retire(drain)
    }
}
