//! What one plugin did and uses, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::call::Outcome;
use crate::model::log_line::LogLevel;
use crate::model::plugin::PluginState;
use crate::model::tally::Tally;
use crate::model::time::Timestamp;
use crate::plugins::breaker::BreakerView;
use crate::plugins::stats::{Latency, latency};
use crate::plugins::status::QuotaView;
use crate::services::plugin_logs::LineCounts;

use super::Manager;

/// What one plugin did since the server started, and what it uses at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PluginMetrics {
    /// The plugin.
    pub plugin: String,
    /// What it is doing.
    pub state: PluginState,
    /// The generation that runs, else the last one tried.
    pub generation: u64,
    /// When this was counted (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Calls of all kinds.
    pub calls: u64,
    /// Of these, those that failed: not `ok`, `refused` or `skipped`.
    pub failed: u64,
    /// Calls by outcome.
    #[schema(value_type = Object)]
    pub outcomes: BTreeMap<&'static str, u64>,
    /// By what was called: a hook, or `event`, `load`, `route`, `timer`, `export`, `task`.
    pub hooks: BTreeMap<&'static str, HookMetrics>,
    /// Calls that wait, and how long calls waited for their turn.
    pub queue: QueueMetrics,
    /// Memory of its VMs.
    pub memory: MemoryMetrics,
    /// Milliseconds of CPU of the calls of this generation that ended.
    pub cpu_ms: f64,
    /// Tasks and timers that live.
    pub tasks: usize,
    /// VMs of this generation that had to be replaced.
    pub vms_replaced: usize,
    /// Of these, VMs that a script held where nothing stopped it.
    pub vms_stuck: usize,
    /// Whether it is left alone for a while.
    #[schema(value_type = Object)]
    pub breaker: BreakerView,
    /// The same for `before_request` and `after_request` alone.
    #[schema(value_type = Object)]
    pub request_breaker: BreakerView,
    /// Deliveries of events, by how they ended.
    #[schema(value_type = Object)]
    pub deliveries: BTreeMap<String, u64>,
    /// Loads of a new version in place of a running one, by how they ended.
    #[schema(value_type = Object)]
    pub reloads: BTreeMap<String, u64>,
    /// Its lines.
    pub log: LogMetrics,
    /// What it has of what is counted.
    pub quotas: Vec<QuotaView>,
}

/// Calls of one hook.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HookMetrics {
    /// Calls by outcome.
    #[schema(value_type = Object)]
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How long those took that ran.
    pub latency: Latency,
}

/// Calls that wait.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QueueMetrics {
    /// Calls that wait now.
    pub depth: usize,
    /// Calls under way now.
    pub in_flight: usize,
    /// Calls that had to wait for their turn, or not.
    pub count: u64,
    /// Milliseconds that half of them waited at most.
    pub p50_ms: f64,
    /// Milliseconds that 95 of 100 waited at most.
    pub p95_ms: f64,
    /// Milliseconds that 99 of 100 waited at most.
    pub p99_ms: f64,
    /// Milliseconds that none waited longer than.
    pub max_ms: f64,
}

/// Memory of its VMs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MemoryMetrics {
    /// Bytes now.
    pub bytes: usize,
    /// The most bytes of each VM of this generation, added up.
    pub peak_bytes: usize,
    /// Bytes that each VM may have.
    pub limit_bytes: u64,
}

/// Lines since the server started.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LogMetrics {
    /// Lines that are or were kept, by level.
    #[schema(value_type = Object)]
    pub lines: BTreeMap<&'static str, u64>,
    /// Lines that were dropped because they were too many.
    pub dropped: u64,
}

impl Manager {
    /// What one plugin did and uses.
    ///
    /// # Errors
    /// [`crate::error::Code::PluginNotFound`].
    pub fn metrics(&self, id: &str) -> Result<PluginMetrics> {
        let slot = self.slot(id)?;
        let usage = slot.live().map(|it| it.script.usage()).unwrap_or_default();
        let host = self.0.host.tallies(&slot.name);
        let limits = slot.read(|it| it.manifest().map(|it| it.limits)).unwrap_or(self.0.settings.limits);
        let (state, generation) = slot.read(|it| (it.state(), it.shown_generation()));
        let counted = slot.vitals.stats.by_hook().chain([(super::gauges::TASK, &host.tasks)]);
        let hooks: BTreeMap<&'static str, HookMetrics> = counted
            .map(|(name, tally)| (name, of_tally(tally)))
            .filter(|(_, it)| !it.outcomes.is_empty())
            .collect();
        let mut outcomes = BTreeMap::new();
        for (outcome, count) in hooks.values().flat_map(|it| &it.outcomes) {
            *outcomes.entry(*outcome).or_default() += count;
        }
        let is_fine =
            |it: &str| [Outcome::Ok, Outcome::Refused, Outcome::Skipped].iter().any(|ok| ok.as_str() == it);
        Ok(PluginMetrics {
            plugin: slot.name.to_string(),
            state,
            generation,
            at: Timestamp(self.0.clock.now_us()),
            calls: outcomes.values().sum(),
            failed: outcomes.iter().filter(|(it, _)| !is_fine(it)).map(|(_, count)| count).sum(),
            outcomes,
            hooks,
            queue: QueueMetrics {
                depth: usage.queue_depth,
                in_flight: usage.in_flight,
                count: host.queue.count(),
                p50_ms: host.queue.percentile_ms(0.5),
                p95_ms: host.queue.percentile_ms(0.95),
                p99_ms: host.queue.percentile_ms(0.99),
                max_ms: host.queue.highest_ms(),
            },
            memory: MemoryMetrics {
                bytes: usage.memory_bytes,
                peak_bytes: usage.memory_peak_bytes,
                limit_bytes: limits.memory_mib << 20,
            },
            cpu_ms: usage.cpu_us as f64 / 1e3,
            tasks: usage.tasks,
            vms_replaced: usage.replaced,
            vms_stuck: usage.stuck,
            breaker: slot.vitals.breaker(),
            request_breaker: slot.vitals.request_breaker(),
            deliveries: self.0.registry.journal.deliveries(&slot.name).into_iter().collect(),
            reloads: slot.vitals.reloads.read().into_iter().collect(),
            log: of_lines(self.lines_of(&slot.name)),
            quotas: QuotaView::all(&self.0.host.quotas(&slot.name), &limits),
        })
    }

    /// How many lines of a plugin there were.
    pub(super) fn lines_of(&self, plugin: &str) -> LineCounts {
        self.0.logs.known(plugin).map(|it| it.counts()).unwrap_or_default()
    }
}

fn of_tally(tally: &Tally) -> HookMetrics {
    let outcomes = tally.outcomes().into_iter().map(|(outcome, count)| (outcome.as_str(), count));
    HookMetrics { outcomes: outcomes.collect(), latency: latency(tally) }
}

fn of_lines(counts: LineCounts) -> LogMetrics {
    let lines = LogLevel::ALL.into_iter().map(|it| (it.as_str(), counts.said[it as usize]));
    LogMetrics { lines: lines.collect(), dropped: counts.dropped }
}
