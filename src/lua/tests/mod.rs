//! The host as a whole, with plugins given as inline Lua.

mod bound;
mod calls;
mod databases;
mod examples;
mod limits;
mod pairs;
mod replaced;
mod replays;
mod sounds;
mod tasks;
mod wants;
mod zoo;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clock::SystemClock;
use crate::config::PluginLimits;
use crate::hooks::{Answer, CallFailure, Hook, HookCall, Reply, Target};
use crate::model::call::{CallContext, Caller};
use crate::services::testing::World;

use super::{Generation, HostOptions, LuaHost, PluginSource};

/// A host on a runtime of its own.
pub(super) struct Bench {
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) host: LuaHost,
    _world: World,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut HostOptions)) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let world = World::new(runtime.handle(), Arc::new(SystemClock));
        let defaults = HostOptions::new(runtime.handle().clone(), world.services.clone());
        let mut options = HostOptions { threads: 2, ..defaults };
        change(&mut options);
        Bench { host: LuaHost::new(options).unwrap(), runtime, _world: world }
    }

    /// Loads `source` as the only file.
    pub(super) fn load(&self, source: &str) -> Arc<Generation> {
        self.load_with(source, json!({})).unwrap_or_else(|it| panic!("{}: {:?}", it.fault, it.fault))
    }

    pub(super) fn load_with(&self, source: &str, limits: Value) -> Result<Arc<Generation>, CallFailure> {
        self.load_files(&[("init.lua", source)], limits)
    }

    pub(super) fn load_files(
        &self,
        files: &[(&str, &str)],
        limits: Value,
    ) -> Result<Arc<Generation>, CallFailure> {
        self.runtime.block_on(self.host.load(plugin(files, limits)))
    }

    /// Asks the first handler of `hook`.
    pub(super) fn ask(
        &self,
        generation: &Generation,
        hook: Hook,
        payload: Value,
    ) -> Result<Reply, CallFailure> {
        self.runtime.block_on(generation.call(call(generation, hook, payload)))
    }

    /// What a before-hook answered as a patch.
    pub(super) fn patch(&self, generation: &Generation, payload: Value) -> Value {
        match self.ask(generation, Hook::OnClipCaptured, payload) {
            Ok(Reply { answer: Answer::Patch(patch), .. }) => Value::Object(patch),
            other => panic!("no patch: {other:?}"),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.runtime.block_on(self.host.shutdown());
    }
}

/// A plugin of these files.
pub(super) fn plugin(files: &[(&str, &str)], limits: Value) -> PluginSource {
    let files: BTreeMap<String, Arc<[u8]>> =
        files.iter().map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes()))).collect();
    PluginSource {
        name: "quiet".into(),
        version: "1.2.0".into(),
        generation: 7,
        hash: "hash".into(),
        entry: "init.lua".into(),
        files: Arc::new(files),
        config: Arc::new(json!({"from": "22:00"})),
        secret_keys: Arc::default(),
        dependencies: Arc::new([]),
        requested: Default::default(),
        learn: false,
        permissions: Default::default(),
        limits: PluginLimits::default().merged(limits.as_object().unwrap()).unwrap(),
    }
}

/// A call of the first handler of `hook`.
pub(super) fn call(generation: &Generation, hook: Hook, payload: Value) -> HookCall {
    let registrations = generation.registrations();
    let slot = registrations.iter().find(|it| it.hook == hook).expect("a handler").slot;
    HookCall {
        target: Target::Slot(slot),
        payload: payload.into(),
        ctx: CallContext::new(hook.name(), Caller::server()).into(),
        asked_at: Instant::now(),
        timeout: None,
        deadline: None,
        is_question: hook.info().kind == crate::hooks::HookKind::Question,
        then: None,
    }
}

/// Waits until `holds`, which must become true.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never: {what}");
}
