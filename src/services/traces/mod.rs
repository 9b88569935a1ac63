//! What is kept of recorded calls into plugins: the last ones of each hook in memory, failures and samples for good.
//!
//! Whoever runs plugins hands each call over when it has ended ([`PluginTraces::note`]), which costs a place in a
//! ring. A call is written out as a [`Trace`] only when somebody looks at it, or when it is stored, in batches, by
//! [`Traces::run`].

mod compare;
mod keep;
mod read;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::clock::SharedClock;
use crate::config;
use crate::model::trace::{Trace, TraceHead};
use crate::store::Store;

pub use crate::store::TraceFilter;
use room::PerSecond;

pub use compare::{Difference, differences};

/// From where this process counts its moments.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Bits of a number that tell plugins apart.
const ROW_BITS: u32 = 12;

/// Calls that wait to be stored; what comes beyond is counted and dropped.
const MAX_WAITING: usize = 2_000;

/// A call that has ended, as whoever ran it holds it.
pub trait Recorded: Send + Sync {
    /// What a list shows of it.
    fn head(&self) -> TraceHead;
    /// All of it, written out, without secrets.
    fn trace(&self) -> Trace;
    /// Its number.
    fn number(&self) -> i64;
    /// About how many bytes of memory it holds.
    fn bytes(&self) -> usize;
}

/// Recorded calls. Cheap to clone.
#[derive(Clone)]
pub struct Traces(Arc<Shared>);

struct Shared {
    store: Store,
    clock: SharedClock,
    settings: config::Traces,
    desk: Arc<Desk>,
    plugins: RwLock<BTreeMap<Arc<str>, Arc<PluginTraces>>>,
}

/// What all plugins share.
struct Desk {
    last: usize,
    /// Microseconds of the wall clock at [`START`], looked at again and again: the clock may be set.
    start_us: AtomicI64,
    waiting: Mutex<Vec<Arc<dyn Recorded>>>,
    dropped: AtomicU64,
    news: Notify,
}

impl Traces {
    /// Nothing recorded yet in this process.
    pub fn new(store: Store, clock: SharedClock, settings: config::Traces) -> Self {
        let desk = Desk {
            last: settings.last,
            start_us: AtomicI64::new(0),
            waiting: Mutex::default(),
            dropped: AtomicU64::new(0),
            news: Notify::new(),
        };
        desk.look_at_clock(&clock);
        Traces(Arc::new(Shared { store, clock, settings, desk: Arc::new(desk), plugins: RwLock::default() }))
    }

    /// The calls of a plugin; none when nothing is recorded.
    pub fn plugin(&self, name: &Arc<str>) -> Option<Arc<PluginTraces>> {
        if !self.0.settings.enabled {
            return None;
        }
        if let Some(found) = self.0.plugins.read().get(name) {
            return Some(Arc::clone(found));
        }
        let mut plugins = self.0.plugins.write();
        let row = i64::try_from(plugins.len()).unwrap_or_default() % (1 << ROW_BITS);
        let desk = Arc::clone(&self.0.desk);
        let settings = &self.0.settings;
        let made = || {
            Arc::new(PluginTraces {
                desk,
                row,
                last_us: AtomicI64::new(0),
                failures: PerSecond::new(settings.failures_per_second),
                samples: PerSecond::new(settings.samples_per_second),
                rings: Mutex::default(),
            })
        };
        Some(Arc::clone(plugins.entry(Arc::clone(name)).or_insert_with(made)))
    }

    /// Bytes that one call may hold.
    pub fn call_bytes(&self) -> usize {
        self.0.settings.call_kib << 10
    }

    /// By plugin, calls that failed or were refused and were not stored, because there were more a second than are.
    pub fn not_stored(&self) -> Vec<(Arc<str>, u64)> {
        let plugins = self.0.plugins.read();
        plugins.iter().map(|(name, it)| (Arc::clone(name), it.failures.refused())).collect()
    }

