//! The watcher's thread: keeps watches where the folders are, waits for quiet, and has edits taken up.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;

use crate::config::WatchMode;
use crate::plugins::manager::Seen;

use super::content::Content;
use super::network;
use super::roots::Root;
use super::table::Table;
use super::tree::{MAX_FOLDERS, walk};
use super::{Keeper, Shared, WatchOptions};

/// How often the roots themselves are looked at: whether they are there, and the same folders.
const LOOK: Duration = Duration::from_secs(1);
/// What could not be taken up is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);

pub(super) struct Run {
    options: WatchOptions,
    shared: Arc<Shared>,
    keeper: Box<dyn Keeper>,
    table: Arc<Mutex<Table>>,
    notifier: Option<RecommendedWatcher>,
    roots: Vec<Root>,
    /// What was last handed to the keeper.
    taken: HashMap<Arc<str>, Content>,
    /// Plugins with more folders than are watched, told once.
    crowded: BTreeSet<Arc<str>>,
}

impl Run {
    pub(super) fn new(options: WatchOptions, shared: Arc<Shared>, keeper: Box<dyn Keeper>) -> Self {
        let roots = options.roots.iter().map(|it| Root::new(it)).collect();
        Run {
            options,
            shared,
            keeper,
            table: Arc::default(),
            notifier: None,
            roots,
            taken: HashMap::new(),
            crowded: BTreeSet::new(),
        }
    }

    pub(super) fn run(mut self) {
        if self.options.mode == WatchMode::Auto {
            self.listen();
        }
        self.look_at_roots();
        let (mut next_look, mut next_poll, mut has_begun) = (Instant::now(), Instant::now(), false);
        loop {
            let is_polled = self.roots.iter().any(|it| it.is_polled);
            self.shared.wait(if is_polled { next_look.min(next_poll) } else { next_look });
            let (is_open, is_over, lost, reshaped) = self.shared.change(|it| {
                (it.is_open, it.is_over, std::mem::take(&mut it.lost), std::mem::take(&mut it.reshaped))
            });
            if is_over {
                return;
            }
            let now = Instant::now();
            if lost || now >= next_look {
                next_look = now + LOOK;
                let mut changed = self.look_at_roots();
                if lost {
                    changed.extend(self.table.lock().plugins());
                    changed.extend(self.roots.iter().flat_map(Root::plugins));
                    self.sync(&changed);
                }
                self.mark(changed);
            }
            if is_polled && now >= next_poll {
                next_poll = now + self.options.poll;
                let polled = self.roots.iter_mut().filter(|it| it.is_polled);
                let changed = polled.flat_map(Root::poll).collect();
                self.mark(changed);
            }
            if !reshaped.is_empty() {
                self.sync(&reshaped);
                self.mark(reshaped);
            }
            if is_open {
                if !std::mem::replace(&mut has_begun, true) {
                    self.first_look();
                }
                let due = self.shared.change(|it| it.pending.due(Instant::now()));
                self.take_up(due);
            }
        }
    }

    /// Asks the operating system to tell of changes.
    fn listen(&mut self) {
        let (shared, table) = (Arc::clone(&self.shared), Arc::clone(&self.table));
        let told = move |event: notify::Result<Event>| hear(&shared, &table, event);
        match notify::recommended_watcher(told) {
            Ok(notifier) => self.notifier = Some(notifier),
            Err(fault) => log::warn!(
                "the operating system does not tell of edits ({fault}): plugins' files are looked at every {} ms; on \
                 Linux raise fs.inotify.max_user_instances",
                self.options.poll.as_millis()
            ),
        }
    }

    /// Watches roots that have come, forgets those that are gone; answers the plugins that are concerned.
    fn look_at_roots(&mut self) -> BTreeSet<Arc<str>> {
        let mut concerned = BTreeSet::new();
        for at in 0..self.roots.len() {
            let (former, polled) = (self.roots[at].real.clone(), self.roots[at].is_polled);
            if !self.roots[at].has_changed() {
                continue;
            }
            if let Some(former) = former.filter(|_| !polled) {
                let is_free = self.table.lock().remove_root(&former);
                self.unwatch(is_free.then_some(former).into_iter().collect());
                concerned.extend(self.table.lock().plugins());
            }
            self.roots[at].is_polled = false;
            if polled {
                concerned.extend(self.roots[at].poll());
            }
            let Some(real) = self.roots[at].real.clone() else { continue };
            if self.notifier.is_none() {
                self.roots[at].is_polled = true;
            } else if let Some(kind) = network::unseen(&real) {
                log::info!(
                    "the plugin folder {} lies on {kind}, where edits made elsewhere are not told: it is looked at \
                     every {} ms (watch_poll_ms)",
                    real.display(),
                    self.options.poll.as_millis()
                );
                self.roots[at].is_polled = true;
            } else {
                self.table.lock().put_root(&real);
                self.watch(at, &real);
            }
            // After the watch: what comes in between is told, not missed.
            concerned.extend(self.roots[at].plugins());
        }
        self.sync(&concerned);
        concerned
    }

