//! Putting generations in the place of those that run: all in one step, or none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::Result;
use crate::events::Promise;
use crate::hooks::{Registration, Subscription};
use crate::model::call::Outcome;
use crate::model::plugin::StoredConfig;
use crate::plugins::problem::LoadFault;
use crate::plugins::script::Script;

use super::Manager;
use super::config::ConfigWrite;
use super::registry::TakeOver;
use super::slot::{Live, Prepared, Slot};
use super::staging::Staged;

/// Between two looks at whether a former generation is still in use, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// A generation that has taken over.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Taken {
    pub(super) plugin: String,
    pub(super) generation: u64,
    /// The number of its version, when there is a new one.
    pub(super) version: Option<i64>,
    pub(super) hooks_added: Vec<String>,
    pub(super) hooks_removed: Vec<String>,
    pub(super) took_ms: f64,
}

impl Manager {
    /// Makes a running plugin anew of files that were read already, and lets that take over. Calls of the former
    /// generation may go on for `drain`; without any, this answers when they have ended.
    pub(super) async fn renew(
        &self,
        slot: &Arc<Slot>,
        prepared: Prepared,
        drain: Duration,
    ) -> Result<Taken, LoadFault> {
        let built = match self.build(slot, prepared, self.load_deadline()).await {
            Ok(staged) => self.swap(vec![staged], drain).await.map_err(LoadFault::of_store),
            Err(fault) => Err(fault),
        };
        match built {
            Ok(taken) => Ok(taken.into_iter().next().unwrap_or_default()),
            Err(fault) => {
                self.not_renewed(slot, &fault).await;
                Err(fault)
            }
        }
    }

    /// Keeps, logs, counts and tells that a new version was not taken.
    pub(super) async fn not_renewed(&self, slot: &Slot, fault: &LoadFault) {
        let (tried, running) = slot.read(|it| (it.generation, it.live.as_ref().map(|it| it.generation)));
        slot.vitals.keep(&fault.script, tried);
        slot.vitals.reloads.count(fault.outcome.as_str());
        let runs_on = running.map(|it| format!("; g{it} runs on")).unwrap_or_default();
        log::error!(
            plugin = &*slot.name, generation = running, hook = "load", outcome = fault.outcome.as_str(),
            excerpt = fault.script.excerpt.as_deref();
            "reload {} failed: {fault}{runs_on}", slot.name
        );
        let view = slot.view();
        let detail = json!({
            "version": view.version, "generation": running, "hash": view.hash,
            "error": {
                "outcome": fault.script.outcome, "file": fault.script.file, "line": fault.script.line,
                "message": fault.script.message, "excerpt": fault.script.excerpt, "hint": fault.script.hint,
            },
        });
        self.0.registry.tell("plugin.reload_failed", &slot.name, detail).await;
    }

