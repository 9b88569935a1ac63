//! The life of the server process: build, load plugins, open the door, wait for a signal, stop in order.

use std::future::Future;
use std::io::Write;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::clock::{Clock, SharedClock, SystemClock};
use crate::config::{Settings, Tls};
use crate::error::{Code, Error, Result};
use crate::events::{Deliverer, DelivererOptions, Journal, Retention, Sabotage};
use crate::hooks::Dispatcher;
use crate::http::{self, HttpState};
use crate::lua::{HostOptions, LuaHost};
use crate::model::plugin::PluginState;
use crate::model::time::Timestamp;
use crate::plugins::check::read_fields;
use crate::plugins::manager::{Exporter, Manager, Parts as PluginParts};
use crate::plugins::watch::{ManagedPlugins, WatchOptions, Watcher};
use crate::plugins::{LastError, PluginFilter};
use crate::process;
use crate::services::plugin_logs::PluginLogs;
use crate::services::{Services, assets, audit, backups, keyring, tokens, tracks, uploads, webhooks};
use crate::store::Store;

use super::banner::{Banner, PluginLine, banner, base_url};
use super::delivery_thread::DeliveryThread;
use super::denials;
use super::lock;
use super::opening::{in_words, open_store};
use super::server_file::ServerFile;
use super::signals::{self, Stop};

/// So many VMs that do not come back make the server unfit.
const STUCK_IS_UNFIT: usize = 2;

/// So many changes waiting for the writer make the server unfit.
const QUEUE_IS_UNFIT: usize = 4000;

/// How often what has had its time is forgotten, and how many rows at once.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
const SWEEP_BATCH: i64 = 500;

/// How often it is said which lines of plugins were too many.
const TELL_DROPPED_EVERY: Duration = Duration::from_secs(1);

/// What was done once for an id is known for 30 days.
const ONCE_US: i64 = 30 * 86_400_000_000;

/// The file with the first key, in the data folder.
const KEY_FILE: &str = "admin.token";

/// Runs the server until it is told to stop. The port is bound when everything behind it is ready.
///
/// # Errors
/// What keeps the server from starting, in words for the admin.
pub async fn run(settings: Settings, logs: PluginLogs) -> Result<()> {
    let stop = signals::listen().map_err(|err| cannot("listen for signals", &err))?;
    let settings = Arc::new(settings);
    let _lock =
        lock::take_over_data_dir(&settings.data_dir).map_err(|err| cannot("use the data folder", &err))?;
    let data_dir = settings.data_dir.clone();
    let ending = tokio::task::spawn_blocking(move || process::take_in_orphans(&data_dir));
    let store = open_store(&settings)?;
    // What an earlier server has left running has ended before anybody looks through the folder.
    ending.await.map_err(Error::internal)?;
    let parts = Parts::build(&settings, logs, store).await.map_err(|err| in_words(&settings, err))?;
    // It looks while the plugins start: what is edited meanwhile is not missed.
    let watcher = parts.watch(&settings)?;
    let served = match parts.manager.start().await {
        Ok(()) if !stop.is_asked() => {
            watcher.iter().for_each(Watcher::open);
            parts.serve(&settings, stop).await
        }
        started => started.map(|()| stop_until(&settings)),
    };
    drop(watcher);
    ServerFile::remove(&settings.data_dir);
    parts.stop(served.as_ref().copied().unwrap_or_else(|_| stop_until(&settings))).await;
    drop(tokio::task::spawn_blocking(process::end_all).await);
    served.map(drop).map_err(|err| in_words(&settings, err))
}

/// Everything behind the door.
struct Parts {
    services: Services,
    host: LuaHost,
    manager: Manager,
    deliverer: Deliverer,
    deliveries: DeliveryThread,
}

