//! Each plugin's own SQLite file, `<data_dir>/plugins/<name>/plugin.db`. With `store/backup.rs`, the one place that knows rusqlite.
//!
//! A plugin's SQL never meets the server's database: it has a connection of its own (`open`), which an
//! `authorizer`, limits and a clock (`gauge`) hold to the plugin's tables. A [`Database`] gives one turn after
//! another; a [`Session`] is a transaction that keeps the turn. `journal` lets the plugin see the server's
//! events as a table, `migrations` brings its own tables up to date.

mod authorizer;
mod database;
mod fault;
mod gauge;
mod journal;
mod linear;
mod migrations;
mod open;
mod script;
mod session;
mod statement;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub use database::Database;
pub use fault::{DbFault, DbFaultKind, DbLimits};
pub use gauge::Publish;
pub use journal::{JournalPage, JournalReader, JournalRow};
pub use migrations::{Migration, MigrationFault, MigrationRow, read as read_migrations};
pub use session::Session;
pub use statement::{Answer, Request};
pub use value::{Params, SqlValue};

/// The databases of all plugins. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Databases(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    runtime: Handle,
    reader: JournalReader,
    known: Mutex<BTreeMap<Arc<str>, Arc<Database>>>,
    found_corrupt: UnboundedSender<Arc<str>>,
    told: Mutex<Option<UnboundedReceiver<Arc<str>>>>,
}

impl Databases {
    /// Databases below `folder`, whose work is done on `runtime`; `reader` reads the journal.
    pub fn new(folder: PathBuf, runtime: Handle, reader: JournalReader) -> Self {
        let (found_corrupt, told) = unbounded_channel();
        let (known, told) = (Mutex::default(), Mutex::new(Some(told)));
        Databases(Arc::new(Inner { folder, runtime, reader, known, found_corrupt, told }))
    }

    /// The database of a plugin; nothing is opened or made.
    pub fn of(&self, plugin: &Arc<str>) -> Arc<Database> {
        let mut known = self.0.known.lock();
        if let Some(database) = known.get(plugin) {
            return Arc::clone(database);
        }
        let Inner { folder, runtime, reader, found_corrupt, .. } = &*self.0;
        let folder = folder.join(&**plugin);
        let (runtime, reader, found_corrupt) = (runtime.clone(), Arc::clone(reader), found_corrupt.clone());
        let database = Database::new(Arc::clone(plugin), folder, runtime, reader, found_corrupt);
        known.insert(Arc::clone(plugin), Arc::clone(&database));
        database
    }

    /// The names of plugins whose file was found damaged, as they are found; handed out once.
    pub fn corrupt(&self) -> Option<UnboundedReceiver<Arc<str>>> {
        self.0.told.lock().take()
    }

    /// Closes all files.
    pub async fn close(&self) {
        let all: Vec<Arc<Database>> = self.0.known.lock().values().cloned().collect();
        for database in all {
            database.close().await;
        }
    }
}