    /// Lets generations take over that were made aside. What they leave behind, their versions and the news of
    /// them are one transaction before that; when it fails everything stays as it is.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn swap(&self, staged: Vec<Staged>, drain: Duration) -> Result<Vec<Taken>> {
        self.swap_with(staged, drain, None).await.map(|(taken, _)| taken)
    }

    /// The same, for a config that is stored in the same transaction; answers the config as it is stored now.
    ///
    /// # Errors
    /// As [`Manager::swap`].
    pub(super) async fn swap_with(
        &self,
        mut staged: Vec<Staged>,
        drain: Duration,
        config: Option<ConfigWrite>,
    ) -> Result<(Vec<Taken>, Vec<StoredConfig>)> {
        let mut taken: Vec<Taken> = staged.iter().map(taken_of).collect();
        let rows = staged.iter_mut().zip(&taken).map(|(staged, taken)| row_of(staged, taken)).collect();
        let stored = match self.0.registry.take_over(rows, config).await {
            Ok((versions, stored)) => {
                taken.iter_mut().zip(versions).for_each(|(it, version)| it.version = version);
                stored
            }
            Err(error) => {
                for it in staged {
                    it.discard().await;
                }
                return Err(error);
            }
        };
        let begin = Instant::now();
        self.leave_a_gap(&staged).await;
        let mut formers = Vec::new();
        for it in &staged {
            self.watch_version(it);
            formers.extend(self.install(&it.slot, Arc::clone(&it.live)));
        }
        self.publish();
        let swapped = begin.elapsed();
        for (staged, taken) in staged.into_iter().zip(&taken) {
            tell(&staged, taken, swapped);
            staged.slot.vitals.reloads.count(Outcome::Ok.as_str());
        }
        match drain.is_zero() {
            true => {
                for former in formers {
                    former.script.retire(drain).await;
                }
            }
            false => formers.into_iter().for_each(|former| _ = self.spawn(let_go(former, drain))),
        }
        Ok((taken, stored))
    }

    /// A swap as it must not be, to show that the tests would notice.
    async fn leave_a_gap(&self, staged: &[Staged]) {
        if self.0.registry.journal.breaks(Promise::Swap) {
            staged.iter().for_each(|it| it.slot.change(|it| it.live = None));
            self.publish();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Lets a generation end once nobody can call it any more and its calls have ended, or after `drain`.
pub(super) async fn let_go(former: Arc<Live>, drain: Duration) {
    let (deadline, mut pause) = (Instant::now() + drain, LOOKS.0);
    // Whoever took the former table, a route or a schedule of it before the swap is about to call it.
    while Arc::strong_count(&former) > 1 || Arc::strong_count(&former.handler) > 1 {
        if Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOKS.1);
    }
    former.script.retire(deadline.saturating_duration_since(Instant::now())).await;
}

fn taken_of(staged: &Staged) -> Taken {
    let before = staged.former.as_ref().map(|it| hooks_of(&*it.script)).unwrap_or_default();
    let after = hooks_of(&*staged.live.script);
    Taken {
        plugin: staged.slot.name.to_string(),
        generation: staged.live.generation,
        version: None,
        hooks_added: after.difference(&before).cloned().collect(),
        hooks_removed: before.difference(&after).cloned().collect(),
        took_ms: (staged.took.as_secs_f64() * 1e5).round() / 1e2,
    }
}

/// What a generation is called for: names of hooks, patterns of events.
pub(super) fn hooks_of(script: &dyn Script) -> BTreeSet<String> {
    names_of(script.registrations(), script.subscriptions())
}

/// The same of what was registered.
pub(super) fn names_of(hooks: Vec<Registration>, events: Vec<Subscription>) -> BTreeSet<String> {
    let hooks = hooks.into_iter().map(|it| it.hook.name().to_owned());
    hooks.chain(events.into_iter().map(|it| it.pattern)).collect()
}

fn row_of(staged: &mut Staged, taken: &Taken) -> TakeOver {
    let prepared = &staged.live.prepared;
    let event = json!({
        "version": prepared.manifest.version.as_ref().map(ToString::to_string),
        "generation": taken.generation,
        "former_generation": staged.former.as_ref().map(|it| it.generation),
        "hash": prepared.snapshot.hash,
        "hooks_added": taken.hooks_added,
        "hooks_removed": taken.hooks_removed,
        "took_ms": taken.took_ms,
        "origin": staged.authorship.as_ref().map_or(Value::Null, |it| json!(it.origin)),
        "author": staged.authorship.as_ref().map(|it| &it.author),
    });
    TakeOver {
        id: staged.slot.read(|it| it.row.id),
        plugin: taken.plugin.clone(),
        snapshot: prepared.snapshot.clone(),
        generation: taken.generation,
        authorship: staged.authorship.clone(),
        effects: std::mem::take(&mut staged.effects),
        event,
    }
}

/// One line of the log.
fn tell(staged: &Staged, taken: &Taken, swapped: Duration) {
    let mut line = format!("reload {}", taken.plugin);
    if let Some(former) = &staged.former {
        line.push_str(&format!(" g{} ->", former.generation));
    }
    line.push_str(&format!(" g{} ok {:.1} ms", taken.generation, taken.took_ms));
    let came = taken.hooks_added.iter().map(|it| format!("+{it}"));
    let changed: Vec<String> = came.chain(taken.hooks_removed.iter().map(|it| format!("-{it}"))).collect();
    if !changed.is_empty() {
        line.push_str(&format!(", hooks {}", changed.join(" ")));
    }
    if let Some(former) = &staged.former {
        let usage = former.script.usage();
        match usage.in_flight + usage.queue_depth {
            0 => {}
            1 => line.push_str(&format!(", 1 call finishes on g{}", former.generation)),
            many => line.push_str(&format!(", {many} calls finish on g{}", former.generation)),
        }
    }
    log::info!(
        plugin = taken.plugin.as_str(), generation = taken.generation,
        hash = &*staged.live.prepared.snapshot.hash, swap_us = swapped.as_micros() as u64;
        "{line}"
    );
}
