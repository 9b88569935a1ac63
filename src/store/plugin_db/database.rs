//! One plugin's database: opened when it is first used, used by one at a time, in the order they came.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

use super::fault::{DbFault, DbFaultKind};
use super::gauge::Gauge;
use super::journal::JournalReader;
use super::open;
use super::session::Session;
use super::statement::{Answer, Opened, Request};

/// The file's name in the plugin's folder of data.
pub(super) const FILE: &str = "plugin.db";

/// Whoever has the turn has the connection.
pub(super) type Turn = OwnedMutexGuard<Option<Opened>>;

/// One plugin's database. Nothing is opened until it is used.
pub struct Database {
    plugin: Arc<str>,
    folder: PathBuf,
    pub(super) runtime: Handle,
    reader: JournalReader,
    opened: Arc<Queue<Option<Opened>>>,
    corrupt: Mutex<Option<DbFault>>,
    /// Removed for good; a call that is still draining does not make it again.
    removed: AtomicBool,
    found_corrupt: UnboundedSender<Arc<str>>,
}

impl Database {
    pub(super) fn new(
        plugin: Arc<str>,
        folder: PathBuf,
        runtime: Handle,
        reader: JournalReader,
        found_corrupt: UnboundedSender<Arc<str>>,
    ) -> Arc<Self> {
        let (opened, corrupt, removed) = (Arc::default(), Mutex::default(), AtomicBool::new(false));
        Arc::new(Database { plugin, folder, runtime, reader, opened, corrupt, removed, found_corrupt })
    }

    /// Where the file is, or will be.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Why the file cannot be used any more, if it is damaged.
    pub fn corrupt(&self) -> Option<DbFault> {
        self.corrupt.lock().clone()
    }

    /// Runs one statement when its turn has come, in a transaction of its own.
    ///
    /// # Errors
    /// What became of it instead.
    pub async fn run(self: &Arc<Self>, request: Request) -> Result<Answer, DbFault> {
        let cancel = Cancel::default();
        let cancelled = Arc::clone(&cancel.0);
        self.work(move |opened| opened.run(&request, &cancelled, false)).await
    }

