//! Bringing plugins up and down: in order, side by side where they do not need one another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::config::line_of;
use crate::hooks::{Answer, Dispatcher, Hook};
use crate::model::call::Outcome;
use crate::model::plugin::PluginState;
use crate::plugins::handler::PluginHandler;
use crate::plugins::order::{self, Node, Nodes, Standing, Verdict};
use crate::plugins::problem::{LoadFault, Problem};
use crate::plugins::schema::first_segment;
use crate::plugins::script::Source;

use super::slot::{Live, Prepared, Slot};
use super::{DRAIN, Manager};

/// How long a change waits for the calls of the generation it replaces before it goes on without them.
const PATIENCE: Duration = Duration::from_secs(1);

impl Manager {
    /// Loads plugins in the order of their dependencies, publishes them, then calls `on_startup`.
    pub(super) async fn bring_up(&self, candidates: Vec<Arc<Slot>>, deadline: Instant) {
        let mut waiting: BTreeMap<Arc<str>, Arc<Slot>> =
            candidates.into_iter().map(|it| (Arc::clone(&it.name), it)).collect();
        if waiting.is_empty() {
            return;
        }
        let mut nodes = self.nodes();
        for name in waiting.keys() {
            set(&mut nodes, name, Standing::Waiting);
        }
        let (mut loading, mut started) = (FuturesUnordered::new(), Vec::new());
        loop {
            for name in waiting.keys().cloned().collect::<Vec<_>>() {
                match order::judge(&name, &nodes) {
                    Verdict::Later => {}
                    Verdict::Ready => loading.extend(waiting.remove(&name).map(|it| self.load(it, deadline))),
                    Verdict::Never(fault) => {
                        if let Some(slot) = waiting.remove(&name) {
                            slot.fail(&fault, true);
                        }
                        set(&mut nodes, &name, Standing::Down("does not load"));
                    }
                }
            }
            match loading.next().await {
                Some((slot, Ok(()))) => {
                    set(&mut nodes, &slot.name, Standing::Running);
                    started.push(slot);
                }
                Some((slot, Err(fault))) => {
                    slot.fail(&fault, false);
                    set(&mut nodes, &slot.name, Standing::Down("does not load"));
                }
                None if waiting.is_empty() => break,
                None => match order::cycle(&nodes) {
                    Some(cycle) => {
                        for name in &cycle {
                            if let Some(slot) = waiting.remove(name.as_str()) {
                                slot.fail(&order::cycle_fault(&cycle), true);
                            }
                            set(&mut nodes, name, Standing::Down("is part of a circle of dependencies"));
                        }
                    }
                    // Judging again may have failed those others waited for; a circle of optional wishes is cut.
                    None => {
                        let stuck =
                            waiting.keys().all(|it| matches!(order::judge(it, &nodes), Verdict::Later));
                        let first = waiting.keys().next().cloned().filter(|_| stuck);
                        let first = first.and_then(|it| waiting.remove(&it));
                        loading.extend(first.map(|it| self.load(it, deadline)));
                    }
                },
            }
        }
        self.publish();
        for slot in &started {
            self.tell(slot, "plugin.loaded").await;
        }
        self.start_up(&started, &nodes, deadline).await;
    }

    async fn load(&self, slot: Arc<Slot>, deadline: Instant) -> (Arc<Slot>, Result<(), LoadFault>) {
        let Some(prepared) = slot.read(|it| it.prepared.clone()) else {
            let fault =
                LoadFault::of_folder(Outcome::Skipped, "its folder was not read", "Rescan the plugins.");
            return (slot, Err(fault));
        };
        slot.change(|it| it.state = PluginState::Loading);
        let begin = Instant::now();
        match self.build(&slot, prepared, None, deadline).await {
            Ok(live) => {
                log::info!(
                    plugin = &*slot.name, generation = live.generation, hash = &*live.prepared.snapshot.hash;
                    "loaded in {} ms", begin.elapsed().as_millis()
                );
                self.install(&slot, live);
                (slot, Ok(()))
            }
            Err(fault) => (slot, Err(fault)),
        }
    }

    /// Makes a generation and hands it the state of the former one; nothing calls it yet.
    pub(super) async fn build(
        &self,
        slot: &Slot,
        prepared: Prepared,
        former: Option<&Live>,
        deadline: Instant,
    ) -> Result<Arc<Live>, LoadFault> {
        let config = slot.config(&prepared.layers);
        check_config(&prepared, &config)?;
        let generation = slot.change(|it| {
            it.generation += 1;
            it.generation
        });
        let manifest = &prepared.manifest;
        let source = Source {
            name: Arc::clone(&slot.name),
            version: manifest.version.as_ref().map_or_else(|| "0.0.0".to_owned(), ToString::to_string),
            generation,
            entry: prepared.entry.clone(),
            files: Arc::clone(&prepared.snapshot.files),
            config,
            permissions: manifest.granted(),
            limits: manifest.limits,
        };
        let loading = tokio::time::timeout_at(deadline.into(), self.0.host.load(source));
        let script = match loading.await {
            Ok(loaded) => loaded.map_err(LoadFault::of_call)?,
            Err(_) => return Err(self.too_late()),
        };
        let vitals = Arc::clone(&slot.vitals);
        let handler = PluginHandler::new(Arc::clone(&slot.name), generation, Arc::clone(&script), vitals);
        let live = Arc::new(Live { generation, prepared, script, handler: Arc::new(handler) });
        let state = match former {
            Some(former) => last_words(former, Some(deadline)).await,
            None => Value::Null,
        };
        if let Err(failure) = Dispatcher::call_life(&live.member(), Hook::OnLoad, state, Some(deadline)).await
        {
            live.script.retire(Duration::ZERO).await;
            return Err(LoadFault::of_call(failure).already_logged());
        }
        Ok(live)
    }

