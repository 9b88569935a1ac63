//! What the benches of hooks share: the product over an empty folder, plugins from a line of Lua, and how figures are told.
#![allow(dead_code, clippy::unwrap_used, missing_docs)] // each bench uses its part

pub mod server;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use panotti::clock::{SharedClock, SystemClock};
use panotti::config::{PluginLimits, Settings};
use panotti::events::Journal;
use panotti::hooks::{Dispatcher, Hook, HookCall, Member, Target};
use panotti::lua::permission::{Grant, Permissions};
use panotti::lua::{Generation, HostOptions, LuaHost, PluginSource};
use panotti::model::call::{CallContext, Caller};
use panotti::services::Services;
use panotti::store::{Store, StoreOptions};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The product and its Lua host.
pub struct Rig {
    pub runtime: Runtime,
    pub services: Services,
    pub host: LuaHost,
}

impl Rig {
    /// Everything below `folder`, with the usual number of Lua threads.
    pub fn new(folder: &Path) -> Self {
        Rig::with(folder, |it| it)
    }

    pub fn with(folder: &Path, change: impl FnOnce(HostOptions) -> HostOptions) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let services = services(&runtime, folder);
        let options = HostOptions::new(runtime.handle().clone(), services.clone());
        let host = LuaHost::new(change(options)).unwrap();
        Rig { runtime, services, host }
    }

    /// A plugin of one file.
    pub fn load(&self, name: &str, source: &str, limits: Value) -> Arc<Generation> {
        self.load_granted(name, source, limits, &[])
    }

    /// The same, with permissions that are granted whole.
    pub fn load_granted(&self, name: &str, source: &str, limits: Value, granted: &[&str]) -> Arc<Generation> {
        let granted = granted.iter().map(|it| ((*it).to_owned(), Grant::Whole(true))).collect();
        self.load_with(name, source, limits, Permissions(granted))
    }

    pub fn load_with(
        &self,
        name: &str,
        source: &str,
        limits: Value,
        permissions: Permissions,
    ) -> Arc<Generation> {
        let source = PluginSource {
            name: name.into(),
            version: "1.0.0".into(),
            hash: "hash".into(),
            generation: 1,
            entry: "init.lua".into(),
            files: Arc::new(BTreeMap::from([("init.lua".to_owned(), Arc::from(source.as_bytes()))])),
            config: Arc::new(json!({})),
            secret_keys: Arc::default(),
            dependencies: Arc::new([]),
            requested: permissions.clone(),
            learn: false,
            permissions,
            limits: PluginLimits::default().merged(limits.as_object().unwrap()).unwrap(),
        };
        self.runtime.block_on(self.host.load(source)).map_err(|it| it.fault.to_string()).unwrap()
    }
}

fn services(runtime: &Runtime, folder: &Path) -> Services {
    let _inside = runtime.enter();
    let settings =
        Settings { data_dir: folder.to_owned(), recordings_dir: folder.to_owned(), ..Settings::default() };
    let store = Store::open(&StoreOptions::at(folder.join("bench.db"))).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let hooks = Dispatcher::new(Duration::from_secs(3));
    let journal = Journal::new(hooks.clone(), clock.clone(), 8);
    Services::new(store, journal, hooks, clock, Arc::new(settings)).unwrap()
}

/// A call of the first function that a plugin registered.
pub fn call(payload: &Arc<Value>) -> HookCall {
    HookCall {
        target: Target::Slot(0),
        payload: Arc::clone(payload).into(),
        ctx: CallContext::new(Hook::OnClipCaptured.name(), Caller::server()).into(),
        asked_at: Instant::now(),
        timeout: None,
        deadline: None,
        is_question: false,
        then: None,
    }
}

/// A plugin's part of a dispatcher's table.
pub fn member(plugin: &Arc<Generation>) -> Member {
    Member {
        handler: plugin.clone(),
        dependencies: Vec::new(),
        registrations: plugin.registrations(),
        subscriptions: plugin.subscriptions(),
    }
}

/// Memory of this process.
pub fn resident_bytes() -> u64 {
    resident_bytes_of("self")
}

/// Memory of a process, by its number.
pub fn resident_bytes_of(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The value below which a part of them lies, such as 0.99.
pub fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * part) as usize).min(values.len() - 1)]
}

/// `median [least..most]` of what some rounds gave.
pub fn spread(mut rounds: Vec<f64>, digits: usize) -> String {
    let median = percentile(&mut rounds, 0.5);
    format!("{median:.digits$} [{:.digits$}..{:.digits$}]", rounds[0], rounds[rounds.len() - 1])
}

/// `cargo test` runs benches once, to see that they work: little is enough then.
pub fn is_long() -> bool {
    std::env::args().any(|it| it == "--bench") && !std::env::args().any(|it| it == "--test")
}
