//! Notices edits of plugins' files and has the manager take them up, many at a time and each once.
//!
//! One thread of its own does all of it. The operating system tells what happened (`table` keeps which folders are
//! watched and what a path means), `pending` waits until a plugin's folder is quiet, `content` decides by hash whether
//! anything is new, and `roots` looks at regular intervals where the operating system does not tell.

mod content;
mod network;
mod pending;
mod roots;
mod run;
mod table;
mod tree;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::config::{Settings, WatchMode};
use crate::error::Result;

use super::listing::PluginFilter;
use super::manager::{Manager, Seen};

use self::pending::Pending;
use self::run::Run;

/// What a watcher is to do.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The plugin roots, earlier ones first.
    pub roots: Vec<PathBuf>,
    /// Where edits are seen from.
    pub mode: WatchMode,
    /// A folder is taken up when nothing has changed in it for so long.
    pub quiet: Duration,
    /// How often folders are looked at that the operating system tells nothing of.
    pub poll: Duration,
}

impl WatchOptions {
    /// As the server's settings say.
    pub fn of(settings: &Settings) -> Self {
        WatchOptions {
            roots: settings.plugin_dirs.clone(),
            mode: settings.watch,
            quiet: Duration::from_millis(settings.watch_quiet_ms),
            poll: Duration::from_millis(settings.watch_poll_ms),
        }
    }
}

/// Whoever keeps the plugins, as the watcher sees them.
pub trait Keeper: Send {
    /// The hash of what is known of each plugin's files, by name; none where they could not be read or are not there.
    fn known(&self) -> Seen;

    /// Looks at the folders of these plugins, which hold what was seen, and at what else is in the roots; answers, when
    /// that is done, those of them that do not load.
    ///
    /// # Errors
    /// It could not be done; it is asked again later.
    fn take_up(&self, seen: Seen) -> Result<BTreeSet<Arc<str>>>;
}

/// A running watcher; it ends when it is dropped.
#[derive(Debug)]
pub struct Watcher(Arc<Shared>);

impl Watcher {
    /// Begins to notice; nothing is taken up before [`Watcher::open`]. None when the settings want no watcher.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(options: WatchOptions, keeper: impl Keeper + 'static) -> io::Result<Option<Self>> {
        if options.mode == WatchMode::Off {
            return Ok(None);
        }
        let shared = Arc::new(Shared::new(&options));
        let run = Run::new(options, Arc::clone(&shared), Box::new(keeper));
        std::thread::Builder::new().name("panotti-watch".to_owned()).spawn(move || run.run())?;
        Ok(Some(Watcher(shared)))
    }

    /// From now on edits are taken up, also those that were noticed before.
    pub fn open(&self) {
        self.0.change(|it| (it.is_open, it.is_woken) = (true, true));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.change(|it| (it.is_over, it.is_woken) = (true, true));
    }
}

/// A manager on the runtime that its work is done on.
pub struct ManagedPlugins {
    /// The manager.
    pub manager: Manager,
    /// The runtime.
    pub runtime: tokio::runtime::Handle,
}

impl Keeper for ManagedPlugins {
    fn known(&self) -> Seen {
        let all = self.manager.list(&PluginFilter::default()).into_iter();
        all.map(|it| (it.name.into(), it.hash.map(Arc::from))).collect()
    }

    fn take_up(&self, seen: Seen) -> Result<BTreeSet<Arc<str>>> {
        let rescan = self.runtime.block_on(self.manager.take_up_seen(seen))?;
        Ok(rescan.failed.into_iter().map(Arc::from).collect())
    }
}

/// What the thread, its owner and the operating system's messenger share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    pending: Pending,
    /// Plugins in whose folders folders have come or gone.
    reshaped: BTreeSet<Arc<str>>,
    /// The operating system has lost count, or a root is another one.
    lost: bool,
    is_open: bool,
    is_over: bool,
    /// There is something to look at before the time set for it.
    is_woken: bool,
}

impl State {
    fn mark(&mut self, name: Arc<str>, is_reshaped: bool, is_whole: bool) {
        if is_reshaped {
            self.is_woken |= self.reshaped.insert(Arc::clone(&name));
        }
        self.is_woken |= self.pending.mark(name, is_whole, Instant::now());
    }
}

impl Shared {
    fn new(options: &WatchOptions) -> Self {
        let state = State {
            pending: Pending::new(options.quiet),
            reshaped: BTreeSet::new(),
            lost: false,
            is_open: false,
            is_over: false,
            is_woken: false,
        };
        Shared { state: Mutex::new(state), wake: Condvar::new() }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let done = change(&mut state);
        if state.is_woken {
            self.wake.notify_all();
        }
        done
    }

    /// Waits until there is something to do, at most until `until`.
    fn wait(&self, until: Instant) {
        let mut state = self.state.lock();
        let next = if state.is_open { state.pending.next(Instant::now()) } else { None };
        let until = next.map_or(until, |it| it.min(until));
        if !state.is_woken {
            self.wake.wait_until(&mut state, until);
        }
        state.is_woken = false;
    }
}