impl Parts {
    async fn build(settings: &Arc<Settings>, logs: PluginLogs, store: Store) -> Result<Self> {
        let clock: SharedClock = Arc::new(SystemClock);
        let hooks = Dispatcher::new(Duration::from_millis(settings.chain_wall_ms));
        let depth = i16::try_from(settings.limits.event_depth).unwrap_or(i16::MAX);
        let journal = Journal::new(hooks.clone(), Arc::clone(&clock), depth).sabotaged(sabotage());
        let mut services =
            Services::new(store, journal, hooks.clone(), Arc::clone(&clock), Arc::clone(settings))?;
        services.plugin_logs = logs;
        // Before anything is told: what happens from now on is theirs, too.
        webhooks::load(&services).await?;
        uploads::recover(&services).await?;
        let recovered = tracks::recover(&services).await?;
        log::debug!("media looked after: {recovered:?}");
        assets::sweep(&services).await?;
        backups::sweep(settings);
        if let Some(place) = keyring::Keyring::of(settings).check()? {
            log::info!(
                "secret values of plugins' config are sealed with the key of {place}; no backup holds it"
            );
        }
        tokens::ensure_admin_token(&services, &settings.data_dir.join(KEY_FILE)).await?;
        tokens::load_limits(&services)?;
        let exporter = Arc::new(Exporter::default());
        let host = lua_host(&services, Arc::clone(&exporter))?;
        crate::plugins::editor::refresh(&settings.plugin_dirs);
        let manager = Manager::new(PluginParts {
            settings: Arc::clone(settings),
            clock: Arc::clone(&clock),
            store: services.store.clone(),
            journal: services.journal.clone(),
            replays: services.replays.clone(),
            host: Arc::new(host.clone()),
            dispatcher: hooks,
            databases: services.databases.clone(),
            files: services.plugin_files.clone(),
            logs: services.plugin_logs.clone(),
            env: std::env::vars().collect(),
        });
        exporter.open(&manager);
        let deliverer = Deliverer::new(DelivererOptions {
            store: services.store.clone(),
            journal: services.journal.clone(),
            deferred: Arc::new(services.clone()),
            clock,
            per_plugin: settings.limits.max_concurrent_tasks,
        });
        Ok(Parts {
            host,
            manager,
            deliverer: deliverer.await?,
            deliveries: DeliveryThread::start()?,
            services,
        })
    }

    /// Opens the door and keeps it open until a stop is asked for; answers when the stop must be over.
    async fn serve(&self, settings: &Arc<Settings>, stop: Stop) -> Result<Instant> {
        for tool in &settings.process_tools {
            let path = tool.split_once('=').map_or("", |(_, path)| path);
            if !std::path::Path::new(path).is_file() {
                log::warn!(
                    "process_tools: {tool}: there is no such program; plugins that run it are told so"
                );
            }
        }
        let tls = certified(settings)?;
        let address = settings.address();
        let listener =
            TcpListener::bind(address).map_err(|err| cannot(&format!("listen on {address}"), &err))?;
        let address = listener.local_addr().map_err(Error::internal)?;
        let (host, store) = (self.host.clone(), self.services.store.clone());
        let ready = Arc::new(move || {
            let takes_changes = store.waiting() < QUEUE_IS_UNFIT && !store.is_disk_full();
            takes_changes && host.still_stuck() < STUCK_IS_UNFIT
        });
        let state = HttpState::new(self.services.clone(), self.manager.clone(), ready);
        let certificate = tls.as_ref().map(|tls| tls.fingerprint.clone());
        let server = http::serve(state, listener, tls).map_err(Error::internal)?;
        let door = server.handle();
        let replays = self.services.replays.clone();
        let replaying = tokio::spawn(async move { replays.run().await });
        let recording = tokio::spawn(self.services.traces.clone().run());
        let background = [
            self.deliver(),
            replaying,
            tokio::spawn(sweep(self.services.clone())),
            self.keep(settings),
            tokio::spawn(audit::keep_within_bounds(self.services.clone())),
            recording,
            tokio::spawn(tell_dropped(self.services.plugin_logs.clone())),
        ];
        let url = base_url(address, settings.has_tls());
        ServerFile::write(&settings.data_dir, &url, certificate.as_deref()).map_err(Error::internal)?;
        self.greet(settings, address);
        let mut server = pin!(server);
        let mut deadline = stop_until(settings);
        tokio::select! {
            ended = &mut server => ended.map_err(Error::internal)?,
            () = stop.asked() => {
                deadline = stop_until(settings);
                // Streams never end of themselves.
                self.services.streams.end();
                // The server works on its own stop: it must be polled until it has ended.
                let closing = async { drop(tokio::join!(door.stop(true), &mut server)) };
                let until_cut = Duration::from_secs(settings.shutdown_s) / 2;
                let cut = async {
                    tokio::time::sleep(until_cut).await;
                    if self.services.streams.connections() == 0 {
                        std::future::pending::<()>().await;
                    }
                    log::warn!("cut off: clients that do not read their streams of events");
                };
                // Who does not read never sees the end of a stream: deliveries get the rest of the time.
                let closing = async {
                    tokio::select! {
                        () = closing => {}
                        () = cut => {}
                    }
                };
                within(deadline, "requests under way", closing).await;
            }
        }
        for task in background {
            task.abort();
        }
        Ok(deadline)
    }

