//! What the hooks of a connection look at while a statement runs: who runs it, until when, what it was refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::model::call::Emitted;

use super::fault::DbFault;

/// Makes an event of a row that a plugin inserts into `events`: its type and its data.
pub type Publish = Arc<dyn Fn(&str, Option<&str>) -> Result<Emitted, DbFault> + Send + Sync>;

/// Who runs the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    /// The host itself, with its own text.
    #[default]
    Host,
    /// The plugin, or its migrations.
    Plugin,
}

/// Why a statement was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has lasted as long as a statement may.
    Statement,
    /// The call it belongs to is over.
    Call,
}

/// Shared between a connection and its hooks.
#[derive(Default)]
pub(super) struct Gauge(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    mode: Mode,
    statement_until: Option<Instant>,
    call_until: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
    stopped: Option<Stop>,
    denied: Option<String>,
    inserts: bool,
    publish: Option<Publish>,
    refused: Option<DbFault>,
    events: Vec<Emitted>,
}

/// What a statement has left behind in the gauge.
pub(super) struct Seen {
    pub(super) stopped: Option<Stop>,
    pub(super) denied: Option<String>,
    pub(super) inserts: bool,
    /// Why an event was not taken.
    pub(super) refused: Option<DbFault>,
    pub(super) events: Vec<Emitted>,
}

/// Bounds of one statement of a plugin.
#[derive(Clone, Default)]
pub(super) struct Bounds {
    pub(super) statement_until: Option<Instant>,
    pub(super) call_until: Option<Instant>,
    pub(super) cancelled: Option<Arc<AtomicBool>>,
    pub(super) publish: Option<Publish>,
}

impl Gauge {
    /// A statement of the plugin begins.
    pub(super) fn begin(&self, bounds: Bounds) {
        let Bounds { statement_until, call_until, cancelled, publish } = bounds;
        *self.0.lock() =
            Inner { mode: Mode::Plugin, statement_until, call_until, cancelled, publish, ..Inner::default() };
    }

    /// It has ended: the connection is the host's again.
    pub(super) fn end(&self) -> Seen {
        let inner = std::mem::take(&mut *self.0.lock());
        Seen {
            stopped: inner.stopped,
            denied: inner.denied,
            inserts: inner.inserts,
            refused: inner.refused,
            events: inner.events,
        }
    }

    /// Runs `work` as the host, in the middle of the plugin's statement.
    pub(super) fn as_host<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = std::mem::replace(&mut self.0.lock().mode, Mode::Host);
        let done = work();
        self.0.lock().mode = before;
        done
    }

    pub(super) fn mode(&self) -> Mode {
        self.0.lock().mode
    }

    /// Whether the statement must stop now.
    pub(super) fn is_over(&self) -> bool {
        let mut inner = self.0.lock();
        if inner.mode == Mode::Host {
            return false;
        }
        let now = Instant::now();
        let cancelled = inner.cancelled.as_ref().is_some_and(|it| it.load(Ordering::Relaxed));
        let past = |until: Option<Instant>| until.is_some_and(|it| now >= it);
        if cancelled || past(inner.call_until) {
            inner.stopped = Some(Stop::Call);
        } else if past(inner.statement_until) {
            inner.stopped = Some(Stop::Statement);
        }
        inner.stopped.is_some()
    }

    /// Notes what was refused, in words for the author; the first one counts.
    pub(super) fn deny(&self, what: String) {
        self.0.lock().denied.get_or_insert(what);
    }

    /// Notes that the statement itself inserts rows.
    pub(super) fn note_insert(&self) {
        self.0.lock().inserts = true;
    }

    /// Takes an event that a statement inserts; false when it was refused.
    pub(super) fn publish(&self, kind: &str, data: Option<&str>) -> bool {
        let publish = self.0.lock().publish.clone();
        let made = match publish {
            Some(publish) => publish(kind, data),
            None => Err(DbFault::sql("events are inserted by hooks of a plugin alone")),
        };
        let mut inner = self.0.lock();
        match made {
            Ok(event) => inner.events.push(event),
            Err(fault) => {
                inner.refused.get_or_insert(fault);
                return false;
            }
        }
        true
    }
}
