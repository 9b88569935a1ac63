//! One host of a test: a whole server but for its HTTP, over a folder that is thrown away, in a world that stands still.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{Code, Error};
use crate::events::{Deliverer, DelivererOptions};
use crate::lua::stand_in::StandIn;
use crate::lua::{HostOptions, LuaHost};
use crate::plugins::discovery::{Snapshot, folder_of, snapshot};
use crate::plugins::env::PluginEnv;
use crate::plugins::manager::{Exporter, Manager, Parts};
use crate::plugins::manifest::{self, Manifest};
use crate::services::Services;

use super::desk::Desk;
use super::scratch::Scratch;
use super::settle::Op;
use super::stage::Refusal;
use super::watched::Watched;

/// How the author of a host calls for it.
pub(super) struct Wanted {
    pub(super) now_us: i64,
    pub(super) seed: u64,
    pub(super) config: Map<String, Value>,
    pub(super) grants: Grants,
}

/// What the plugin is granted of what its manifest asks for.
pub(super) enum Grants {
    /// Everything.
    All,
    /// These, as under `permissions:` of a manifest.
    These(Map<String, Value>),
}

/// The plugin that is tested, and where those lie that it needs.
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) files: &'a BTreeMap<String, Arc<[u8]>>,
    pub(super) roots: &'a [PathBuf],
}

/// One host.
pub(super) struct Bench {
    pub(super) plugin: Arc<str>,
    pub(super) world: StandIn,
    pub(super) services: Services,
    pub(super) manager: Manager,
    pub(super) lua: LuaHost,
    pub(super) watched: Arc<Watched>,
    /// All plugins that run in it.
    pub(super) plugins: Vec<Arc<str>>,
    /// What the test waits for.
    pub(super) op: Option<Op>,
    /// Whom a function of the test is to answer.
    pub(super) asked: Option<oneshot::Sender<Result<Value, String>>>,
    delivering: JoinHandle<()>,
    _scratch: Scratch,
}

