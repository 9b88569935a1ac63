//! The watcher on real files, with a keeper that writes down what it is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::WatchMode;
use crate::error::{Code, Error, Result};
use crate::plugins::manager::Seen;

use super::{Keeper, WatchOptions, Watcher};

#[derive(Clone, Default)]
struct Notes {
    told: Arc<Mutex<Vec<BTreeSet<String>>>>,
    known: Seen,
    /// So many times it cannot be done.
    faults: Arc<Mutex<usize>>,
}

impl Keeper for Notes {
    fn known(&self) -> Seen {
        self.known.clone()
    }

    fn take_up(&self, seen: Seen) -> Result<BTreeSet<Arc<str>>> {
        self.told.lock().push(seen.keys().map(ToString::to_string).collect());
        let mut faults = self.faults.lock();
        if *faults > 0 {
            *faults -= 1;
            return Err(Error::new(Code::Internal, "not now"));
        }
        Ok(BTreeSet::new())
    }
}

struct Rig {
    folder: tempfile::TempDir,
    notes: Notes,
    mode: WatchMode,
    watcher: Option<Watcher>,
}

impl Rig {
    /// Plugins that are known as they are on disk.
    fn with(mode: WatchMode, plugins: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut rig = Rig { folder, notes: Notes::default(), mode, watcher: None };
        for name in plugins {
            rig.write(&format!("{name}/init.lua"), "-- first");
            let hash = super::super::discovery::snapshot(&rig.path(name)).unwrap().hash;
            rig.notes.known.insert((*name).into(), Some(hash));
        }
        rig
    }

    fn start(mode: WatchMode, plugins: &[&str]) -> Self {
        let mut rig = Self::with(mode, plugins);
        rig.watch();
        rig
    }

