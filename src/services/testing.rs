//! The product over an empty folder, for tests of who uses it.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::clock::SharedClock;
use crate::config::Settings;
use crate::events::Journal;
use crate::hooks::Dispatcher;
use crate::store::{Store, StoreOptions};

use super::Services;

/// Services and the folder they live in.
pub(crate) struct World {
    pub(crate) services: Services,
    folder: TempDir,
}

impl World {
    /// An empty product on `runtime`.
    pub(crate) fn new(runtime: &Handle, clock: SharedClock) -> World {
        let _inside = runtime.enter();
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            data_dir: folder.path().join("data"),
            recordings_dir: folder.path().join("recordings"),
            ..Settings::default()
        };
        std::fs::create_dir_all(&settings.data_dir).unwrap();
        std::fs::create_dir_all(&settings.recordings_dir).unwrap();
        let mut options = StoreOptions::at(settings.data_dir.join("test.db"));
        (options.ballast_bytes, options.readers) = (0, 2);
        let store = Store::open(&options).unwrap();
        let hooks = Dispatcher::new(std::time::Duration::from_secs(3));
        let journal = Journal::new(hooks.clone(), clock.clone(), 8);
        let services = Services::new(store, journal, hooks, clock, Arc::new(settings)).unwrap();
        World { services, folder }
    }

    /// Where clients' files lie.
    pub(crate) fn recordings_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("recordings")
    }
}
