//! The last lines of each plugin, its own and those the server says of it, in memory, for whoever reads or follows.
//!
//! A line has a place (`id`) that is also about its time: it counts up over all plugins and over restarts, so that one
//! number says where a reader stands. What a plugin says beyond its rate is dropped before it costs anything, counted,
//! and told once a second in a line of its own.

mod kept;
mod lane;
mod read;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use tokio::sync::watch;

use crate::clock::SharedClock;
use crate::config;
use crate::model::log_line::{LogLevel, LogLine, LogSource};
use crate::model::time::Timestamp;

use kept::Kept;
use lane::Lane;

pub use read::{LogPage, WantedLines};

/// The target of lines of plugins in the server's own log.
pub const TARGET: &str = "plugin";

/// The lines of all plugins. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct PluginLogs(Arc<Shared>);

struct Shared {
    keep: config::Logs,
    clock: SharedClock,
    /// Lines before this moment are those of a former process.
    born: i64,
    /// The last place that was given.
    last: AtomicI64,
    news: watch::Sender<i64>,
    plugins: RwLock<BTreeMap<Arc<str>, Arc<PluginLog>>>,
}

/// The lines of one plugin.
pub struct PluginLog {
    plugin: Arc<str>,
    shared: std::sync::Weak<Shared>,
    kept: Mutex<Kept>,
    /// Of lines that the server's log shows, too.
    own: Lane,
    /// Of lines that it does not show.
    quiet: Lane,
    /// Of what the server says.
    servers: Lane,
    /// Of the server's, those about tasks: one call starts any number of them, and how it ended itself must be told.
    tasks: Lane,
    closed: AtomicBool,
}

/// A line to be.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The generation that said it, or of which it is said.
    pub generation: Option<u64>,
    /// The hook that ran.
    pub hook: Option<String>,
    /// The request that set it off.
    pub request_id: Option<String>,
    /// The text.
    pub message: String,
    /// What else was said, by name.
    pub fields: Value,
}

/// How many lines were said and dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines by level, from debug to error.
    pub said: [u64; 4],
    /// Lines that were too many.
    pub dropped: u64,
}

impl PluginLogs {
    /// Nothing said yet.
    pub fn new(keep: config::Logs, clock: SharedClock) -> Self {
        let born = clock.now_us();
        PluginLogs(Arc::new(Shared {
            keep,
            clock,
            born,
            last: AtomicI64::new(born),
            news: watch::Sender::new(born),
            plugins: RwLock::default(),
        }))
    }

    /// The lines of a plugin, which are kept from now on.
    pub fn of(&self, plugin: &Arc<str>) -> Arc<PluginLog> {
        if let Some(known) = self.known(plugin) {
            return known;
        }
        let mut plugins = self.0.plugins.write();
        let made = || Arc::new(PluginLog::new(Arc::clone(plugin), &self.0));
        Arc::clone(plugins.entry(Arc::clone(plugin)).or_insert_with(made))
    }

    /// The lines of a plugin, when they are kept.
    pub fn known(&self, plugin: &str) -> Option<Arc<PluginLog>> {
        self.0.plugins.read().get(plugin).cloned()
    }

    /// Forgets the lines of a plugin; whoever follows them is told of the end.
    pub fn forget(&self, plugin: &str) {
        let gone = self.0.plugins.write().remove(plugin);
        if let Some(gone) = gone {
            gone.closed.store(true, Ordering::Release);
            self.0.news.send_modify(|_| {});
        }
    }

    /// Changes whenever there is a line that was not there before, or a plugin was forgotten.
    pub fn news(&self) -> watch::Receiver<i64> {
        self.0.news.subscribe()
    }

    /// The place of the last line.
    pub fn last(&self) -> i64 {
        self.0.last.load(Ordering::Acquire)
    }

    /// Says of every plugin how many of its lines were dropped since this was said last.
    pub fn tell_dropped(&self) {
        let all: Vec<Arc<PluginLog>> = self.0.plugins.read().values().cloned().collect();
        all.iter().for_each(|it| it.tell_dropped());
    }

