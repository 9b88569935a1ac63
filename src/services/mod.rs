//! The product, told once: what can be done with recordings, tracks, clips, keys and kv. REST and Lua both
//! call it and have no rules of their own.
//!
//! Each noun is a module of functions whose first arguments are [`Services`] and the
//! [`Caller`]: `recordings::start(&services, &caller, …)`. Bodies come as JSON objects and are read by the
//! tables of fields in each module, from which the OpenAPI schemas are made too ([`fields::schema`]).

mod alone;
pub mod assets;
pub mod audit;
pub mod backups;
pub mod clips;
pub mod databases;
pub mod event_schemas;
pub mod events;
pub mod fields;
pub mod files;
pub mod idempotency;
pub mod keyring;
pub mod kv;
pub mod once;
pub mod plugin_files;
pub mod plugin_logs;
pub mod recordings;
pub mod tokens;
pub mod traces;
pub mod tracks;
pub mod uploads;
pub mod webhooks;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;

use crate::clock::SharedClock;
use crate::config::Settings;
use crate::error::{Code, Error, Result};
use crate::events::{Deferred, DeferredFuture, EventDraft, Journal, Replays, Streams};
use crate::hooks::{Dispatcher, Hook};
use crate::model::call::{Caller, MAX_CALL_DEPTH, PluginEffects};
use crate::model::event::{Event, Priority};
use crate::model::event_data::EventData;
use crate::model::id::random_bytes;
use crate::model::time::Timestamp;
use crate::store::{Reader, Store};

use alone::{Alone, Turn};
use files::{Blocking, MediaFiles};

pub use crate::store::timed;
pub use idempotency::Idempotency;

/// Everything an operation of the product needs. Cheap to clone, one for the whole server.
#[derive(Clone)]
pub struct Services {
    /// What is kept.
    pub store: Store,
    /// What is told.
    pub journal: Journal,
    /// What is told again.
    pub replays: Replays,
    /// Who is asked.
    pub hooks: Dispatcher,
    /// The wall clock.
    pub clock: SharedClock,
    /// The server's settings.
    pub settings: Arc<Settings>,
    /// Where media lie.
    pub files: MediaFiles,
    /// Where work on files is done.
    pub blocking: Blocking,
    /// Plugins' own databases.
    pub databases: databases::Databases,
    /// Plugins' own files.
    pub plugin_files: plugin_files::PluginFiles,
    /// Recorded calls into plugins.
    pub traces: traces::Traces,
    /// The last lines of plugins.
    pub plugin_logs: plugin_logs::PluginLogs,
    /// Streams of events and lines that are open.
    pub streams: Streams,
    /// The backup that is being made.
    pub backups: backups::Backups,
    alone: Alone,
    tokens: tokens::Cache,
    webhooks: webhooks::Shared,
    pulse: uploads::Pulse,
}

impl Services {
    /// The product over its parts; must be made within the runtime that its blocking work shall use.
    ///
    /// # Errors
    /// When the folders of media cannot be made.
    pub fn new(
        store: Store,
        journal: Journal,
        hooks: Dispatcher,
        clock: SharedClock,
        settings: Arc<Settings>,
    ) -> Result<Self> {
        let files = MediaFiles::open(&settings)?;
        let runtime = tokio::runtime::Handle::current();
        let databases = databases::open(&settings, &store, runtime.clone());
        let plugin_files = plugin_files::PluginFiles::new(&settings);
        let blocking = Blocking::of(runtime);
        let streams = Streams::new(settings.max_event_streams);
        let replays = Replays::new(store.clone(), journal.clone(), Arc::clone(&clock));
        let (alone, tokens) = (Alone::default(), tokens::Cache::default());
        let webhooks = webhooks::Shared::default();
        let traces = traces::Traces::new(store.clone(), Arc::clone(&clock), settings.traces);
        let plugin_logs = plugin_logs::PluginLogs::new(settings.logs, Arc::clone(&clock));
        let services = Services {
            store,
            journal,
            replays,
            hooks,
            clock,
            settings,
            files,
            blocking,
            databases,
            plugin_files,
            traces,
            plugin_logs,
            streams,
            backups: backups::Backups::default(),
            alone,
            tokens,
            webhooks,
            pulse: uploads::Pulse::default(),
        };
        event_schemas::load(&services)?;
        Ok(services)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_us())
    }

    /// Reads on the blocking pool: for lists and searches, from any thread.
    ///
    /// # Errors
    /// What `read` says.
    pub async fn read_long<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        let reading = self.blocking.task(async move { store.read_async(read).await });
        crate::store::waited(reading).await?
    }

    /// Commits what plugins left behind in a question about nothing that is stored: a request.
    ///
    /// # Errors
    /// The store's.
    pub async fn commit_effects(&self, effects: Vec<PluginEffects>, caller: &Caller) -> Result<()> {
        let (journal, caller) = (self.journal.clone(), caller.clone());
        self.store.write_again(move |tx| journal.commit_effects(tx, &effects, &caller)).await?;
        Ok(())
    }

    /// Random bits for an id.
    pub(crate) fn random(&self) -> Result<u32> {
        let bytes = random_bytes().ok_or_else(|| Error::internal("the system gives no random bytes"))?;
        Ok(u32::from_ne_bytes(bytes))
    }

    /// Waits until nobody else works on `name`.
    ///
    /// What a hook starts may not wait for the very operation that asked the hook.
    ///
    /// # Errors
    /// `Conflict` for what a hook started.
    async fn alone(&self, caller: &Caller, name: &str) -> Result<Turn> {
        if caller.depth == 0 {
            return Ok(self.alone.turn(name).await);
        }
        let busy = || Error::new(Code::Conflict, format!("`{name}` is being worked on at this moment."));
        self.alone.turn_now(name).ok_or_else(busy)
    }

    /// Refuses to ask hooks about what hooks started too deep.
    fn check_depth(&self, caller: &Caller) -> Result<()> {
        if caller.depth < MAX_CALL_DEPTH {
            return Ok(());
        }
        let detail = format!("Hooks started this {MAX_CALL_DEPTH} deep in one another; that is the limit.");
        Err(Error::new(Code::Conflict, detail))
    }
}

impl Deferred for Services {
    fn run(&self, plugin: Arc<str>, hook: Hook, event: Event, attempt: i32) -> DeferredFuture {
        let own = self.clone();
        Box::pin(async move { clips::run_deferred(&own, plugin, hook, event, attempt).await })
    }
}

/// An event of normal priority.
fn news(kind: &str, subject: String, data: impl Into<EventData>) -> EventDraft {
    let (kind, subject, priority) = (kind.to_owned(), Some(subject), Priority::Normal);
    EventDraft { kind, subject, data: data.into(), priority, ttl: None }
}

/// Compares the version a client saw with the row's.
fn check_version(wanted: Option<i64>, found: i64) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != found => {
            Err(Error::new(Code::PreconditionFailed, "It was changed after you read it."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
