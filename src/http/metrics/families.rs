//! What is told: plugins, requests, events, the writer, the process.

use std::sync::OnceLock;
use std::time::Duration;

use crate::disk;
use crate::error::Result;
use crate::events::Journal;
use crate::http::state::HttpState;
use crate::model::log_line::LogLevel;
use crate::model::plugin::PluginState;
use crate::model::tally::Histogram;
use crate::plugins::manager::PluginGauges;
use crate::services::events::SubscriberBacklog;

use super::text::{Families, Family};

/// Statuses that are told apart; others are told as `other`.
const STATUSES: &[u16] = &[
    200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 416, 421, 422, 428, 429,
    500, 503, 504, 507,
];

/// How long the requests of one route took, by status.
#[derive(Debug)]
pub struct RouteTimes([OnceLock<Box<Histogram>>; STATUSES.len() + 1]);

impl Default for RouteTimes {
    fn default() -> Self {
        RouteTimes(std::array::from_fn(|_| OnceLock::new()))
    }
}

impl RouteTimes {
    /// Counts one request.
    pub fn record(&self, status: u16, took: Duration) {
        let at = STATUSES.iter().position(|it| *it == status).unwrap_or(STATUSES.len());
        self.0[at].get_or_init(Box::default).record(took);
    }

    fn by_status(&self) -> impl Iterator<Item = (String, &Histogram)> {
        let names = STATUSES.iter().map(u16::to_string).chain(["other".to_owned()]);
        names.zip(&self.0).filter_map(|(name, times)| Some((name, &**times.get()?)))
    }
}