    /// Lets a generation be the one that runs; answers the former one.
    pub(super) fn install(&self, slot: &Arc<Slot>, live: Arc<Live>) -> Option<Arc<Live>> {
        slot.vitals.forget_error();
        let watcher =
            tokio::spawn(watch(self.clone(), Arc::downgrade(slot), Arc::clone(&live))).abort_handle();
        slot.change(|it| {
            it.state = PluginState::Running;
            it.wants_others = false;
            if let Some(former) = it.watcher.replace(watcher) {
                former.abort();
            }
            it.live.replace(live)
        })
    }

    /// Puts a new generation of a running plugin, made from `prepared`, in the place of the running one.
    pub(super) async fn reload(&self, slot: &Arc<Slot>, prepared: Prepared) -> Result<(), LoadFault> {
        let former = slot.live();
        let built = self.build(slot, prepared, former.as_deref(), self.load_deadline()).await;
        match built {
            Ok(live) => {
                log::info!(plugin = &*slot.name, generation = live.generation; "reloaded");
                let former = self.install(slot, live);
                self.publish();
                self.tell(slot, "plugin.reloaded").await;
                if let Some(former) = former {
                    tokio::spawn(former.script.retire(DRAIN));
                }
                Ok(())
            }
            Err(fault) => {
                slot.note(&fault, slot.read(|it| it.generation));
                self.tell(slot, "plugin.reload_failed").await;
                Err(fault)
            }
        }
    }

    /// Stops a plugin: no new calls, its last words, then its calls under way; it is left draining or disabled.
    pub(super) async fn take_down(&self, slot: &Arc<Slot>, with_shutdown: bool) {
        let live = slot.change(|it| {
            if let Some(watcher) = it.watcher.take() {
                watcher.abort();
            }
            let live = it.live.take();
            if live.is_some() {
                it.state = PluginState::Draining;
            }
            live
        });
        let Some(live) = live else { return };
        self.publish();
        if with_shutdown {
            let app = self.app();
            let deadline = Some(self.load_deadline());
            // A failure is logged where the call ends; the plugin goes all the same.
            let _ = Dispatcher::call_life(&live.member(), Hook::OnShutdown, app, deadline).await;
        }
        last_words(&live, Some(self.load_deadline())).await;
        log::info!(plugin = &*slot.name, generation = live.generation; "stopped");
        let (slot, generation) = (Arc::clone(slot), live.generation);
        let drained = tokio::spawn(async move {
            live.script.retire(DRAIN).await;
            slot.change(|it| {
                if it.state == PluginState::Draining && it.generation == generation {
                    it.state = PluginState::Disabled;
                }
            });
        });
        let _ = tokio::time::timeout(PATIENCE, drained).await;
    }

    /// After a change: stops what has lost what it needs, starts what has got it.
    pub(super) async fn settle(&self) {
        loop {
            let nodes = self.nodes();
            let running = self.slots().into_iter().filter(|it| it.live().is_some());
            let lost = running.filter_map(|slot| match order::judge(&slot.name, &nodes) {
                Verdict::Never(fault) => Some((slot, fault)),
                _ => None,
            });
            let lost: Vec<_> = lost.collect();
            if lost.is_empty() {
                break;
            }
            for (slot, fault) in lost {
                self.take_down(&slot, true).await;
                slot.fail(&fault, true);
            }
        }
        let mut nodes = self.nodes();
        let hopeful: Vec<Arc<Slot>> = self
            .slots()
            .into_iter()
            .filter(|it| {
                it.read(|it| it.wants_others && it.wanted() && it.prepared.is_some() && it.live.is_none())
            })
            .collect();
        for slot in &hopeful {
            set(&mut nodes, &slot.name, Standing::Waiting);
        }
        let circle = order::cycle(&nodes).unwrap_or_default();
        let ready = |it: &Arc<Slot>| {
            !circle.iter().any(|name| **name == *it.name)
                && !matches!(order::judge(&it.name, &nodes), Verdict::Never(_))
        };
        let ready: Vec<Arc<Slot>> = hopeful.into_iter().filter(ready).collect();
        self.bring_up(ready, self.load_deadline()).await;
    }

