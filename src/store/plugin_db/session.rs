//! A transaction that stays open between statements. It ends with a commit or is rolled back, however it is let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::model::call::Emitted;

use super::database::{Cancel, Database, Turn, panicked};
use super::fault::{DbFault, DbFaultKind};
use super::statement::{Answer, Opened, Request};

/// An open transaction of one plugin.
pub struct Session {
    database: Arc<Database>,
    turn: Arc<Mutex<Option<Turn>>>,
    state: Mutex<State>,
    over: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// For each savepoint, how many events there were before it.
    savepoints: Vec<usize>,
    /// Events that are published when it commits.
    events: Vec<Emitted>,
    /// Why SQLite gave it up.
    broken: Option<DbFault>,
}

impl Session {
    pub(super) fn new(database: Arc<Database>, turn: Turn) -> Arc<Self> {
        let turn = Arc::new(Mutex::new(Some(turn)));
        Arc::new(Session { database, turn, state: Mutex::default(), over: Arc::default() })
    }

    /// How many savepoints are open.
    pub fn depth(&self) -> usize {
        self.state.lock().savepoints.len()
    }

    /// Runs one statement; one that fails leaves the transaction as it was before it.
    ///
    /// # Errors
    /// What became of it instead.
    pub async fn run(self: &Arc<Self>, request: Request) -> Result<Answer, DbFault> {
        let cancel = Cancel::default();
        let cancelled = Arc::clone(&cancel.0);
        let mut answer = self.work(move |opened| opened.run(&request, &cancelled, true)).await?;
        self.state.lock().events.append(&mut answer.events);
        Ok(answer)
    }

    /// Opens a savepoint: a transaction within the transaction.
    ///
    /// # Errors
    /// The transaction is over.
    pub async fn save(self: &Arc<Self>) -> Result<(), DbFault> {
        let depth = self.depth();
        self.work(move |opened| opened.host(&format!("SAVEPOINT _panotti_{depth}"))).await?;
        let mut state = self.state.lock();
        let before = state.events.len();
        state.savepoints.push(before);
        Ok(())
    }

    /// Keeps what was done since the last savepoint, or takes it back.
    ///
    /// # Errors
    /// The transaction is over.
    pub async fn end_savepoint(self: &Arc<Self>, keep: bool) -> Result<(), DbFault> {
        let before = self.state.lock().savepoints.pop();
        let Some(before) = before else { return Err(DbFault::rolled_back("no savepoint is open")) };
        if !keep {
            self.state.lock().events.truncate(before);
        }
        let name = format!("_panotti_{}", self.depth());
        let sql = match keep {
            true => format!("RELEASE {name}"),
            false => format!("ROLLBACK TO {name}; RELEASE {name}"),
        };
        self.work(move |opened| opened.host(&sql)).await
    }

    /// Commits all of it and answers the events it publishes; others have their turn again.
    ///
    /// # Errors
    /// It was rolled back instead.
    pub async fn commit(self: &Arc<Self>) -> Result<(Vec<Emitted>, Option<u64>), DbFault> {
        let committed = self
            .work(|opened| {
                opened.host("COMMIT")?;
                Ok(opened.file_bytes())
            })
            .await;
        self.rollback().await;
        Ok((std::mem::take(&mut self.state.lock().events), committed?))
    }

    /// Takes all of it back; others have their turn again.
    pub async fn rollback(self: &Arc<Self>) {
        self.over.store(true, Ordering::Relaxed);
        let turn = Arc::clone(&self.turn);
        let _ = self.database.runtime.spawn_blocking(move || let_go(&turn)).await;
    }

    /// The same in the background: nobody waits, and a statement under way is stopped.
    pub fn abandon(&self) {
        if !self.over.swap(true, Ordering::Relaxed) {
            let turn = Arc::clone(&self.turn);
            drop(self.database.runtime.spawn_blocking(move || let_go(&turn)));
        }
    }

    async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Opened) -> Result<T, DbFault> + Send + 'static,
    ) -> Result<T, DbFault> {
        let own = Arc::clone(self);
        let done = self.database.runtime.spawn_blocking(move || own.on_turn(work));
        done.await.unwrap_or_else(|_| Err(panicked()))
    }

    fn on_turn<T>(&self, work: impl FnOnce(&mut Opened) -> Result<T, DbFault>) -> Result<T, DbFault> {
        let mut turn = self.turn.lock();
        if let Some(broken) = self.state.lock().broken.clone() {
            return Err(broken);
        }
        let over = || DbFault::rolled_back("the transaction is over: the call that began it has ended");
        if self.over.load(Ordering::Relaxed) {
            return Err(over());
        }
        let turn = turn.as_mut().ok_or_else(over)?;
        let Some(opened) = turn.as_mut() else { return Err(panicked()) };
        let done = work(opened);
        let ended = opened.connection.is_autocommit();
        let done = self.database.note(turn, done);
        if let Err(fault) = &done
            && (ended || fault.kind == DbFaultKind::Corrupt)
        {
            let message = format!("the transaction was rolled back: {}", fault.message);
            self.state.lock().broken = Some(DbFault { message, ..fault.clone() });
        }
        done
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Rolls back what is open and hands the turn on.
fn let_go(turn: &Mutex<Option<Turn>>) {
    if let Some(turn) = turn.lock().take()
        && let Some(opened) = turn.as_ref()
    {
        opened.roll_back();
    }
}
