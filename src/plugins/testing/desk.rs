//! What all cases of a run have in common: an empty database to copy, and a product that is there and does nothing, for
//! the scripts of the tests themselves.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::clock::SharedClock;
use crate::config::{Settings, WatchMode};
use crate::error::{Error, Result};
use crate::events::Journal;
use crate::hooks::Dispatcher;
use crate::services::Services;
use crate::store::{Store, StoreOptions};

use super::scratch::Scratch;

/// Made once for a run.
pub(super) struct Desk {
    /// What the scripts of tests are given; what of it waits never comes back, and they may not use it.
    pub(super) services: Services,
    /// The variables that manifests may read.
    pub(super) env: Vec<(String, String)>,
    settings: Arc<Settings>,
    template: Vec<u8>,
    _runtime: Runtime,
    _scratch: Scratch,
}

impl Desk {
    /// Makes the database that others are copies of.
    pub(super) fn new(
        settings: &Arc<Settings>,
        env: &[(String, String)],
        clock: &SharedClock,
    ) -> Result<Self> {
        let scratch = Scratch::new().map_err(Error::internal)?;
        let path = scratch.path().join("template.db");
        let empty = Store::open(&options(&path))?;
        empty.close();
        drop(empty);
        let template = fs::read(&path).map_err(Error::internal)?;
        let runtime = runtime()?;
        let services = {
            let _inside = runtime.enter();
            let settings = below(settings, &scratch.path().join("desk"));
            services_in(&settings, &template, clock)?
        };
        let settings = Arc::clone(settings);
        // A test says itself what its config is.
        let env = env.iter().filter(|(name, _)| !name.contains("__")).cloned().collect();
        Ok(Desk { services, env, settings, template, _runtime: runtime, _scratch: scratch })
    }

    /// The settings of a server below `folder`, which reaches nothing outside of it.
    pub(super) fn settings(&self, folder: &Path) -> Settings {
        below(&self.settings, folder)
    }

    /// A product with these settings, within the runtime of the caller.
    pub(super) fn services(&self, settings: &Settings, clock: &SharedClock) -> Result<Services> {
        services_in(settings, &self.template, clock)
    }
}

/// A runtime of one thread: when it has nothing to do, nothing of the host is under way but what other threads do.
pub(super) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(1).build().map_err(Error::internal)
}

fn options(path: &Path) -> StoreOptions {
    StoreOptions { readers: 2, ballast_bytes: 0, durable: false, ..StoreOptions::at(path) }
}

fn below(settings: &Settings, folder: &Path) -> Settings {
    let mut below = settings.clone();
    below.data_dir = folder.join("data");
    below.recordings_dir = folder.join("recordings");
    below.plugin_dirs = vec![folder.join("plugins")];
    below.database_url = format!("sqlite:{}", folder.join("data/panotti.db").display());
    below.config_file = None;
    below.safe_mode = true;
    below.watch = WatchMode::Off;
    below.learn_permissions = true;
    below.preview_required = false;
    below.traces.enabled = false;
    below.lua_threads = 1;
    below.grants.clear();
    below.http_hosts.clear();
    below.notify_tool.clear();
    below
}

fn services_in(settings: &Settings, template: &[u8], clock: &SharedClock) -> Result<Services> {
    for folder in [&settings.data_dir, &settings.recordings_dir].into_iter().chain(&settings.plugin_dirs) {
        fs::create_dir_all(folder).map_err(Error::internal)?;
    }
    let path = settings.database_path();
    fs::write(&path, template).map_err(Error::internal)?;
    let store = Store::open(&options(&path))?;
    let hooks = Dispatcher::new(Duration::from_millis(settings.chain_wall_ms));
    let depth = i16::try_from(settings.limits.event_depth).unwrap_or(i16::MAX);
    let journal = Journal::new(hooks.clone(), Arc::clone(clock), depth);
    Services::new(store, journal, hooks, Arc::clone(clock), Arc::new(settings.clone()))
}
