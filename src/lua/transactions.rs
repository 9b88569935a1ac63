//! The transactions that a call has open on its plugin's own database: at most one for each of its coroutines.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::services::databases::Session;

/// Open transactions by the part of the call that began them.
#[derive(Default)]
pub struct Transactions(OnceLock<Mutex<Vec<Open>>>);

/// The part of the call, and what it has begun.
type Open = (u64, Arc<Session>);

impl Transactions {
    /// The transaction of a part of the call.
    pub fn of(&self, part: u64) -> Option<Arc<Session>> {
        self.0.get()?.lock().iter().find(|(it, _)| *it == part).map(|(_, session)| Arc::clone(session))
    }

    /// Whether a part of the call has one.
    pub fn is_open(&self, part: u64) -> bool {
        self.0.get().is_some_and(|all| all.lock().iter().any(|(it, _)| *it == part))
    }

    /// Keeps the transaction that a part of the call has begun.
    pub fn open(&self, part: u64, session: Arc<Session>) {
        self.0.get_or_init(Mutex::default).lock().push((part, session));
    }

    /// Takes back what was kept for a part of the call.
    pub fn close(&self, part: u64) -> Option<Arc<Session>> {
        let mut open = self.0.get()?.lock();
        let at = open.iter().position(|(it, _)| *it == part)?;
        Some(open.swap_remove(at).1)
    }

    /// Rolls back what a part of the call has left open.
    pub(super) fn abandon(&self, part: u64) {
        if let Some(session) = self.close(part) {
            session.abandon();
        }
    }

    /// Rolls back all that was left open.
    pub(super) fn abandon_all(&self) {
        let Some(all) = self.0.get() else { return };
        for (_, session) in std::mem::take(&mut *all.lock()) {
            session.abandon();
        }
    }
}
