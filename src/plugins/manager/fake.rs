//! A script host for tests: a script is a list of words, each a hook it registers or a way to fail.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;

use crate::clock::SystemClock;
use crate::config::Settings;
use crate::error::ScriptFault;
use crate::events::{Journal, Replays};
use crate::hooks::{
    Answer, CallFailure, CallFuture, Dispatcher, Hook, HookCall, OnError, Registration, Reply, Subscription,
    Target,
};
use crate::lua::replay::Tried;
use crate::lua::{GenerationStats, HostOptions, LuaHost, PluginSource};
use crate::model::call::Outcome;
use crate::plugins::script::{Script, ScriptHost};
use crate::services::databases;
use crate::services::plugin_files::PluginFiles;
use crate::services::plugin_logs::PluginLogs;
use crate::services::testing::World as Product;
use crate::store::{Store, StoreOptions};

use super::{Manager, Parts};

/// What scripts were asked to do, in order: `plugin.hook` or `plugin.load`.
pub(super) type Log = Arc<Mutex<Vec<String>>>;

/// Plugins that do not load, whatever their files say.
pub(super) type Failing = Arc<Mutex<BTreeSet<String>>>;

#[derive(Default)]
pub(super) struct FakeHost {
    pub(super) log: Log,
    pub(super) failing: Failing,
}

struct FakeScript {
    name: Arc<str>,
    generation: u64,
    hooks: Vec<Hook>,
    fails: Option<String>,
    config: Mutex<Arc<Value>>,
    log: Log,
}

impl ScriptHost for FakeHost {
    fn load(&self, source: PluginSource) -> BoxFuture<'static, Result<Arc<dyn Script>, CallFailure>> {
        let (log, failing) = (Arc::clone(&self.log), Arc::clone(&self.failing));
        Box::pin(async move {
            log.lock().push(format!("{}.load", source.name));
            if failing.lock().contains(&*source.name) {
                return Err(failure(&source.name, "load", Outcome::Syntax));
            }
            let text = String::from_utf8(source.files[&source.entry].to_vec()).unwrap();
            let (mut hooks, mut fails) = (Vec::new(), None);
            for word in text.split_whitespace() {
                match (word, word.strip_prefix("fail:")) {
                    ("syntax", _) => return Err(failure(&source.name, "load", Outcome::Syntax)),
                    ("hang", _) => std::future::pending().await,
                    (_, Some(hook)) => fails = Some(hook.to_owned()),
                    _ => hooks.push(Hook::from_name(word).unwrap()),
                }
            }
            let script = FakeScript {
                name: source.name,
                generation: source.generation,
                config: Mutex::new(source.config),
                hooks,
                fails,
                log,
            };
            Ok(Arc::new(script) as Arc<dyn Script>)
        })
    }

    fn try_out(&self, source: PluginSource) -> BoxFuture<'static, Result<Tried, CallFailure>> {
        let loading = self.load(source);
        Box::pin(async move { loading.await.map(|it| FakeHost::tried(&*it)) })
    }
}

impl FakeHost {
    fn tried(script: &dyn Script) -> Tried {
        Tried { registrations: script.registrations(), subscriptions: script.subscriptions(), asks: None }
    }
}

impl Script for FakeScript {
    fn registrations(&self) -> Vec<Registration> {
        let hooks = self.hooks.iter().zip(0_u32..);
        let registrations = hooks.map(|(hook, slot)| Registration {
            hook: *hook,
            slot,
            priority: 0,
            before: Vec::new(),
            after: Vec::new(),
            timeout: None,
            on_error: OnError::Allow,
            when: None,
        });
        registrations.collect()
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        Vec::new()
    }