    /// Tells of a plugin's generation on the journal.
    async fn tell(&self, slot: &Slot, event: &'static str) {
        let view = slot.view();
        let detail = json!({ "version": view.version, "generation": view.generation, "hash": view.hash });
        self.0.registry.tell(event, &slot.name, detail).await;
    }

    /// How everybody stands.
    pub(super) fn nodes(&self) -> Nodes {
        let slots = self.slots();
        let nodes = slots.iter().map(|slot| {
            let node = slot.read(|it| {
                let live = it.live.as_ref().map(|it| &it.prepared);
                let manifest = live.or(it.prepared.as_ref()).map(|it| Arc::clone(&it.manifest));
                let standing = match it.state {
                    _ if it.live.is_some() => Standing::Running,
                    PluginState::Missing => Standing::Down("has lost its folder"),
                    PluginState::Discovered => Standing::Down("is not registered"),
                    PluginState::Unsupported => Standing::Down("is not a Lua plugin"),
                    PluginState::Disabled | PluginState::Draining => Standing::Down("is disabled"),
                    _ => Standing::Down("does not load"),
                };
                Node { manifest, standing }
            });
            (Arc::clone(&slot.name), node)
        });
        nodes.collect()
    }

    /// What `on_startup` and `on_shutdown` are told.
    pub(super) fn app(&self) -> Value {
        let running: Vec<String> =
            self.slots().iter().filter(|it| it.live().is_some()).map(|it| it.name.to_string()).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "data_dir": self.0.settings.data_dir.display().to_string(),
            "plugins": running,
        })
    }

    async fn start_up(&self, started: &[Arc<Slot>], nodes: &Nodes, deadline: Instant) {
        let app = self.app();
        let open: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> =
            started.iter().map(|it| (Arc::clone(&it.name), order::needs(&it.name, nodes))).collect();
        order::in_order(open, |name| {
            let (live, app) = (self.named(&name).and_then(|it| it.live()), app.clone());
            async move {
                if let Some(live) = live {
                    // A failure is kept and logged where the call ends; the plugin runs on.
                    let _ = Dispatcher::call_life(&live.member(), Hook::OnStartup, app, Some(deadline)).await;
                }
            }
        })
        .await;
    }

    fn too_late(&self) -> LoadFault {
        let message = format!(
            "it was not loaded within the {} s that all plugins have together",
            self.0.settings.startup_s
        );
        LoadFault::of_folder(Outcome::Deadline, message, "Do less while the chunk runs, or raise startup_s.")
    }
}

/// What the plugin returns from `on_unload`, for the next generation.
pub(super) async fn last_words(live: &Live, deadline: Option<Instant>) -> Value {
    let replies = Dispatcher::call_life(&live.member(), Hook::OnUnload, Value::Null, deadline).await;
    let answers = replies.unwrap_or_default().into_iter().map(|it| it.answer);
    let mut states = answers.filter_map(|it| match it {
        Answer::Patch(state) => Some(Value::Object(state)),
        _ => None,
    });
    states.next_back().unwrap_or(Value::Null)
}

fn set(nodes: &mut Nodes, name: &str, standing: Standing) {
    if let Some(node) = nodes.get_mut(name) {
        node.standing = standing;
    }
}

/// The whole config against the schema, each fault where its value stands.
fn check_config(prepared: &Prepared, config: &Value) -> Result<(), LoadFault> {
    let Some(config) = config.as_object() else { return Ok(()) };
    let faults = prepared.manifest.schema.check(config);
    if faults.is_empty() {
        return Ok(());
    }
    let file = prepared.manifest.file.unwrap_or("plugin.yaml");
    let text = prepared.snapshot.files.get(file).and_then(|it| std::str::from_utf8(it).ok());
    let problems = faults.into_iter().map(|fault| {
        let key = first_segment(&fault.pointer);
        let line = text.and_then(|it| line_of(it, &["config", &key]).or_else(|| line_of(it, &["config"])));
        let path = fault.pointer.trim_start_matches('/').replace('/', ".");
        Problem { file: file.to_owned(), line, message: format!("config.{path}: {}", fault.message) }
    });
    let mut fault = LoadFault::of_problems(Outcome::Convert, problems.collect(), text);
    fault.script.hint =
        Some("Correct plugin.yaml, or set the value with POST /api/v1/plugins/{id}/config.".to_owned());
    Err(fault)
}

/// Publishes the table again whenever a running plugin has changed its subscriptions.
async fn watch(manager: Manager, slot: std::sync::Weak<Slot>, live: Arc<Live>) {
    let slots = || live.script.subscriptions().iter().map(|it| it.slot).collect::<Vec<u32>>();
    let mut known = slots();
    loop {
        let mut changed = live.script.changed();
        // Listen first, then look: a change in between must not go unseen.
        if futures_util::poll!(&mut changed).is_pending() && slots() == known {
            changed.await;
        }
        let current = slot.upgrade().and_then(|it| it.live());
        if current.is_none_or(|it| it.generation != live.generation) {
            return;
        }
        known = slots();
        manager.publish();
    }
}