    /// Begins a transaction when its turn has come; others wait until it has ended.
    ///
    /// # Errors
    /// The file cannot be used.
    pub async fn begin(self: &Arc<Self>, mib: u64) -> Result<Arc<Session>, DbFault> {
        let own = Arc::clone(self);
        let turn = Arc::clone(&self.opened).lock_owned().await;
        let begun = self.runtime.spawn_blocking(move || {
            let mut turn = turn;
            own.on_turn(&mut turn, |opened| {
                opened.hold_to(mib)?;
                opened.host("BEGIN IMMEDIATE")
            })?;
            Ok(Session::new(own, turn))
        });
        begun.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Looks whether the file can be used, if there is one. What was damaged and has been replaced is forgotten.
    ///
    /// # Errors
    /// It cannot be used.
    pub async fn check(self: &Arc<Self>) -> Result<(), DbFault> {
        // Somebody is at work with it: it can be used.
        let Ok(mut turn) = Arc::clone(&self.opened).try_lock_owned() else { return Ok(()) };
        let own = Arc::clone(self);
        let checked = self.runtime.spawn_blocking(move || {
            let file = file_at(&own.path());
            if turn.as_ref().is_some_and(|it| it.file != file) {
                *turn = None;
            }
            *own.corrupt.lock() = None;
            own.removed.store(false, Ordering::Relaxed);
            match file {
                Some(_) => own.on_turn(&mut turn, |_| Ok(())),
                None => Ok(()),
            }
        });
        checked.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Closes the file once its turn has come; the next use opens it again.
    pub async fn close(&self) {
        let mut turn = Arc::clone(&self.opened).lock_owned().await;
        if turn.is_some() {
            let _ = self.runtime.spawn_blocking(move || drop(turn.take())).await;
        }
    }

    /// Removes the file and what belongs to it.
    ///
    /// # Errors
    /// It cannot be removed.
    pub async fn remove(&self) -> std::io::Result<()> {
        let mut turn = Arc::clone(&self.opened).lock_owned().await;
        *self.corrupt.lock() = None;
        self.removed.store(true, Ordering::Relaxed);
        let (path, folder) = (self.path(), self.folder.clone());
        let removed = self.runtime.spawn_blocking(move || {
            drop(turn.take());
            for ending in ["", "-wal", "-shm", "-journal"] {
                let mut file = path.clone().into_os_string();
                file.push(ending);
                match fs::remove_file(&file) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            // Other data of the plugin may lie there.
            let _ = fs::remove_dir(folder);
            Ok(())
        });
        removed.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// Does `work` on the connection when its turn has come.
    pub(super) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Opened) -> Result<T, DbFault> + Send + 'static,
    ) -> Result<T, DbFault> {
        let own = Arc::clone(self);
        let mut turn = Arc::clone(&self.opened).lock_owned().await;
        let done = self.runtime.spawn_blocking(move || own.on_turn(&mut turn, work));
        done.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Does `work` on an empty database that nobody keeps.
    pub(super) async fn work_in_memory<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Opened) -> Result<T, DbFault> + Send + 'static,
    ) -> Result<T, DbFault> {
        let reader = Arc::clone(&self.reader);
        let done = self.runtime.spawn_blocking(move || {
            let gauge = Arc::new(Gauge::default());
            let connection = open::open(Path::new(":memory:"), &gauge).map_err(|it| DbFault::of_host(&it))?;
            work(&mut Opened { connection, gauge, reader, mib: 0, file: None })
        });
        done.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Does `work` on the connection, which is opened if need be.
    pub(super) fn on_turn<T>(
        &self,
        turn: &mut Option<Opened>,
        work: impl FnOnce(&mut Opened) -> Result<T, DbFault>,
    ) -> Result<T, DbFault> {
        if let Some(fault) = self.corrupt() {
            return Err(fault);
        }
        if self.removed.load(Ordering::Relaxed) {
            return Err(DbFault::new(DbFaultKind::Unavailable, "the plugin's database was removed"));
        }
        let done = match self.opened(turn) {
            Ok(opened) => {
                opened.roll_back();
                work(opened)
            }
            Err(fault) => Err(fault),
        };
        self.note(turn, done)
    }

    /// Notes a damaged file: nothing is done with it any more.
    pub(super) fn note<T>(&self, turn: &mut Option<Opened>, done: Result<T, DbFault>) -> Result<T, DbFault> {
        match done {
            Err(fault) if fault.kind == DbFaultKind::Corrupt => {
                *turn = None;
                let path = self.path();
                log::error!(plugin = &*self.plugin, path = path.display().to_string().as_str();
                    "the plugin's database is damaged: {}", fault.message);
                let message = format!(
                    "the plugin's database {} is damaged ({}); put a copy in its place or move it away, then enable \
                     the plugin again",
                    path.display(),
                    fault.message
                );
                let fault = DbFault::new(DbFaultKind::Corrupt, message);
                *self.corrupt.lock() = Some(fault.clone());
                let _ = self.found_corrupt.send(Arc::clone(&self.plugin));
                Err(fault)
            }
            other => other,
        }
    }

    fn opened<'a>(&self, turn: &'a mut Option<Opened>) -> Result<&'a mut Opened, DbFault> {
        if turn.is_none() {
            let gauge = Arc::new(Gauge::default());
            let path = self.real_path().map_err(|error| {
                DbFault::new(DbFaultKind::Unavailable, format!("{}: {error}", self.folder.display()))
            })?;
            let connection = open::open(&path, &gauge).map_err(|error| DbFault::of_host(&error))?;
            let (file, reader) = (file_at(&path), Arc::clone(&self.reader));
            *turn = Some(Opened { connection, gauge, reader, mib: 0, file });
        }
        turn.as_mut().ok_or_else(panicked)
    }

    /// The file below its real folder: the data folder may be a link, the file may not.
    fn real_path(&self) -> std::io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        Ok(Path::new(&fs::canonicalize(&self.folder)?).join(FILE))
    }
}

/// Which file lies there.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|it| (it.dev(), it.ino()))
}

/// Stops the statement under way when whoever waits for it goes away.
#[derive(Default)]
pub(super) struct Cancel(pub(super) Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) fn panicked() -> DbFault {
    DbFault::new(DbFaultKind::Unavailable, "the server failed while it worked on the plugin's database")
}