    fn call(&self, call: HookCall) -> CallFuture<'_> {
        let Target::Slot(slot) = call.target;
        let hook = self.hooks[slot as usize].name();
        let told = match hook {
            "on_config_changed" => format!("{}.{hook} {}", self.name, self.config.lock()),
            "on_load" => format!("{}.{hook} {}", self.name, call.payload.json()),
            _ => format!("{}.{hook}", self.name),
        };
        self.log.lock().push(told);
        let details = serde_json::json!({ "from": self.generation });
        let answer = match hook {
            "on_unload" => Answer::Health { ok: true, message: None, details },
            _ => Answer::Nothing,
        };
        let result = match self.fails.as_deref() == Some(hook) {
            true => Err(failure(&self.name, hook, Outcome::Runtime)),
            false => Ok(Reply { answer, generation: self.generation, ..Reply::default() }),
        };
        Box::pin(std::future::ready(result))
    }

    fn set_config(&self, config: Arc<Value>) {
        *self.config.lock() = config;
    }

    fn usage(&self) -> GenerationStats {
        GenerationStats::default()
    }

    fn changed(&self, _change: u64) -> BoxFuture<'static, u64> {
        Box::pin(std::future::pending())
    }

    fn retire(&self, _drain: Duration) -> BoxFuture<'static, ()> {
        self.log.lock().push(format!("{}.retire", self.name));
        Box::pin(std::future::ready(()))
    }
}

fn failure(plugin: &str, hook: &str, outcome: Outcome) -> CallFailure {
    let fault = ScriptFault {
        outcome: outcome.as_str().to_owned(),
        hook: Some(hook.to_owned()),
        file: Some("init.lua".to_owned()),
        line: Some(1),
        message: format!("{plugin} is broken"),
        ..ScriptFault::default()
    };
    CallFailure { outcome, fault, generation: 1 }
}

/// A folder of plugins, a database and a manager over both.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) log: Log,
    pub(super) failing: Failing,
    pub(super) manager: Manager,
    pub(super) store: Store,
    /// What the scripts of the real host reach; lives as long as they may.
    _product: Option<Product>,
}

impl World {
    /// Writes files (`plugin/file`, text) and puts a manager over them, not yet started.
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let host = FakeHost::default();
        let (log, failing) = (Arc::clone(&host.log), Arc::clone(&host.failing));
        let mut world = Self::with_host(files, Arc::new(host), log);
        world.failing = failing;
        world
    }

    /// The same over the real Lua host.
    pub(super) fn with_lua(files: &[(&str, &str)]) -> Self {
        let runtime = tokio::runtime::Handle::current();
        let product = Product::new(&runtime, Arc::new(SystemClock));
        let options = HostOptions { threads: 2, ..HostOptions::new(runtime, product.services.clone()) };
        let mut world = Self::with_host(files, Arc::new(LuaHost::new(options).unwrap()), Log::default());
        world._product = Some(product);
        world
    }

    fn with_host(files: &[(&str, &str)], host: Arc<dyn ScriptHost>, log: Log) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = StoreOptions { ballast_bytes: 0, ..StoreOptions::at(folder.path().join("test.db")) };
        let store = Store::open(&store).unwrap();
        let manager = manager(&folder, &store, host);
        let world = World { folder, log, failing: Failing::default(), manager, store, _product: None };
        world.put(files);
        world
    }

    pub(super) fn put(&self, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.folder.path().join("plugins").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    /// The same folders and database under a new manager, as after a restart.
    pub(super) async fn restart(&mut self) {
        let host = FakeHost::default();
        self.log = Arc::clone(&host.log);
        self.manager = manager(&self.folder, &self.store, Arc::new(host));
        self.manager.start().await.unwrap();
    }

    pub(super) fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock())
    }
}

fn manager(folder: &tempfile::TempDir, store: &Store, host: Arc<dyn ScriptHost>) -> Manager {
    let settings = Settings {
        plugin_dirs: vec![folder.path().join("plugins")],
        data_dir: folder.path().to_owned(),
        startup_s: 8,
        ..Settings::default()
    };
    let clock = Arc::new(SystemClock);
    let databases = databases::open(&settings, store, tokio::runtime::Handle::current());
    let files = PluginFiles::new(&settings);
    let logs = PluginLogs::new(settings.logs, clock.clone());
    let dispatcher = Dispatcher::new(Duration::from_secs(3));
    let journal = Journal::new(dispatcher.clone(), clock.clone(), 8);
    Manager::new(Parts {
        settings: Arc::new(settings),
        journal: journal.clone(),
        replays: Replays::new(store.clone(), journal, clock.clone()),
        clock,
        store: store.clone(),
        host,
        dispatcher,
        databases,
        files,
        logs,
        env: vec![("PANOTTI_PLUGIN_LOCKED__A".to_owned(), "9".to_owned())],
    })
}
