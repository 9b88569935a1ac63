//! What is counted of each plugin at this moment, for whoever watches.

use std::sync::Arc;

use crate::model::call::Outcome;
use crate::model::plugin::PluginState;
use crate::model::tally::Times;
use crate::plugins::breaker::BreakerState;
use crate::plugins::status::QuotaView;
use crate::services::plugin_logs::LineCounts;

use super::Manager;

/// What tasks are counted under.
pub(super) const TASK: &str = "task";

/// One thing of a plugin that is called: its name, how calls ended, how long those took that ran.
pub type CallGauges = (&'static str, Vec<(Outcome, u64)>, Times);

/// One plugin.
#[derive(Debug, Clone)]
pub struct PluginGauges {
    /// Its name.
    pub name: Arc<str>,
    /// Its state.
    pub state: PluginState,
    /// Whether it is left alone for a while.
    pub breaker_open: bool,
    /// Calls that wait for it.
    pub queue_depth: usize,
    /// Bytes its VMs hold.
    pub memory_bytes: usize,
    /// Calls by what was called: how they ended, and how long those took that ran.
    pub calls: Vec<CallGauges>,
    /// How long calls waited for their turn.
    pub queue: Times,
    /// Deliveries of events by how they ended.
    pub deliveries: Vec<(String, u64)>,
    /// Loads of a new version in place of a running one, by how they ended.
    pub reloads: Vec<(String, u64)>,
    /// Whether it said that all is well when it was asked last; none when it was not asked.
    pub healthy: Option<bool>,
    /// Its lines.
    pub lines: LineCounts,
    /// What it has of what is counted.
    pub quotas: Vec<QuotaView>,
}

impl Manager {
    /// What is counted of every plugin.
    pub fn gauges(&self) -> Vec<PluginGauges> {
        self.slots()
            .iter()
            .map(|slot| {
                let limits =
                    slot.read(|it| it.manifest().map(|it| it.limits)).unwrap_or(self.0.settings.limits);
                let usage = slot.live().map(|it| it.script.usage()).unwrap_or_default();
                let host = self.0.host.tallies(&slot.name);
                let counted = slot.vitals.stats.by_hook().chain([(TASK, &host.tasks)]);
                let calls = counted.map(|(name, tally)| (name, tally.outcomes(), tally.times.read()));
                PluginGauges {
                    name: Arc::clone(&slot.name),
                    state: slot.read(|it| it.state()),
                    breaker_open: slot.vitals.breaker().state == BreakerState::Open,
                    queue_depth: usage.queue_depth,
                    memory_bytes: usage.memory_bytes,
                    calls: calls.filter(|(_, outcomes, _)| !outcomes.is_empty()).collect(),
                    queue: host.queue.read(),
                    deliveries: self.0.registry.journal.deliveries(&slot.name),
                    reloads: slot.vitals.reloads.read(),
                    healthy: slot.read(|it| Some(it.health.of(it.live.as_ref()?.generation)?.ok)),
                    lines: self.lines_of(&slot.name),
                    quotas: QuotaView::all(&self.0.host.quotas(&slot.name), &limits),
                }
            })
            .collect()
    }

    /// VMs that were given up because nothing stopped their script.
    pub fn stuck_vms(&self) -> usize {
        self.0.host.stuck()
    }
}
