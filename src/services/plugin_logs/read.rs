//! Reading lines: the last ones, or what came after a place.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::log_line::{LogLevel, LogLine};

use super::{PluginLog, PluginLogs};

/// Which lines.
#[derive(Debug, Clone)]
pub struct WantedLines {
    /// Of this plugin; all without.
    pub plugin: Option<String>,
    /// Of this level and those that matter more.
    pub level: LogLevel,
    /// With this text in them, whatever its case.
    pub q: Option<String>,
    /// Behind this place; the last ones without.
    pub after: Option<i64>,
    /// The most there may be.
    pub limit: usize,
}

/// Some lines, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct LogPage {
    /// The lines.
    #[schema(value_type = Vec<LogLine>)]
    pub items: Vec<Arc<LogLine>>,
    /// The `after` of what comes next.
    pub next: i64,
    /// Whether there are more behind them already.
    pub more: bool,
    /// Whether lines between `after` and the first one are not kept any more.
    pub gap: bool,
}

impl WantedLines {
    /// All lines of a plugin, or of all.
    pub fn of(plugin: Option<String>) -> Self {
        WantedLines { plugin, level: LogLevel::Debug, q: None, after: None, limit: 100 }
    }
}

impl PluginLogs {
    /// Lines that are wanted.
    pub fn read(&self, wanted: &WantedLines) -> LogPage {
        // Looked at first: a line gets its place and is put there under one lock, so that none up to this one is missed.
        let last = self.last();
        // A place that was never given is of another clock.
        let after = wanted.after.map(|it| it.min(last));
        let logs: Vec<Arc<PluginLog>> = match &wanted.plugin {
            Some(plugin) => self.known(plugin).into_iter().collect(),
            None => self.all(),
        };
        let q = wanted.q.as_ref().map(|it| it.to_lowercase());
        let fits = |it: &Arc<LogLine>| {
            it.id <= last && it.level >= wanted.level && q.as_ref().is_none_or(|q| it.contains(q))
        };
        let (mut items, mut gap) = (Vec::new(), false);
        for log in logs {
            let found: Vec<Arc<LogLine>> = {
                let kept = log.kept.lock();
                gap |= after.is_some_and(|after| after > 0 && kept.has_lost_after(after));
                kept.after(after.unwrap_or(0)).cloned().collect()
            };
            // Looked through without the lock: nobody who says something waits for a reader.
            let found = found.into_iter().filter(fits);
            match after {
                Some(_) => items.extend(found.take(wanted.limit + 1)),
                None => {
                    let found: Vec<Arc<LogLine>> = found.collect();
                    let skip = found.len().saturating_sub(wanted.limit);
                    items.extend(found.into_iter().skip(skip));
                }
            }
        }
        items.sort_unstable_by_key(|it| it.id);
        let more = after.is_some() && items.len() > wanted.limit;
        match after {
            Some(_) => items.truncate(wanted.limit),
            None => drop(items.drain(..items.len().saturating_sub(wanted.limit))),
        }
        let next = match (more, items.last()) {
            (true, Some(line)) => line.id,
            _ => last,
        };
        LogPage { items, next, more, gap }
    }
}
