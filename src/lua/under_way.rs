//! Keys that calls have written and not committed yet, counted for all VMs of a plugin: what is stored says
//! nothing of them, and many calls at once would pass the quota together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::quota::Quotas;

/// What all calls of a plugin have written and not committed yet.
#[derive(Debug, Default)]
pub struct Pending {
    keys: AtomicU64,
    bytes: AtomicU64,
    /// How many calls have ended or committed: what was read of the store before may be out of date.
    ended: AtomicU64,
}

/// Keys, and bytes of keys and values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub keys: u64,
    /// Theirs and their values'.
    pub bytes: u64,
}

/// What one call has written; counted until this is dropped, which is after the commit.
#[derive(Debug)]
pub struct UnderWay {
    quotas: Arc<Quotas>,
    own: Mutex<Own>,
}

#[derive(Debug, Default)]
struct Own {
    written: Amount,
    /// What the store had, and how many calls had ended before it was asked.
    stored: Option<(u64, Amount)>,
}

impl UnderWay {
    /// A call of the plugin that has written nothing.
    pub fn new(quotas: &Arc<Quotas>) -> Arc<Self> {
        Arc::new(UnderWay { quotas: Arc::clone(quotas), own: Mutex::default() })
    }

    /// Counts a write of so many bytes if `fits` says so of what is stored and under way before it; that, when
    /// it does not fit. `stored` is asked only when it may have changed.
    ///
    /// # Errors
    /// Those of `stored`.
    pub fn add<E>(
        &self,
        bytes: u64,
        stored: impl Fn() -> Result<Amount, E>,
        fits: impl Fn(Amount) -> bool,
    ) -> Result<Result<(), Amount>, E> {
        let pending = &self.quotas.pending;
        let mut own = self.own.lock();
        // Counted first: of two at once one sees the other. Read before the store: what commits in between
        // counts twice rather than never.
        let before = Amount {
            keys: pending.keys.fetch_add(1, Ordering::SeqCst),
            bytes: pending.bytes.fetch_add(bytes, Ordering::SeqCst),
        };
        let total = |it: Amount| Amount { keys: it.keys + before.keys, bytes: it.bytes + before.bytes };
        let ended = pending.ended.load(Ordering::SeqCst);
        let known = own.stored.filter(|(at, it)| *at == ended && fits(total(*it)));
        let now = match known {
            Some((_, it)) => Ok(it),
            None => stored(),
        };
        match now {
            Ok(it) if fits(total(it)) => {
                own.stored = Some((ended, it));
                own.written.keys += 1;
                own.written.bytes += bytes;
                Ok(Ok(()))
            }
            other => {
                pending.take_back(Amount { keys: 1, bytes });
                other.map(|it| Err(total(it)))
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // First: whoever misses what is taken back asks the store again.
        self.quotas.pending.ended.fetch_add(1, Ordering::SeqCst);
        self.quotas.pending.take_back(self.own.get_mut().written);
    }
}

impl Pending {
    fn take_back(&self, amount: Amount) {
        self.keys.fetch_sub(amount.keys, Ordering::SeqCst);
        self.bytes.fetch_sub(amount.bytes, Ordering::SeqCst);
    }

    /// What it is now.
    pub fn now(&self) -> Amount {
        Amount { keys: self.keys.load(Ordering::SeqCst), bytes: self.bytes.load(Ordering::SeqCst) }
    }
}
