//! Plugins' own databases, as the script host and the manager use them.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::config::Settings;
use crate::store::Store;

pub use crate::store::plugin_db::{
    Answer, Database, Databases, DbFault, DbFaultKind, DbLimits, Migration, MigrationFault, MigrationRow,
    Params, Publish, Request, Session, SqlValue, read_migrations,
};

/// The databases below the data folder; the journal they show is the store's.
pub fn open(settings: &Settings, store: &Store, runtime: Handle) -> Databases {
    let store = store.clone();
    let reader = move |after, limit| store.read(|r| r.journal_page(after, limit));
    Databases::new(settings.data_dir.join("plugins"), runtime, Arc::new(reader))
}
