//! How far a backup is, for those who look, and the wish to end it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::model::backup::{BackupFault, BackupPhase};

/// How far a backup is. Shared by whoever makes it and those who look.
#[derive(Debug, Default)]
pub struct Progress {
    phase: Mutex<BackupPhase>,
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
    /// Bytes after which the disk passes as full; 0 = it never does.
    #[cfg(test)]
    room: AtomicU64,
}

impl Progress {
    /// What is being done.
    pub fn phase(&self) -> BackupPhase {
        *self.phase.lock()
    }

    /// Bytes done, and bytes there are as far as known.
    pub fn bytes(&self) -> (u64, u64) {
        let done = self.done.load(Ordering::Relaxed);
        (done, self.total.load(Ordering::Relaxed).max(done))
    }

    /// Asks for the end.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the end was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Goes on only while nobody has asked for the end.
    pub(super) fn check(&self) -> Result<(), BackupFault> {
        if self.is_cancelled() { Err(BackupFault::Cancelled) } else { Ok(()) }
    }

    pub(super) fn enter(&self, phase: BackupPhase) {
        *self.phase.lock() = phase;
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// One whose disk is full after so many bytes.
    #[cfg(test)]
    pub(super) fn with_room(bytes: u64) -> Self {
        Progress { room: AtomicU64::new(bytes), ..Progress::default() }
    }

    #[cfg(test)]
    pub(super) fn take_room(&self, bytes: u64) -> std::io::Result<()> {
        let room = self.room.load(Ordering::Relaxed);
        if room == 0 {
            return Ok(());
        }
        self.room.store(room.saturating_sub(bytes).max(1), Ordering::Relaxed);
        if bytes < room { Ok(()) } else { Err(std::io::ErrorKind::StorageFull.into()) }
    }

    pub(super) fn did(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}