    fn watch(&self, settings: &Settings) -> Result<Option<Watcher>> {
        let plugins =
            ManagedPlugins { manager: self.manager.clone(), runtime: tokio::runtime::Handle::current() };
        Watcher::start(WatchOptions::of(settings), plugins)
            .map_err(|err| cannot("watch the plugin folders", &err))
    }

    fn deliver(&self) -> JoinHandle<()> {
        let deliverer = self.deliverer.clone();
        self.deliveries.spawn(async move { deliverer.run().await })
    }

    fn keep(&self, settings: &Settings) -> JoinHandle<()> {
        let Services { store, journal, clock, .. } = self.services.clone();
        tokio::spawn(Retention::new(store, journal, clock, settings.retention).run())
    }

    /// Waits for deliveries under way; a receiver of webhooks that is slow to answer has half of the time.
    async fn end_deliveries(&self, deadline: Instant) {
        let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let mut stop = pin!(self.deliverer.stop(deadline));
        if timeout_at(half, &mut stop).await.is_err() {
            webhooks::give_up(&self.services);
            stop.await;
        }
    }

    /// Journal, plugins, database: in this order, all within one deadline.
    async fn stop(self, deadline: Instant) {
        self.services.backups.cancel();
        self.end_deliveries(deadline).await;
        webhooks::unload(&self.services);
        self.manager.stop(deadline.into_std()).await;
        within(deadline, "the Lua pool", self.host.shutdown()).await;
        within(deadline, "plugins' own databases", self.services.databases.close()).await;
        let traces = self.services.traces.clone();
        let flushed = async move { drop(traces.flush().await) };
        within(deadline, "recorded calls", flushed).await;
        let store = self.services.store.clone();
        let close = tokio::task::spawn_blocking(move || store.close());
        within(deadline, "the database", async move { drop(close.await) }).await;
        self.services.plugin_logs.tell_dropped();
        log::info!("stopped");
        // Lines of requests may be all that is said.
        log::logger().flush();
    }

    fn greet(&self, settings: &Settings, address: std::net::SocketAddr) {
        let plugins = self.manager.list(&PluginFilter::default()).into_iter().map(|it| PluginLine {
            fault: it
                .last_error
                .as_ref()
                .filter(|_| matches!(it.state, PluginState::Failed | PluginState::Quarantined))
                .map(LastError::line),
            state: it.state.as_str().to_owned(),
            name: it.name,
        });
        let about = Banner {
            version: env!("CARGO_PKG_VERSION"),
            address,
            has_tls: settings.has_tls(),
            data_dir: settings.data_dir.clone(),
            database_url: settings.database_url.clone(),
            plugins: plugins.collect(),
            safe_mode: settings.safe_mode,
            key_file: settings.data_dir.join(KEY_FILE),
        };
        // Whoever reads stdout may stall as well: the server does not wait for them.
        let say = move || {
            if let Err(error) = std::io::stdout().write_all(banner(&about).as_bytes()) {
                log::debug!("the banner cannot be written to stdout: {error}");
            }
        };
        drop(std::thread::Builder::new().name("banner".to_owned()).spawn(say));
        if settings.safe_mode {
            log::warn!("safe mode: every plugin is off until it is enabled (`panotti enable <name>`)");
        }
        log::info!("listening on {}", base_url(address, settings.has_tls()));
    }
}