    fn watch(&mut self) {
        let options = WatchOptions {
            roots: vec![self.folder.path().join("plugins")],
            mode: self.mode,
            // A write is two changes: a busy machine must not stop for so long between them.
            quiet: Duration::from_millis(300),
            poll: Duration::from_millis(50),
        };
        let watcher = Watcher::start(options, self.notes.clone()).unwrap().unwrap();
        watcher.open();
        self.watcher = Some(watcher);
        // It is asked for what it does not know as soon as it looks.
        self.write("probe/init.lua", "--");
        self.wait_for("probe");
        self.notes.told.lock().clear();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("plugins").join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[track_caller]
    fn wait_for(&self, name: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        while !self.notes.told.lock().iter().any(|it| it.contains(name)) {
            assert!(Instant::now() < end, "{name} was not told; told was {:?}", self.notes.told.lock());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What was told until an edit of `probe` was, without that.
    #[track_caller]
    fn told(&self) -> Vec<String> {
        let probe = format!("-- {:?}", Instant::now());
        self.write("probe/init.lua", &probe);
        self.wait_for("probe");
        let told = std::mem::take(&mut *self.notes.told.lock());
        told.into_iter().flatten().filter(|it| it != "probe").collect()
    }
}

fn both(test: impl Fn(WatchMode)) {
    test(WatchMode::Auto);
    test(WatchMode::Poll);
}

fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}

#[test]
fn what_is_no_edit_is_not_told() {
    both(|mode| {
        let rig = Rig::start(mode, &["a"]);
        rig.write("a/init.lua", "-- first");
        rig.write("a/.init.lua.swp", "x");
        rig.write("a/4913", "x");
        rig.write("a/init.lua~", "x");
        rig.write("a/take.wav", "x");
        rig.write("a/.git/objects/x.lua", "x");
        fs::create_dir_all(rig.path("a/media/2026/01")).unwrap();
        rename(&rig.path("a/media"), &rig.path("a/sounds"));
        fs::remove_file(rig.path("a/take.wav")).unwrap();
        assert_eq!(rig.told(), [""; 0]);
    });
}

#[test]
fn every_way_to_write_a_file_is_told_once() {
    both(|mode| {
        let rig = Rig::start(mode, &["a"]);
        rig.write("a/init.lua", "-- in place");
        assert_eq!(rig.told(), ["a"]);
        rig.write("a/.init.lua.tmp", "-- renamed over");
        rename(&rig.path("a/.init.lua.tmp"), &rig.path("a/init.lua"));
        assert_eq!(rig.told(), ["a"]);
        rename(&rig.path("a/init.lua"), &rig.path("a/init.lua~"));
        rig.write("a/init.lua", "-- with a copy left behind");
        assert_eq!(rig.told(), ["a"]);
        fs::remove_file(rig.path("a/init.lua")).unwrap();
        assert_eq!(rig.told(), ["a"]);
        fs::create_dir(rig.path("a/init.lua")).unwrap();
        rig.write("a/init.lua/inner.lua", "-- a folder now");
        assert_eq!(rig.told(), ["a"]);
    });
}

#[test]
fn folders_that_come_go_and_are_renamed_are_told_and_watched() {
    both(|mode| {
        let rig = Rig::start(mode, &["a"]);
        rig.write("a/lib/deep/x.lua", "-- 1");
        assert_eq!(rig.told(), ["a"]);
        rig.write("a/lib/deep/x.lua", "-- 2");
        assert_eq!(rig.told(), ["a"]);
        rename(&rig.path("a/lib"), &rig.path("a/modules"));
        assert_eq!(rig.told(), ["a"]);
        rig.write("a/modules/deep/x.lua", "-- 3");
        assert_eq!(rig.told(), ["a"]);
        rename(&rig.path("a"), &rig.path("b"));
        assert_eq!(rig.told(), ["a", "b"]);
        rig.write("b/modules/deep/x.lua", "-- 4");
        assert_eq!(rig.told(), ["b"]);
        rig.write("a/init.lua", "-- a new one of the old name");
        assert_eq!(rig.told(), ["a"]);
        rig.write("a/init.lua", "-- and its edit");
        assert_eq!(rig.told(), ["a"]);
        rename(&rig.path("b"), &rig.folder.path().join("outside"));
        assert_eq!(rig.told(), ["b"]);
        rename(&rig.folder.path().join("outside"), &rig.path("b"));
        assert_eq!(rig.told(), ["b"]);
        rig.write("b/modules/deep/x.lua", "-- 5");
        assert_eq!(rig.told(), ["b"]);
        fs::remove_dir_all(rig.path("b")).unwrap();
        assert_eq!(rig.told(), ["b"]);
    });
}

#[test]
fn a_folder_of_another_version_behind_a_link_is_told_and_watched() {
    both(|mode| {
        let rig = Rig::start(mode, &[]);
        rig.write(".versions/1/init.lua", "-- 1");
        rig.write(".versions/2/init.lua", "-- 2");
        std::os::unix::fs::symlink(".versions/1", rig.path("a")).unwrap();
        assert_eq!(rig.told(), ["a"]);
        rig.write(".versions/1/init.lua", "-- 1a");
        assert_eq!(rig.told(), ["a"]);
        std::os::unix::fs::symlink(".versions/2", rig.path(".new")).unwrap();
        rename(&rig.path(".new"), &rig.path("a"));
        assert_eq!(rig.told(), ["a"]);
        rig.write(".versions/2/init.lua", "-- 2a");
        assert_eq!(rig.told(), ["a"]);
        rig.write(".versions/1/init.lua", "-- 1b");
        assert_eq!(rig.told(), [""; 0]);
    });
}

#[test]
fn a_root_that_comes_later_goes_and_comes_back_is_watched() {
    both(|mode| {
        let mut rig = Rig::with(mode, &[]);
        rig.watch();
        rig.write("a/init.lua", "-- 1");
        assert_eq!(rig.told(), ["a"]);
        let plugins = rig.path("");
        fs::remove_dir_all(&plugins).unwrap();
        rig.wait_for("a");
        rig.wait_for("probe");
        rig.notes.told.lock().clear();
        rig.write("a/init.lua", "-- 2");
        rig.wait_for("a");
        rig.told();
        rig.write("a/init.lua", "-- 3");
        assert_eq!(rig.told(), ["a"]);
    });
}

#[test]
fn a_burst_is_told_in_one() {
    let names: Vec<String> = (0..200).map(|n| format!("p{n}")).collect();
    let rig = Rig::start(WatchMode::Auto, &names.iter().map(String::as_str).collect::<Vec<_>>());
    names.iter().for_each(|it| rig.write(&format!("{it}/init.lua"), "-- second"));
    rig.wait_for("p199");
    let told: usize = rig.notes.told.lock().iter().map(BTreeSet::len).sum();
    assert_eq!(told, 200);
    // A busy machine may take longer to write than the quiet time.
    assert!(rig.notes.told.lock().len() < 10, "{:?}", rig.notes.told.lock());
}

#[test]
fn what_could_not_be_taken_up_is_told_again() {
    let rig = Rig::start(WatchMode::Auto, &["a"]);
    *rig.notes.faults.lock() = 1;
    rig.write("a/init.lua", "-- second");
    rig.wait_for("a");
    rig.notes.told.lock().clear();
    rig.wait_for("a");
}

#[test]
fn an_edit_from_before_the_first_look_is_told() {
    let mut rig = Rig::with(WatchMode::Auto, &["a", "b", "gone"]);
    rig.write("a/init.lua", "-- edited while it was loaded");
    fs::remove_dir_all(rig.path("gone")).unwrap();
    let told = Arc::clone(&rig.notes.told);
    rig.watcher = Watcher::start(
        WatchOptions {
            roots: vec![rig.path("")],
            mode: WatchMode::Auto,
            // A write is two changes: a busy machine must not stop for so long between them.
            quiet: Duration::from_millis(300),
            poll: Duration::from_millis(50),
        },
        rig.notes.clone(),
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(told.lock().is_empty(), "not before it is opened");
    rig.watcher.as_ref().unwrap().open();
    rig.wait_for("a");
    rig.wait_for("gone");
    assert!(!told.lock().iter().any(|it| it.contains("b")));
}