impl Bench {
    /// Builds a host and starts the plugin in it.
    ///
    /// # Errors
    /// What the test is told: the config is wrong, the plugin does not load.
    pub(super) async fn build(desk: &Desk, subject: &Subject<'_>, wanted: Wanted) -> Result<Bench, Refusal> {
        let scratch = Scratch::new().map_err(Error::internal)?;
        let world = StandIn::new(wanted.now_us, wanted.seed);
        let mut settings = desk.settings(scratch.path());
        let env = desk.env.clone();
        let readable = PluginEnv::new(env.clone(), &settings.plugin_env);
        let root = scratch.path().join("plugins");
        fs::create_dir_all(&root).map_err(Error::internal)?;
        let read = |name: &str, files: &BTreeMap<String, Arc<[u8]>>| {
            manifest::read(name, &Snapshot::of(files.clone()), &readable, &settings.limit_rules())
        };
        let own = read(subject.name, subject.files).map_err(|fault| Refusal::load(&fault.script))?;
        put(&root, subject.name, subject.files)?;
        let mut grants = BTreeMap::from([(subject.name.to_owned(), granted(&own, &wanted.grants))]);
        let mut order = Vec::new();
        let mut seen = BTreeSet::from([subject.name.to_owned()]);
        let mut open: Vec<(String, bool)> = needs(&own);
        while let Some((name, optional)) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            // What is not there is the plugin's own affair: it says so when it is loaded.
            let Some(folder) = folder_of(subject.roots, &name) else { continue };
            let files = snapshot(&folder).map_err(|fault| Refusal::load(&fault.script))?.files;
            let other = match read(&name, &files) {
                Ok(other) => other,
                Err(_) if optional => continue,
                Err(fault) => return Err(Refusal::load(&fault.script)),
            };
            put(&root, &name, &files)?;
            grants.insert(name.clone(), granted(&other, &Grants::All));
            open.extend(needs(&other));
            order.insert(0, name);
        }
        settings.grants = grants;
        let services = desk.services(&settings, &world.clock())?;
        let exporter = Arc::new(Exporter::default());
        let lua = lua_host(&services, &world, Arc::clone(&exporter))?;
        let watched = Arc::new(Watched::new(lua.clone(), world.clone()));
        let manager = Manager::new(Parts {
            settings: Arc::clone(&services.settings),
            clock: world.clock(),
            store: services.store.clone(),
            journal: services.journal.clone(),
            replays: services.replays.clone(),
            host: Arc::new(Arc::clone(&watched)),
            dispatcher: services.hooks.clone(),
            databases: services.databases.clone(),
            files: services.plugin_files.clone(),
            logs: services.plugin_logs.clone(),
            env,
        });
        exporter.open(&manager);
        let deliverer = Deliverer::new(DelivererOptions {
            store: services.store.clone(),
            journal: services.journal.clone(),
            deferred: Arc::new(services.clone()),
            clock: world.clock(),
            per_plugin: settings.limits.max_concurrent_tasks,
        });
        let deliverer = deliverer.await?;
        let delivering = tokio::spawn(async move { deliverer.run().await });
        manager.start().await?;
        let mut bench = Bench {
            plugin: subject.name.into(),
            world,
            services,
            manager,
            lua,
            watched,
            plugins: order.iter().map(|it| Arc::from(it.as_str())).chain([Arc::from(subject.name)]).collect(),
            op: None,
            asked: None,
            delivering,
            _scratch: scratch,
        };
        if let Err(refusal) = bench.start(&wanted.config, &order).await {
            bench.close().await;
            return Err(refusal);
        }
        Ok(bench)
    }

    /// Sets the config, then starts the plugins that are needed, then the one that is tested.
    async fn start(&mut self, config: &Map<String, Value>, order: &[String]) -> Result<(), Refusal> {
        for (key, value) in config {
            let set = self.manager.config_create(&self.plugin, key, value.clone(), "test").await;
            set.map_err(|error| {
                let why = Refusal::from(error);
                Refusal { message: format!("t.host: config.{key}: {}", why.message), ..why }
            })?;
        }
        for name in order.iter().map(String::as_str).chain([&*Arc::clone(&self.plugin)]) {
            // Those that are needed by one that is needed may run already.
            self.manager.enable(name, "test").await.map_err(|error| match error.script {
                Some(fault) if error.code == Code::PluginLoadFailed => Refusal::load(&fault),
                _ => Refusal::from(error),
            })?;
        }
        self.calm().await;
        Ok(())
    }

    /// Ends everything; nothing that goes on is waited for.
    pub(super) async fn close(self) {
        self.delivering.abort();
        self.manager.stop(Instant::now()).await;
        self.lua.stop();
        self.services.databases.close().await;
    }

    /// Where files of the recordings folder lie.
    pub(super) fn recordings(&self) -> &Path {
        &self.services.settings.recordings_dir
    }
}

fn lua_host(services: &Services, world: &StandIn, exports: Arc<Exporter>) -> Result<LuaHost, Refusal> {
    let runtime = Handle::current();
    let options = HostOptions {
        threads: services.settings.lua_threads,
        exports,
        stand_in: Some(world.clone()),
        ..HostOptions::new(runtime, services.clone()).committing()
    };
    LuaHost::new(options).map_err(|fault| Refusal::from(Error::internal(fault)))
}

fn needs(manifest: &Manifest) -> Vec<(String, bool)> {
    manifest.dependencies.iter().map(|it| (it.name.clone(), it.optional)).collect()
}

fn granted(manifest: &Manifest, grants: &Grants) -> Map<String, Value> {
    match grants {
        Grants::These(these) => these.clone(),
        Grants::All => match json!(manifest.requested) {
            Value::Object(all) => all,
            _ => Map::new(),
        },
    }
}

fn put(root: &Path, name: &str, files: &BTreeMap<String, Arc<[u8]>>) -> Result<(), Refusal> {
    for (path, content) in files {
        let path = root.join(name).join(path);
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, content)).map_err(Error::internal)?;
    }
    Ok(())
}