    /// Calls that were to be stored and were not, because too many came at once.
    pub fn dropped(&self) -> u64 {
        self.0.desk.dropped.load(Ordering::Relaxed)
    }
}

/// The recorded calls of one plugin.
pub struct PluginTraces {
    desk: Arc<Desk>,
    /// Tells the numbers of its calls from those of other plugins in the same microsecond.
    row: i64,
    /// The microsecond in the number of its last call.
    last_us: AtomicI64,
    failures: PerSecond,
    samples: PerSecond,
    /// The last calls of each hook, oldest first.
    rings: Mutex<Vec<Ring>>,
}

struct Ring {
    hook: &'static str,
    calls: VecDeque<Arc<dyn Recorded>>,
}

impl PluginTraces {
    /// The number of a call that has ended at `us`, microseconds since 1970 UTC: numbers grow with time, and no two
    /// are the same. Nothing that plugins share is written for it.
    pub fn number_at(&self, us: i64) -> i64 {
        let next = |last: i64| us.max(last.saturating_add(1));
        let last = self.last_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        (next(last.unwrap_or_default()) << ROW_BITS) | self.row
    }

    /// The wall clock at `moment`, in microseconds since 1970 UTC, as far as is known without asking it.
    pub fn at_us(&self, moment: Instant) -> i64 {
        let since = moment.saturating_duration_since(*START);
        self.desk
            .start_us
            .load(Ordering::Relaxed)
            .saturating_add(i64::try_from(since.as_micros()).unwrap_or_default())
    }

    /// Whether a call that failed or was refused can be stored: its second has a place for it, which is taken then.
    pub fn takes_failure(&self, number: i64) -> bool {
        self.failures.take(number >> ROW_BITS)
    }

    /// Whether a call that ended well can be stored as a sample: its second has a place for it, which is taken then.
    pub fn takes_sample(&self, number: i64) -> bool {
        self.samples.take(number >> ROW_BITS)
    }

    /// Takes a call that has ended; `store` says whether it shall outlive the process.
    pub fn note(&self, hook: &'static str, call: Arc<dyn Recorded>, store: bool) {
        if store {
            self.desk.store(Arc::clone(&call));
        }
        if self.desk.last == 0 {
            return;
        }
        let mut rings = self.rings.lock();
        let at = match rings.iter().position(|it| it.hook == hook) {
            Some(at) => at,
            None => {
                rings.push(Ring { hook, calls: VecDeque::new() });
                rings.len() - 1
            }
        };
        let ring = &mut rings[at].calls;
        let gone = if ring.len() >= self.desk.last { ring.pop_front() } else { None };
        ring.push_back(call);
        drop(rings);
        drop(gone);
    }

    /// All calls that are held.
    fn held(&self) -> Vec<Arc<dyn Recorded>> {
        self.rings.lock().iter().flat_map(|it| it.calls.iter().cloned()).collect()
    }

    /// Lets go of the oldest calls until the rest takes no more than `bytes`.
    fn shrink(&self, bytes: usize) {
        let mut held: Vec<(i64, usize)> = self.held().iter().map(|it| (it.number(), it.bytes())).collect();
        held.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let mut sum = 0;
        let Some(last) = held.iter().find(|(_, size)| {
            sum += size;
            sum > bytes
        }) else {
            return;
        };
        let last = last.0;
        let mut gone = Vec::new();
        for ring in self.rings.lock().iter_mut() {
            while ring.calls.front().is_some_and(|it| it.number() <= last) {
                gone.extend(ring.calls.pop_front());
            }
        }
        drop(gone);
    }
}

impl Desk {
    fn look_at_clock(&self, clock: &SharedClock) {
        let since = i64::try_from(START.elapsed().as_micros()).unwrap_or_default();
        self.start_us.store(clock.now_us() - since, Ordering::Relaxed);
    }

    fn store(&self, call: Arc<dyn Recorded>) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MAX_WAITING {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push(call);
        drop(waiting);
        self.news.notify_one();
    }
}