    fn all(&self) -> Vec<Arc<PluginLog>> {
        self.0.plugins.read().values().cloned().collect()
    }
}

impl PluginLog {
    fn new(plugin: Arc<str>, shared: &Arc<Shared>) -> Self {
        let config::Logs { server_per_s: per_s, server_burst: burst, .. } = shared.keep;
        PluginLog {
            plugin,
            shared: Arc::downgrade(shared),
            kept: Mutex::new(Kept::new(shared.born)),
            own: Lane::default(),
            quiet: Lane::default(),
            servers: Lane::new(per_s, burst),
            tasks: Lane::new(per_s, burst),
            closed: AtomicBool::new(false),
        }
    }

    /// The plugin may say so many lines a second, after `burst` at once; what it has said counts.
    pub fn limit(&self, per_s: u64, burst: u64) {
        self.own.set(per_s, burst);
        self.quiet.set(per_s, burst);
    }

    /// Whether the plugin may say one more line now; one that may not is counted as dropped. `is_shown` says whether
    /// the server's log shows it, too: lines that it does not show never cost those that it does their place.
    pub fn may_say(&self, is_shown: bool) -> bool {
        if is_shown { self.own.take() } else { self.quiet.take() }
    }

    /// The same for a line of the server, about a task of the plugin's or about anything else.
    pub fn server_may_say(&self, about_task: bool) -> bool {
        if about_task { self.tasks.take() } else { self.servers.take() }
    }

    /// Keeps a line.
    pub fn say(&self, source: LogSource, level: LogLevel, said: Said) {
        let Some(shared) = self.shared.upgrade() else { return };
        let now = shared.clock.now_us();
        let mut kept = self.kept.lock();
        // Given under the lock: whoever has seen the number finds the line, see `read`.
        let next = |last: i64| Some(last.saturating_add(1).max(now));
        let before = shared.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        let id = before.unwrap_or_else(|last| last).saturating_add(1).max(now);
        let line = LogLine {
            id,
            at: Timestamp(now),
            level,
            plugin: self.plugin.to_string(),
            source,
            generation: said.generation,
            hook: said.hook,
            request_id: said.request_id,
            message: said.message,
            fields: said.fields,
        };
        kept.push(Arc::new(line), shared.keep);
        drop(kept);
        shared.news.send_modify(|last| *last = (*last).max(id));
    }

    /// Whether the plugin was deleted.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// How many lines there were.
    pub fn counts(&self) -> LineCounts {
        let dropped = [&self.own, &self.quiet, &self.servers, &self.tasks].map(Lane::dropped).iter().sum();
        LineCounts { said: self.kept.lock().said(), dropped }
    }

    fn tell_dropped(&self) {
        if let Some((dropped, per_s)) = self.own.untold() {
            let message =
                format!("{} dropped: a plugin may log {per_s} a second (limits.log_per_s)", lines(dropped));
            log::warn!(target: TARGET, plugin = &*self.plugin; "{message}");
            self.say(LogSource::Server, LogLevel::Warn, Said { message, ..Said::default() });
        }
        if let Some((dropped, per_s)) = self.quiet.untold() {
            let message = format!(
                "{} of a level that the server's log does not show dropped: a plugin may log {per_s} a second (limits.log_per_s)",
                lines(dropped)
            );
            self.say(LogSource::Server, LogLevel::Debug, Said { message, ..Said::default() });
        }
        for (lane, whom) in [(&self.servers, "this plugin"), (&self.tasks, "this plugin's tasks")] {
            if let Some((dropped, per_s)) = lane.untold() {
                let message = format!(
                    "{} dropped that the server had to say about {whom}: it may say {per_s} a second (logs.server_per_s)",
                    lines(dropped)
                );
                log::warn!(target: TARGET, plugin = &*self.plugin; "{message}");
                self.say(LogSource::Server, LogLevel::Warn, Said { message, ..Said::default() });
            }
        }
    }
}

fn lines(count: u64) -> String {
    match count {
        1 => "1 line was".to_owned(),
        many => format!("{many} lines were"),
    }
}

#[cfg(test)]
mod tests;
