//! Starts, stops and changes plugins. One change at a time; reading never waits for one.

mod admin;
mod build;
mod bulk;
mod check;
mod config;
mod database;
mod dependents;
mod drafts;
mod edit;
mod edited;
mod exports;
mod files;
mod gauges;
mod grants;
mod group;
mod health;
mod life;
mod load;
mod metrics;
mod preview;
mod registry;
mod replay;
mod routes;
mod run_tests;
mod scan;
mod schedules;
mod seen;
mod settle;
mod slot;
mod staging;
mod start;
mod starting;
mod states;
mod swap;
mod upload;
mod versions;
mod views;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::SharedClock;
use crate::config::Settings;
use crate::error::{Code, Error, Result};
use crate::events::{Journal, Replays};
use crate::hooks::{Dispatcher, Member, Table};
use crate::model::asked::Asked;
use crate::model::plugin_version::Authorship;
use crate::model::replay::Past;
use crate::services::databases::Databases;
use crate::services::keyring::Keyring;
use crate::services::plugin_files::PluginFiles;
use crate::services::plugin_logs::PluginLogs;
use crate::store::Store;

use self::registry::Registry;
use self::slot::Slot;
use self::staging::Staging;
use self::states::Moves;
use super::discovery::Rejected;
use super::drafts::Drafts;
use super::env::PluginEnv;
use super::script::ScriptHost;
use super::start_notes::StartNotes;

pub use self::admin::{NewPlugin, PluginPatch};
pub use self::bulk::{BulkAction, BulkAsk, BulkDone};
pub use self::config::{ConfigChanged, ConfigCheck, ConfigKey, ConfigSchema};
pub use self::database::MigrationView;
pub use self::dependents::DependencyView;
pub use self::edit::{Edited, SourceChange};
pub use self::exports::Exporter;
pub use self::gauges::PluginGauges;
pub use self::grants::{Granting, GrantsView, read_granting};
pub use self::metrics::PluginMetrics;
pub use self::preview::{MAX_CALLS as MAX_PREVIEW_CALLS, Preview, PreviewOf};
pub use self::replay::{ReplayCode, ReplayView};
pub use self::routes::{Answered, RouteView};
pub use self::scan::Rescan;
pub use self::schedules::{ScheduleFilter, ScheduleView};
pub use self::seen::Seen;
pub use self::upload::{Upload, Uploaded};
pub use self::versions::{HeldBack, RollbackDone, Side, VersionDetail, VersionDiff, VersionView};

/// How long calls under way may go on after their plugin was let go.
const DRAIN: Duration = Duration::from_secs(30);

/// Drafts that are checked at once: each has a VM of its own.
const CHECKS: usize = 2;

/// What the manager works with.
pub struct Parts {
    /// The server's settings.
    pub settings: Arc<Settings>,
    /// The wall clock.
    pub clock: SharedClock,
    /// Where rows are kept.
    pub store: Store,
    /// Where its own events are told.
    pub journal: Journal,
    /// What gives new plugins the past.
    pub replays: Replays,
    /// What runs scripts.
    pub host: Arc<dyn ScriptHost>,
    /// Whose table it fills.
    pub dispatcher: Dispatcher,
    /// Plugins' own databases.
    pub databases: Databases,
    /// Plugins' own files.
    pub files: PluginFiles,
    /// Plugins' lines.
    pub logs: PluginLogs,
    /// The environment of the process.
    pub env: Vec<(String, String)>,
}

/// The plugins of the server. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Manager(Arc<Shared>);

/// The right to change which plugins run; given back in this order.
struct Turn<'a> {
    _changing: tokio::sync::MutexGuard<'a, ()>,
    _patient: tokio::sync::MutexGuard<'a, ()>,
}

/// The hash of files, and who wrote them.
type Written = (Arc<str>, Authorship);

struct Shared {
    settings: Arc<Settings>,
    clock: SharedClock,
    registry: Registry,
    replays: Replays,
    host: Arc<dyn ScriptHost>,
    dispatcher: Dispatcher,
    databases: Databases,
    files: PluginFiles,
    logs: PluginLogs,
    drafts: Drafts,
    /// Who wrote the files of plugins that did not run then, and their hash.
    authors: Mutex<BTreeMap<Arc<str>, Written>>,
    env: PluginEnv,
    slots: RwLock<BTreeMap<Arc<str>, Arc<Slot>>>,
    /// Tells of their states.
    moves: Moves,
    rejected: RwLock<Vec<Rejected>>,
    /// Generations that are about to take over.
    staging: Staging,
    /// Held by whoever changes which plugins run.
    changing: tokio::sync::Mutex<()>,
    /// Held besides by those who can wait: only one of them waits for `changing`, or has it, so that whoever cannot
    /// wait is next.
    patient: tokio::sync::Mutex<()>,
    /// Held while the table is made, so that a later one never gives way to an earlier one.
    publishing: Mutex<()>,
    /// Who was being started when former processes died.
    start_notes: Arc<StartNotes>,
    /// What is kept of schedules beside the store.
    schedules: Arc<schedules::Schedules>,
    /// Where versions are told that are worse than the former ones, and who listens until the start.
    worse: (UnboundedSender<versions::Worse>, Mutex<Option<UnboundedReceiver<versions::Worse>>>),
    /// Places of drafts that are checked.
    checking: tokio::sync::Semaphore,
    /// The place of tests that are run.
    testing: tokio::sync::Semaphore,
    /// Files of which a preview was seen.
    previewed: preview::Previewed,
    stopping: AtomicBool,
    /// The runtime the plugins were started on.
    runtime: OnceLock<tokio::runtime::Handle>,
}

