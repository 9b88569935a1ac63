//! Calls from plugin to plugin: the other one is found when it is called, so it may be edited between two calls.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::hooks::{Answer, HookCall, HookHandler, Offer, Target};
use crate::lua::exports::{Exported, Exports};
use crate::model::call::{CallContext, Caller, EXPORT, PluginEffects};

use super::slot::Live;
use super::{Manager, Shared};

/// The plugins' door to each other; opened when there is a manager.
#[derive(Default)]
pub struct Exporter(OnceLock<Weak<Shared>>);

impl Exporter {
    /// From now on the plugins of `manager` can be called.
    pub fn open(&self, manager: &Manager) {
        let _ = self.0.set(Arc::downgrade(&manager.0));
    }
}

impl Exports for Exporter {
    fn call(
        &self,
        from: (&str, u64),
        plugin: &str,
        name: &str,
        arguments: Vec<Value>,
        caller: Caller,
    ) -> BoxFuture<'static, Exported> {
        let manager = self.0.get().and_then(Weak::upgrade).map(Manager);
        // Of two that take over together, the one finds the other already.
        let staged = manager.as_ref().and_then(|it| it.0.staging.beside(from, plugin));
        let (plugin, name) = (plugin.to_owned(), name.to_owned());
        Box::pin(async move {
            match manager {
                Some(manager) => manager.call_export(staged, &plugin, &name, arguments, caller).await,
                None => not_running(&plugin),
            }
        })
    }
}

impl Manager {
    async fn call_export(
        &self,
        staged: Option<Arc<Live>>,
        plugin: &str,
        name: &str,
        arguments: Vec<Value>,
        caller: Caller,
    ) -> Exported {
        let running = || self.named(plugin).and_then(|it| it.live());
        let Some(live) = staged.or_else(running) else { return not_running(plugin) };
        let exports: Vec<_> = live
            .script
            .offers()
            .into_iter()
            .filter_map(|it| match it {
                Offer::Export(it) => Some(it),
                _ => None,
            })
            .collect();
        let Some(wanted) = exports.iter().find(|it| it.name == name) else {
            return Exported::NoFunction(exports.into_iter().map(|it| it.name).collect());
        };
        let call = HookCall {
            target: Target::Slot(wanted.slot),
            payload: Value::Array(arguments).into(),
            deadline: caller.deadline,
            ctx: CallContext::new(EXPORT, caller.clone()).into(),
            asked_at: Instant::now(),
            timeout: None,
            is_question: false,
            then: None,
        };
        match live.handler.call(call).await {
            Ok(reply) => {
                if !reply.effects.is_empty() {
                    let effects =
                        PluginEffects { plugin: Arc::clone(live.handler.plugin()), effects: reply.effects };
                    if let Err(error) = self.0.registry.commit_for(vec![effects], &caller).await {
                        return Exported::Failed("store", error.detail);
                    }
                }
                match reply.answer {
                    Answer::Value(value) => Exported::Value(value),
                    _ => Exported::Value(Value::Null),
                }
            }
            Err(failure) => {
                Exported::Failed(failure.outcome.as_str(), format!("{plugin}.{name}: {}", failure.fault))
            }
        }
    }
}

fn not_running(plugin: &str) -> Exported {
    Exported::Failed("not_running", format!("the plugin '{plugin}' does not run"))
}
