//! A fresh VM of a plugin, from its files to its first answer.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::hooks::{CallFailure, Reply};

use super::LuaHost;
use super::actor::Actor;
use super::context::{ApiContext, CurrentCall};
use super::exports::NoExports;
use super::generation::PluginSource;
use super::recorder::Origin;
use super::registry::Registry;
use super::replay::Replay;
use super::require::Modules;
use super::secrets::Secrets;
use super::strand::{Done, Failed, Job};
use super::waiting::Waiting;

/// What came of a call, once it has ended or its VM is gone.
pub(super) async fn reply_of(
    answer: oneshot::Receiver<Result<Done, Failed>>,
    generation: u64,
) -> Result<Reply, CallFailure> {
    reply(answer.await, generation)
}

fn reply(
    answer: Result<Result<Done, Failed>, oneshot::error::RecvError>,
    generation: u64,
) -> Result<Reply, CallFailure> {
    match answer {
        Ok(Ok(Done::Hook(reply))) => Ok(reply),
        Ok(Ok(Done::Value(_, effects))) => Ok(Reply { effects, generation, ..Reply::default() }),
        Ok(Err(failed)) => Err(*failed),
        Err(_) => Err(CallFailure {
            outcome: crate::model::call::Outcome::Skipped,
            fault: crate::error::ScriptFault {
                outcome: "skipped".to_owned(),
                message: "the plugin was unloaded".to_owned(),
                ..Default::default()
            },
            generation,
        }),
    }
}

/// The same of `vm`, once all that it subscribed to is known: what it publishes is for these, too.
pub(super) async fn reply_once_known(
    answer: oneshot::Receiver<Result<Done, Failed>>,
    vm: &ArcSwap<Actor>,
    generation: u64,
) -> Result<Reply, CallFailure> {
    let reply = reply(answer.await, generation)?;
    let known = vm.load().context.registry.known.wait();
    if let Some(known) = known {
        known.await;
    }
    Ok(reply)
}

/// What a VM of `source` is given; `replay` answers it when it is only to run a recorded call again.
pub(super) fn context(
    host: &LuaHost,
    source: &PluginSource,
    config: Arc<Value>,
    replay: Option<Arc<Replay>>,
) -> Arc<ApiContext> {
    // What is run again takes nothing of what the plugin may have, and nobody is told of it.
    let lives = replay.is_none();
    let quotas = if lives { host.quotas(&source.name) } else { Arc::default() };
    let secrets = Arc::new(Secrets::new(Arc::clone(&source.secret_keys), &config));
    let services = host.services();
    let log = services.plugin_logs.of(&source.name);
    if lives {
        log.limit(source.limits.log_per_s, source.limits.log_burst);
    }
    let origin = lives.then(|| Origin::of(source, &secrets, &config, &services.traces)).flatten();
    Arc::new(ApiContext {
        plugin: Arc::clone(&source.name),
        generation: source.generation,
        version: source.version.clone(),
        secrets,
        config,
        permissions: source.permissions.clone(),
        requested: source.requested.clone(),
        limits: source.limits,
        services,
        clock: host.clock(),
        runtime: host.runtime().clone(),
        registry: Registry::default(),
        log,
        emit_rate: quotas.emits(&source.limits),
        emit_bytes: quotas.emit_bytes(&source.limits),
        quotas,
        resolver: host.resolver(),
        learning: source.learn.then(|| if lives { host.learned(&source.name) } else { Arc::default() }),
        dependencies: Arc::clone(&source.dependencies),
        tallies: if lives { host.tallies(&source.name) } else { Arc::default() },
        exports: if lives { host.exports() } else { Arc::new(NoExports) },
        denied: if lives { host.denied() } else { Arc::new(|_| {}) },
        origin,
        stand_in: if lives { host.stand_in() } else { None },
        examiner: host.examiner(),
        replay,
        current: CurrentCall::default(),
    })
}

/// A VM of `source`; with its chunk run, or empty for `task.run`.
pub(super) async fn start(
    host: &LuaHost,
    source: &PluginSource,
    config: Arc<Value>,
    with_chunk: bool,
) -> Result<Arc<Actor>, CallFailure> {
    let context = context(host, source, config, None);
    let modules = Modules::new(Arc::clone(&source.files), host.library());
    let actor = Actor::new(context, host.pool(), host.shared(), modules);
    let (waiting, answer) = Waiting::of(None);
    actor.start(Job::Load { entry: with_chunk.then(|| source.entry.clone()), waiting });
    match reply_of(answer, source.generation).await {
        Ok(_) => Ok(actor),
        Err(failure) => {
            actor.close();
            Err(failure)
        }
    }
}