    /// Watches the folders of these plugins as they are now.
    fn sync(&mut self, plugins: &BTreeSet<Arc<str>>) {
        // What is gone first: a folder that was renamed is the same one to the operating system.
        let gone = plugins.iter().flat_map(|it| self.table.lock().remove(it)).collect();
        self.unwatch(gone);
        for plugin in plugins.iter().filter(|it| !it.is_empty()) {
            for at in 0..self.roots.len() {
                let Some(folder) = self.roots[at].folder(plugin).filter(|_| !self.roots[at].is_polled) else {
                    continue;
                };
                let is_complete = walk(&folder, |folder, prefix| {
                    // Watched first, then read: what comes in between is not missed.
                    self.table.lock().put(folder, plugin, prefix);
                    self.watch(at, folder)
                });
                if !is_complete && self.crowded.insert(Arc::clone(plugin)) {
                    log::warn!(
                        plugin = &**plugin;
                        "has more than {MAX_FOLDERS} folders; edits in the deepest ones are taken up with the next edit \
                         elsewhere, or by a rescan"
                    );
                }
            }
        }
    }

    /// Watches one folder; false when that is not possible, and its root is polled from now on.
    fn watch(&mut self, root: usize, folder: &Path) -> bool {
        let Some(notifier) = &mut self.notifier else { return false };
        let Err(fault) = notifier.watch(folder, RecursiveMode::NonRecursive) else { return true };
        // It is gone again: that is told, too. One that may not be read is no part of the plugin.
        let readable = std::fs::read_dir(folder).is_ok();
        let root = &mut self.roots[root];
        if readable && !root.is_polled {
            log::warn!(
                "the operating system does not watch {} ({fault}): the plugin folder {} is looked at every {} ms; on \
                 Linux raise fs.inotify.max_user_watches",
                folder.display(),
                root.path.display(),
                self.options.poll.as_millis()
            );
            root.is_polled = true;
        }
        false
    }

    fn unwatch(&mut self, folders: Vec<PathBuf>) {
        let Some(notifier) = &mut self.notifier else { return };
        for folder in folders {
            // What is gone is not watched any more.
            _ = notifier.unwatch(&folder);
        }
    }

    fn mark(&self, plugins: BTreeSet<Arc<str>>) {
        self.shared.change(|it| plugins.into_iter().for_each(|name| it.mark(name, false, true)));
    }

    /// Compares what was loaded with what is there now: an edit may have come before its folder was watched.
    fn first_look(&mut self) {
        let known = self.keeper.known();
        let roots = self.paths();
        let there = self.roots.iter().flat_map(Root::plugins);
        let names: BTreeSet<Arc<str>> = known.keys().cloned().chain(there).collect();
        for name in names {
            let content = Content::of(&roots, &name);
            let is_new = match (known.get(&name), &content) {
                (Some(Some(hash)), Content::Files(now)) => hash != now,
                (Some(Some(_)), Content::Missing) => true,
                (None, Content::Files(_) | Content::Unfit(_)) => true,
                // Why it could not be read was told.
                _ => false,
            };
            match is_new {
                true => self.mark(BTreeSet::from([name])),
                false => _ = self.taken.insert(name, content),
            }
        }
    }

    /// Hands over those in whose folders something else stands than was handed over before.
    fn take_up(&mut self, due: BTreeSet<Arc<str>>) {
        let roots = self.paths();
        let mut changed = Seen::new();
        let is_beside = due.contains("");
        let contents: Vec<(Arc<str>, Content)> = due
            .into_iter()
            .filter(|it| !it.is_empty())
            .map(|name| (Arc::clone(&name), Content::of(&roots, &name)))
            .collect();
        for (name, content) in contents {
            // What changed while it was read may be half of something; it is due again.
            let is_old = self.shared.change(|it| it.pending.is_marked(&name));
            if !is_old && self.taken.get(&name) != Some(&content) {
                self.taken.insert(Arc::clone(&name), content.clone());
                changed.insert(name, content.hash());
            }
        }
        if changed.is_empty() && !is_beside {
            return;
        }
        log::debug!("edited: {}", changed.keys().map(|it| &**it).collect::<Vec<_>>().join(", "));
        let fault = match self.keeper.take_up(changed.clone()) {
            Ok(failed) => {
                return self.shared.change(|it| it.pending.note(changed.keys(), &failed, Instant::now()));
            }
            Err(fault) => fault,
        };
        if self.shared.change(|it| it.is_over) {
            return;
        }
        log::error!("edits of plugins could not be taken up and are tried again: {fault}");
        self.taken.retain(|name, _| !changed.contains_key(name));
        let later = Instant::now() + AGAIN;
        self.shared.change(|it| changed.into_keys().for_each(|name| _ = it.pending.mark(name, true, later)));
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.roots.iter().map(|it| it.path.clone()).collect()
    }
}

/// Takes note of what the operating system tells; called on its messenger's thread.
fn hear(shared: &Shared, table: &Mutex<Table>, event: notify::Result<Event>) {
    let lost = match &event {
        Ok(event) if event.need_rescan() => true,
        Ok(event) => {
            let (meanings, is_root) = {
                let table = table.lock();
                let is_root = |path: &PathBuf| table.is_root(path) && !event.kind.is_access();
                (table.read(event), event.paths.iter().any(is_root))
            };
            shared.change(|it| {
                meanings.into_iter().for_each(|told| it.mark(told.plugin, told.is_reshaped, told.is_whole))
            });
            // Only what happens to a root itself is told under its own path.
            is_root && (event.kind.is_remove() || is_renamed(event))
        }
        Err(fault) => {
            log::debug!("the operating system's messages: {fault}");
            true
        }
    };
    if lost {
        shared.change(|it| (it.lost, it.is_woken) = (true, true));
    }
}

fn is_renamed(event: &Event) -> bool {
    use notify::event::{EventKind, ModifyKind};
    matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)))
}