/// The whole text.
pub(super) fn all(state: &HttpState, backlogs: &[SubscriberBacklog]) -> Result<Vec<u8>> {
    let mut all = Families::default();
    plugins(&mut all, &state.manager.gauges(), &state.services.journal);
    subscribers(&mut all, backlogs);
    requests(&mut all, state);
    let mut published =
        Family::counter("panotti_events_published_total", "Events written to the journal, by type.");
    for (kind, count) in state.services.journal.published() {
        published.value(&[("type", &kind)], count as f64);
    }
    all.add(published);
    let mut lost = Family::counter(
        "panotti_traces_not_stored_total",
        "Calls that failed or were refused beyond traces.failures_per_second.",
    );
    for (plugin, count) in state.services.traces.not_stored() {
        lost.value(&[("plugin", &plugin)], count as f64);
    }
    all.add(lost);
    let mut one = |name: &str, help: &str, value: f64| {
        let mut family = match name.ends_with("_total") {
            true => Family::counter(name, help),
            false => Family::gauge(name, help),
        };
        family.value(&[], value);
        all.add(family);
    };
    let store = &state.services.store;
    one(
        "panotti_store_commits_total",
        "Commits of the writer; one carries many changes.",
        store.commits() as f64,
    );
    one(
        "panotti_traces_dropped_total",
        "Recorded calls that were not stored because too many came at once.",
        state.services.traces.dropped() as f64,
    );
    let kept = store.read(|r| r.journal_size())?;
    one("panotti_events_stored", "Events on the journal.", kept.events as f64);
    one("panotti_events_stored_bytes", "About what they take, without deliveries.", kept.bytes as f64);
    let removed = state.services.journal.removed();
    one("panotti_events_removed_total", "Events removed because they have had their time.", removed as f64);
    let stopped = state.services.journal.stopped();
    one(
        "panotti_events_stopped_total",
        "Events not published because limits.event_depth events had led to each other.",
        stopped as f64,
    );
    one(
        "panotti_store_failed_changes_total",
        "Changes that were not stored because their transaction failed.",
        store.failed_changes() as f64,
    );
    one(
        "panotti_store_disk_full",
        "1 while changes are refused because the disk is full or cannot be written.",
        f64::from(u8::from(store.is_disk_full())),
    );
    if let Some(bytes) = disk::free_bytes(&state.settings.data_dir) {
        one("panotti_disk_free_bytes", "Room on the disk of the data folder.", bytes as f64);
    }
    one("panotti_store_queue_depth", "Changes that wait for the writer.", store.waiting() as f64);
    one(
        "panotti_vms_stuck_total",
        "VMs given up because nothing stopped their script.",
        state.manager.stuck_vms() as f64,
    );
    process(&mut one);
    let mut build = Family::gauge("panotti_build_info", "The version that runs.");
    build.value(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    all.add(build);
    all.text()
}

fn plugins(all: &mut Families, plugins: &[PluginGauges], journal: &Journal) {
    let mut calls =
        Family::counter("panotti_hook_calls_total", "Entries into Lua, by what was called and how it ended.");
    let mut times = Family::histogram("panotti_hook_duration_seconds", "How long calls into Lua took.");
    let mut queues = Family::histogram("panotti_hook_queue_seconds", "How long calls waited for their turn.");
    let mut memory = Family::gauge("panotti_vm_memory_bytes", "Memory of a plugin's VMs.");
    let mut states = Family::gauge("panotti_plugin_state", "1 for the state a plugin is in.");
    let mut breakers = Family::gauge("panotti_breaker_open", "1 while a plugin is left alone.");
    let mut depth = Family::gauge("panotti_queue_depth", "Calls that wait for a plugin.");
    let mut deliveries = Family::counter(
        "panotti_deliveries_total",
        "Deliveries of events to a plugin, or webhook/<id>, by how they ended.",
    );
    let mut reloads =
        Family::counter("panotti_reloads_total", "Loads of a new version in place of a running one.");
    let mut healthy =
        Family::gauge("panotti_plugin_healthy", "1 when a plugin said last that it is well, 0 when not.");
    let mut lines = Family::counter("panotti_plugin_log_lines_total", "Lines of a plugin, by level.");
    let mut dropped =
        Family::counter("panotti_plugin_log_dropped_total", "Lines of a plugin that were too many.");
    let mut used = Family::gauge("panotti_quota_used", "How much a plugin has of what is counted.");
    let mut peak = Family::gauge("panotti_quota_peak", "The most it had since the server started.");
    let mut limit = Family::gauge("panotti_quota_limit", "How much it may have.");
    let mut refused = Family::counter("panotti_quota_refused_total", "How often it was refused more.");
    for plugin in plugins {
        let name = &*plugin.name;
        for (hook, outcomes, took) in &plugin.calls {
            for (outcome, count) in outcomes {
                calls
                    .value(&[("plugin", name), ("hook", hook), ("outcome", outcome.as_str())], *count as f64);
            }
            times.times(&[("plugin", name), ("hook", hook)], took);
        }
        if plugin.queue.count > 0 {
            queues.times(&[("plugin", name)], &plugin.queue);
        }
        memory.value(&[("plugin", name)], plugin.memory_bytes as f64);
        for state in PluginState::ALL {
            let is_in = f64::from(u8::from(*state == plugin.state));
            states.value(&[("plugin", name), ("state", state.as_str())], is_in);
        }
        breakers.value(&[("plugin", name)], f64::from(u8::from(plugin.breaker_open)));
        depth.value(&[("plugin", name)], plugin.queue_depth as f64);
        for (outcome, count) in &plugin.deliveries {
            deliveries.value(&[("plugin", name), ("outcome", outcome)], *count as f64);
        }
        for (outcome, count) in &plugin.reloads {
            reloads.value(&[("plugin", name), ("outcome", outcome)], *count as f64);
        }
        if let Some(is_well) = plugin.healthy {
            healthy.value(&[("plugin", name)], f64::from(u8::from(is_well)));
        }
        for level in LogLevel::ALL {
            let said = plugin.lines.said[level as usize];
            lines.value(&[("plugin", name), ("level", level.as_str())], said as f64);
        }
        dropped.value(&[("plugin", name)], plugin.lines.dropped as f64);
        for quota in &plugin.quotas {
            let labels = [("plugin", name), ("quota", quota.name)];
            used.value(&labels, quota.used as f64);
            peak.value(&labels, quota.peak as f64);
            limit.value(&labels, quota.limit as f64);
            refused.value(&labels, quota.refused as f64);
        }
    }
    for (webhook, _) in journal.subscribers().others_patterns() {
        for (outcome, count) in journal.deliveries(&webhook) {
            deliveries.value(&[("plugin", &webhook), ("outcome", &outcome)], count as f64);
        }
    }
    for family in [
        calls, times, queues, memory, states, breakers, depth, deliveries, reloads, healthy, lines, dropped,
        used, peak, limit, refused,
    ] {
        all.add(family);
    }
}

/// What plugins and webhooks are still to be told of.
fn subscribers(all: &mut Families, backlogs: &[SubscriberBacklog]) {
    let mut open = Family::gauge(
        "panotti_deliveries_open",
        "Events that a plugin, or webhook/<id>, is still to be told of.",
    );
    let mut oldest = Family::gauge(
        "panotti_deliveries_oldest_seconds",
        "How long the oldest of them has waited; 0 when there is none.",
    );
    let mut given_up = Family::gauge(
        "panotti_deliveries_given_up",
        "Events told in vain, kept until somebody has them told again.",
    );
    for it in backlogs {
        let labels = [("plugin", &*it.subscriber)];
        open.value(&labels, it.open as f64);
        oldest.value(&labels, it.oldest_s);
        given_up.value(&labels, it.given_up as f64);
    }
    for family in [open, oldest, given_up] {
        all.add(family);
    }
}

fn requests(all: &mut Families, state: &HttpState) {
    let mut family = Family::histogram(
        "panotti_http_request_duration_seconds",
        "How long requests took, plugins' answers included, by route and status.",
    );
    for (method, route, times) in state.route_times() {
        for (status, times) in times.by_status() {
            let labels = [("method", method.as_str()), ("route", route), ("status", status.as_str())];
            family.times(&labels, &times.read());
        }
    }
    all.add(family);
}

/// What the system says of the process; nothing where it says nothing.
fn process(one: &mut impl FnMut(&str, &str, f64)) {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|it| it.split_whitespace().nth(1)?.parse::<f64>().ok());
    if let Some(pages) = pages {
        let page = rustix::param::page_size() as f64;
        one("process_resident_memory_bytes", "Memory of the process.", pages * page);
    }
    if let Some(open) = open_files() {
        one("process_open_fds", "Files and connections the process has open.", open as f64);
    }
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
    one("process_cpu_seconds_total", "CPU time of the process.", seconds);
}

/// How many files and connections are open. Linux 6.2 and later tell it as the size of a folder; before, all are looked at, which
/// takes a millisecond with some thousand connections.
fn open_files() -> Option<u64> {
    const ALL: &str = "/proc/self/fd";
    match std::fs::metadata(ALL).map(|it| it.len()) {
        Ok(0) | Err(_) => Some(std::fs::read_dir(ALL).ok()?.count() as u64),
        told => told.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_counted() {
        let files: Vec<_> = (0..500).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let many = open_files().unwrap();
        drop(files);
        let few = open_files().unwrap();
        // Other tests open and close files at the same time.
        assert!((few + 300..few + 700).contains(&many), "{few} {many}");
    }
}