/// What HTTPS is answered with; what clients will say of it goes to the log.
fn certified(settings: &Settings) -> Result<Option<Tls>> {
    let told = |(key, why)| format!("{key}: {why}");
    let tls = Tls::of(settings).map_err(|wrong| {
        let wrong: Vec<String> = wrong.into_iter().map(told).collect();
        Error::new(Code::Internal, format!("cannot serve HTTPS: {}", wrong.join("; ")))
    })?;
    if let Some(doubt) = tls.as_ref().and_then(|it| it.doubt(Timestamp(SystemClock.now_us()))) {
        log::warn!("tls_cert: {}: {doubt}", settings.tls_cert.display());
    }
    Ok(tls)
}

/// The promise that a development build is to break, so that a test is seen to fail.
fn sabotage() -> Sabotage {
    match std::env::var("SABOTAGE_OF_PANOTTI") {
        Ok(promise) if cfg!(debug_assertions) => {
            log::warn!("sabotage: what the journal promises of its {promise} is not kept");
            Sabotage::named(&promise)
        }
        _ => Sabotage::default(),
    }
}

/// Forgets what has had its time: kept answers and keys of scripts, a bounded batch at a time, in idle time.
async fn sweep(services: Services) {
    let kept_us =
        i64::try_from(services.settings.idempotency_hours).unwrap_or(i64::MAX).saturating_mul(3_600_000_000);
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let now = services.now();
        services.store.write_idle(move |tx| {
            tx.forget_answers(Timestamp(now.0.saturating_sub(kept_us)), SWEEP_BATCH)?;
            tx.sweep_once(Timestamp(now.0.saturating_sub(ONCE_US)), SWEEP_BATCH)?;
            tx.kv_sweep(now, SWEEP_BATCH).map(drop)
        });
        if let Err(error) = uploads::sweep(&services).await {
            log::warn!("uploads whose time is over stay for now: {error}");
        }
    }
}

/// Says once a second which lines of plugins were too many.
async fn tell_dropped(logs: PluginLogs) {
    loop {
        tokio::time::sleep(TELL_DROPPED_EVERY).await;
        logs.tell_dropped();
    }
}

/// The host of scripts; what their tasks leave behind goes to the journal.
fn lua_host(services: &Services, exports: Arc<Exporter>) -> Result<LuaHost> {
    let settings = &services.settings;
    let runtime = tokio::runtime::Handle::current();
    let options = HostOptions {
        threads: settings.lua_threads,
        in_flight_total: settings.in_flight_total,
        exports,
        denied: denials::sink(services, runtime.clone()),
        reader: Some(read_fields),
        ..HostOptions::new(runtime, services.clone()).committing()
    };
    LuaHost::new(options).map_err(Error::internal)
}

/// When a stop that begins now must be over.
fn stop_until(settings: &Settings) -> Instant {
    Instant::now() + Duration::from_secs(settings.shutdown_s)
}

/// Waits for `work` at most until `deadline`; says what was not waited for.
async fn within(deadline: Instant, what: &str, work: impl Future<Output = ()>) {
    if timeout_at(deadline, work).await.is_err() {
        log::warn!("not waited for any longer: {what}");
    }
}

fn cannot(what: &str, why: &std::io::Error) -> Error {
    Error::new(Code::Internal, format!("cannot {what}: {why}"))
}