impl Manager {
    /// A manager that has not looked at any folder yet.
    pub fn new(parts: Parts) -> Self {
        let drafts = Drafts::new(&parts.settings.data_dir);
        let env = PluginEnv::new(parts.env, &parts.settings.plugin_env);
        let registry = Registry {
            store: parts.store,
            journal: parts.journal,
            clock: Arc::clone(&parts.clock),
            keyring: Keyring::of(&parts.settings),
            most_versions: parts.settings.plugin_versions_keep.into(),
        };
        // Each version is told of once.
        let worse = unbounded_channel();
        let start_notes = Arc::new(StartNotes::read(&parts.settings.data_dir));
        Manager(Arc::new(Shared {
            start_notes,
            settings: parts.settings,
            clock: parts.clock,
            registry,
            replays: parts.replays,
            host: parts.host,
            dispatcher: parts.dispatcher,
            databases: parts.databases,
            files: parts.files,
            logs: parts.logs,
            drafts,
            authors: Mutex::default(),
            env,
            slots: RwLock::default(),
            moves: Moves::default(),
            rejected: RwLock::default(),
            staging: Staging::default(),
            changing: tokio::sync::Mutex::default(),
            patient: tokio::sync::Mutex::default(),
            publishing: Mutex::default(),
            schedules: Arc::default(),
            worse: (worse.0, Mutex::new(Some(worse.1))),
            checking: tokio::sync::Semaphore::new(CHECKS),
            testing: tokio::sync::Semaphore::new(1),
            previewed: preview::Previewed::default(),
            stopping: AtomicBool::new(false),
            runtime: OnceLock::new(),
        }))
    }

    /// What lies in the plugin folders without being a plugin, and why.
    pub fn rejected(&self) -> Vec<Rejected> {
        self.0.rejected.read().clone()
    }

    /// The dispatcher whose table the manager fills.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.0.dispatcher
    }

    fn roots(&self) -> &[PathBuf] {
        &self.0.settings.plugin_dirs
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.0.slots.read().values().cloned().collect()
    }

    fn named(&self, name: &str) -> Option<Arc<Slot>> {
        self.0.slots.read().get(name).cloned()
    }

    fn slot(&self, id: &str) -> Result<Arc<Slot>> {
        // The number comes first, or a folder named `3` would stand before the third plugin.
        let number: Option<i64> = id.parse().ok();
        let numbered =
            number.and_then(|id| self.slots().into_iter().find(|it| it.read(|it| it.row.id == id)));
        let found = numbered.or_else(|| self.named(id));
        found.ok_or_else(|| {
            let shown: String = id.chars().take(80).collect();
            Error::new(Code::PluginNotFound, format!("There is no plugin `{}`.", shown.escape_debug()))
        })
    }

    /// Makes a change to its end, even when whoever asked for it goes away; one at a time, none while stopping.
    async fn alone<T, F>(&self, change: impl FnOnce(Manager) -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let manager = self.clone();
        self.to_its_end(async move {
            let _turn = manager.turn().await;
            manager.not_stopping()?;
            let done = change(manager.clone()).await;
            manager.0.moves.told().await;
            done
        })
        .await
    }

    /// The same, right after the change that is under way, ahead of all others: for what stops something.
    async fn at_once<T, F>(&self, change: impl FnOnce(Manager) -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let manager = self.clone();
        self.to_its_end(async move {
            let _changing = manager.0.changing.lock().await;
            manager.not_stopping()?;
            let done = change(manager.clone()).await;
            manager.0.moves.told().await;
            done
        })
        .await
    }

    /// Waits until no other change is under way.
    async fn turn(&self) -> Turn<'_> {
        let patient = self.0.patient.lock().await;
        Turn { _changing: self.0.changing.lock().await, _patient: patient }
    }

    /// Does `work` to its end, even when whoever asked for it goes away.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.spawn(Asked::carry(work)).await.unwrap_or_else(|fault| Err(Error::internal(fault)))
    }

    /// Runs `work` where the server lives: the runtime of a request may end before it.
    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        match self.0.runtime.get() {
            Some(runtime) => runtime.spawn(work),
            None => tokio::spawn(work),
        }
    }

    /// Puts what runs now into the dispatcher's table.
    fn publish(&self) {
        let _one_at_a_time = self.0.publishing.lock();
        let live = self.slots().into_iter().filter_map(|it| it.called());
        let members: Vec<Member> = live.map(|it| it.member()).collect();
        let past: Vec<WantedPast> = members.iter().filter_map(past_of).collect();
        self.0.dispatcher.replace(Table::new(members));
        // Only now: what is told from here on comes live.
        if !past.is_empty() {
            self.spawn(give_past(self.0.replays.clone(), past));
        }
        self.0.schedules.look_again();
    }
}

/// A plugin, and for each pattern the past that it wants.
type WantedPast = (Arc<str>, Vec<(String, Past)>);

/// The past that a plugin's subscriptions want.
fn past_of(member: &Member) -> Option<WantedPast> {
    let wanted = member.subscriptions.iter().filter_map(|it| Some((it.pattern.clone(), it.past?)));
    let mut wanted: Vec<(String, Past)> = wanted.collect();
    wanted.dedup_by(|a, b| a.0 == b.0);
    (!wanted.is_empty()).then(|| (Arc::clone(member.handler.plugin()), wanted))
}

/// Gives plugins the past that they were not given before.
async fn give_past(replays: Replays, wanted: Vec<WantedPast>) {
    for (plugin, past) in wanted {
        if let Err(err) = replays.backfill(Arc::clone(&plugin), past).await {
            log::error!(plugin = &*plugin; "it could not be given past events: {err}");
        }
    }
}

#[cfg(test)]
mod edit_tests;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod lua_tests;
#[cfg(test)]
mod tests;
