//! A product over an empty folder that goes when the measurement ends: nothing of it reaches the world.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::cli::Failure;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{PluginLimits, Settings};
use crate::events::Journal;
use crate::hooks::Dispatcher;
use crate::lua::permission::Permissions;
use crate::lua::{Generation, HostOptions, LuaHost, PluginSource};
use crate::plugins::check::read_fields;
use crate::plugins::discovery::{entry, snapshot};
use crate::plugins::env::PluginEnv;
use crate::plugins::manifest;
use crate::plugins::permissions::at_once;
use crate::plugins::problem::LoadFault;
use crate::plugins::settings::Layers;
use crate::services::Services;
use crate::store::{Store, StoreOptions};

/// The product, and where it lives.
pub struct Rig {
    /// Where waiting happens.
    pub runtime: Runtime,
    host: LuaHost,
    folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Rig {
    /// An empty product.
    pub fn new() -> Result<Self, Failure> {
        let failed =
            |what: &dyn std::fmt::Display| Failure::Failed(format!("no place to measure in: {what}"));
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("panotti-bench-{}-{}", std::process::id(), since.as_nanos());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).map_err(|it| failed(&it))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|it| failed(&it))?;
        let host = {
            let _inside = runtime.enter();
            let services = services(&folder.0).map_err(|it| failed(&it))?;
            let options = HostOptions::new(runtime.handle().clone(), services);
            LuaHost::new(HostOptions { reader: Some(read_fields), ..options }).map_err(|it| failed(&it))?
        };
        Ok(Rig { runtime, host, folder })
    }

    /// Loads the plugin of a folder, as it would run without a grant: what reaches other machines, programs and files
    /// stays shut.
    pub fn load(&self, name: &str, folder: &Path, settings: &Settings) -> Result<Arc<Generation>, Failure> {
        let told = |fault: LoadFault| {
            let script = &fault.script;
            let place = script
                .file
                .as_ref()
                .map(|it| format!("{it}:{}: ", script.line.unwrap_or(1)))
                .unwrap_or_default();
            Failure::Failed(format!("{name} does not load: {place}{}", script.message))
        };
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let env = PluginEnv::new(std::env::vars_os().filter_map(text), &settings.plugin_env);
        let files = snapshot(folder).map_err(told)?;
        let manifest = manifest::read(name, &files, &env, &settings.limit_rules()).map_err(told)?;
        let entry = entry(&files).map_err(told)?;
        let config = Layers::new(name, manifest.schema.clone(), manifest.config.clone(), &env).effective(&[]);
        self.start(PluginSource {
            name: name.into(),
            version: manifest.version.as_ref().map_or_else(|| "0.0.0".to_owned(), ToString::to_string),
            generation: 1,
            hash: Arc::clone(&files.hash),
            entry,
            files: Arc::clone(&files.files),
            config: Arc::new(Value::Object(config)),
            secret_keys: manifest.schema.secret_keys(),
            permissions: at_once(&manifest.requested),
            dependencies: manifest.dependencies.iter().map(|it| it.name.clone()).collect(),
            requested: manifest.requested.clone(),
            learn: false,
            limits: manifest.limits,
        })
    }

    /// A plugin that does nothing in this hook: what a call costs by itself.
    pub fn empty(&self, hook: &str) -> Result<Arc<Generation>, Failure> {
        let text = format!("panotti.on.{hook}(function() end)");
        self.start(PluginSource {
            name: "empty".into(),
            version: "0.0.0".to_owned(),
            generation: 1,
            hash: "".into(),
            entry: "init.lua".to_owned(),
            files: Arc::new(BTreeMap::from([("init.lua".to_owned(), Arc::from(text.as_bytes()))])),
            config: Arc::new(json!({})),
            secret_keys: Arc::default(),
            permissions: Permissions::default(),
            dependencies: Arc::new([]),
            requested: Permissions::default(),
            learn: false,
            limits: PluginLimits::default(),
        })
    }

    fn start(&self, source: PluginSource) -> Result<Arc<Generation>, Failure> {
        let name = Arc::clone(&source.name);
        self.runtime.block_on(self.host.load(source)).map_err(|failure| {
            let fault = &failure.fault;
            let excerpt = fault.excerpt.as_ref().map(|it| format!("\n{it}")).unwrap_or_default();
            Failure::Failed(format!("{name} does not load: {fault}{excerpt}"))
        })
    }

    /// Ends everything.
    pub fn end(self) {
        self.runtime.block_on(self.host.shutdown());
        self.runtime.shutdown_timeout(Duration::from_secs(2));
        drop(self.folder);
    }
}

fn services(folder: &Path) -> crate::error::Result<Services> {
    let settings = Settings {
        data_dir: folder.join("data"),
        recordings_dir: folder.join("recordings"),
        ..Settings::default()
    };
    for it in [&settings.data_dir, &settings.recordings_dir] {
        std::fs::create_dir_all(it).map_err(crate::error::Error::internal)?;
    }
    let clock: SharedClock = Arc::new(SystemClock);
    let mut options = StoreOptions::at(settings.data_dir.join("panotti.db"));
    (options.ballast_bytes, options.readers) = (0, 2);
    let store = Store::open(&options)?;
    let hooks = Dispatcher::new(Duration::from_millis(settings.chain_wall_ms));
    let journal = Journal::new(hooks.clone(), Arc::clone(&clock), 8);
    Services::new(store, journal, hooks, clock, Arc::new(settings))
}
