//! Backups of a folder, and what becomes of damaged ones.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Settings;
use crate::model::backup::{BackupFault, MANIFEST, Manifest};
use crate::model::time::Timestamp;
use crate::services::files::Holds;
use crate::store::{Store, StoreOptions, pretend_newer};

use super::progress::Progress;
use super::{Label, copy_out, folder_of, pack, restore, restore_archive, take, verify, verify_archive};

struct Place {
    folder: tempfile::TempDir,
    settings: Settings,
}

impl Place {
    /// A data folder with a database and some files of a plugin.
    fn furnished() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { settings: settings_in(folder.path(), "data", "code"), folder };
        for (path, text) in [
            ("data/plugins/p/files/a/note.txt", "a note"),
            ("data/plugins/p/assets/0123", "an asset"),
            ("data/media/lost+found/x.wav", "once"),
            ("code/p/init.lua", "return 1"),
            ("code/p/.git/config", "hidden"),
        ] {
            let path = place.folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        drop(place.store());
        place
    }

    fn store(&self) -> Store {
        let path = self.settings.database_path();
        Store::open(&StoreOptions { ballast_bytes: 0, ..StoreOptions::at(path) }).unwrap()
    }

    fn back_up(&self, id: &str) -> (PathBuf, Manifest) {
        let (label, progress) = (Label { id: id.into(), begun_at: Timestamp(1) }, Arc::default());
        let made = take(&self.settings, &label, &progress, || {}, || Timestamp(2)).unwrap();
        (folder_of(&self.settings, id), made)
    }

    /// The settings of another server in the same folder.
    fn other(&self) -> Settings {
        settings_in(self.folder.path(), "other", "other_code")
    }

    fn restore(&self, backup: &Path) -> Result<super::Restored, BackupFault> {
        restore(backup, &self.other(), false, &Progress::default())
    }

    /// What lies beside the data folder: no restore that failed leaves anything.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn settings_in(root: &Path, data: &str, code: &str) -> Settings {
    Settings {
        data_dir: root.join(data),
        recordings_dir: root.join(data).join("recordings"),
        database_url: format!("sqlite:{}", root.join(data).join("panotti.db").display()),
        plugin_dirs: vec![root.join(code)],
        ..Settings::default()
    }
}

#[test]
fn what_is_taken_is_sound_and_comes_back_as_it_was() {
    let place = Place::furnished();
    let (folder, made) = place.back_up("b1");
    let paths: Vec<&str> = made.files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "code/p/init.lua",
            "media/lost+found/x.wav",
            "panotti.db",
            "plugins/p/assets/0123",
            "plugins/p/files/a/note.txt"
        ]
    );
    let (read, faults) = verify(&folder, &Progress::default()).unwrap();
    assert_eq!((&read, faults), (&made, Vec::new()));
    let elsewhere = place.folder.path().join("copy/of/it");
    copy_out(&folder, &elsewhere, &Progress::default()).unwrap();
    assert_eq!(verify(&elsewhere, &Progress::default()).unwrap(), (made, Vec::new()));
    let restored = place.restore(&elsewhere).unwrap();
    assert_eq!(restored.plugins_placed, ["p"]);
    for (path, text) in [
        ("other/plugins/p/files/a/note.txt", "a note"),
        ("other/plugins/p/assets/0123", "an asset"),
        ("other_code/p/init.lua", "return 1"),
    ] {
        assert_eq!(fs::read_to_string(place.folder.path().join(path)).unwrap(), text, "{path}");
    }
    let again = place.restore(&elsewhere).unwrap_err().to_string();
    assert!(again.contains("is in use") && again.contains("--data-dir"), "{again}");
}

#[test]
fn whatever_happens_to_a_backup_is_told_and_nothing_of_it_is_restored() {
    type Harm = fn(&Path);
    let harms: &[(&str, Harm)] = &[
        ("its bytes are not those", |it| {
            let mut bytes = fs::read(it.join("panotti.db")).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(it.join("panotti.db"), bytes).unwrap();
        }),
        ("bytes", |it| fs::write(it.join("code/p/init.lua"), "return").unwrap()),
        ("is missing", |it| fs::remove_file(it.join("plugins/p/assets/0123")).unwrap()),
        ("does not belong to it", |it| fs::write(it.join("plugins/p/extra"), "x").unwrap()),
        ("is a link", |it| {
            fs::remove_file(it.join("code/p/init.lua")).unwrap();
            symlink("/etc/passwd", it.join("code/p/init.lua")).unwrap();
        }),
        ("is a link", |it| {
            fs::rename(it.join("plugins"), it.with_file_name("away")).unwrap();
            symlink(it.with_file_name("away"), it.join("plugins")).unwrap();
        }),
        ("is damaged", |it| {
            let text = fs::read_to_string(it.join(MANIFEST)).unwrap();
            fs::write(it.join(MANIFEST), text.replace("init.lua", "evil.lua")).unwrap();
        }),
        ("it is cut off", |it| {
            let text = fs::read_to_string(it.join(MANIFEST)).unwrap();
            fs::write(it.join(MANIFEST), &text[..text.len() - 9]).unwrap();
        }),
        ("is no backup", |it| fs::remove_file(it.join(MANIFEST)).unwrap()),
    ];
    for (told, harm) in harms {
        let place = Place::furnished();
        let (folder, _) = place.back_up("b1");
        harm(&folder);
        let found = match verify(&folder, &Progress::default()) {
            Ok((_, faults)) => faults.join("\n"),
            Err(fault) => fault.to_string(),
        };
        assert!(found.contains(told), "{told}: {found}");
        let refused = place.restore(&folder).unwrap_err().to_string();
        assert!(!refused.is_empty());
        assert_eq!(place.names(), ["code", "data"], "{told}: {refused}");
    }
}

#[test]
fn a_backup_of_a_newer_server_is_refused_and_names_it() {
    let place = Place::furnished();
    pretend_newer(&place.settings.database_path());
    let (folder, _) = place.back_up("b1");
    for told in [
        verify(&folder, &Progress::default()).unwrap_err().to_string(),
        place.restore(&folder).unwrap_err().to_string(),
    ] {
        assert!(told.contains("29990101000000") && told.contains("a newer one"), "{told}");
    }
    assert_eq!(place.names(), ["code", "data"]);
}

#[test]
fn one_that_is_cancelled_leaves_nothing_and_a_plugin_folder_that_differs_is_not_touched() {
    let place = Place::furnished();
    let progress = Arc::<Progress>::default();
    progress.cancel();
    let label = Label { id: "b0".into(), begun_at: Timestamp(1) };
    let ended = take(&place.settings, &label, &progress, || {}, || Timestamp(2));
    assert!(matches!(ended, Err(BackupFault::Cancelled)), "{ended:?}");
    assert_eq!(fs::read_dir(place.settings.data_dir.join("backups")).unwrap().count(), 0);

    let (folder, _) = place.back_up("b1");
    let code = place.folder.path().join("other_code/p");
    fs::create_dir_all(&code).unwrap();
    fs::write(code.join("init.lua"), "return 2").unwrap();
    let refused = place.restore(&folder).unwrap_err().to_string();
    assert!(refused.contains("--keep-plugins") && !place.other().data_dir.exists(), "{refused}");
    let kept = restore(&folder, &place.other(), true, &Progress::default()).unwrap();
    assert_eq!((kept.plugins_kept.len(), kept.plugins_placed.len()), (1, 0));
    assert_eq!(fs::read_to_string(code.join("init.lua")).unwrap(), "return 2");
}

#[test]
fn a_damaged_database_of_a_plugin_does_not_keep_the_rest_from_being_taken() {
    let place = Place::furnished();
    fs::write(place.settings.data_dir.join("plugins/p/plugin.db"), "no database at all, whatever its name")
        .unwrap();
    let (folder, made) = place.back_up("b1");
    assert!(made.warnings.len() == 1 && made.warnings[0].contains("damaged"), "{:?}", made.warnings);
    assert_eq!(verify(&folder, &Progress::default()).unwrap().1, Vec::<String>::new());
}

#[test]
fn files_whose_rows_go_stay_while_they_are_held() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        path
    };
    let (gone, back, free) = (file("r/gone"), file("s/back"), file("t/free"));
    let holds = Holds::default();
    assert!(!holds.put_off(free.clone()), "nobody holds anything");
    let (first, second) = (holds.hold(), holds.hold());
    assert!(holds.put_off(gone.clone()) && holds.put_off(back.clone()));
    holds.take_back(&back);
    drop(first);
    assert!(gone.exists());
    drop(second);
    assert!(!gone.exists() && !folder.path().join("r").exists() && back.exists() && free.exists());
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_of_a_backup_wherever_that_happens() {
    let place = Place::furnished();
    let (folder, made) = place.back_up("b1");
    let out = place.folder.path().join("out");
    for room in [1, 5, 20, made.bytes / 2, made.bytes - 1] {
        let progress = Arc::new(Progress::with_room(room));
        let label = Label { id: "full".into(), begun_at: Timestamp(1) };
        let ended = take(&place.settings, &label, &progress, || {}, || Timestamp(2));
        assert!(matches!(ended, Err(BackupFault::DiskFull)), "{room}: {ended:?}");
        let progress = Progress::with_room(room);
        assert!(matches!(copy_out(&folder, &out, &progress), Err(BackupFault::DiskFull)), "{room}");
        let progress = Progress::with_room(room);
        assert!(matches!(pack(&folder, &out, &progress), Err(BackupFault::DiskFull)), "{room}");
        let progress = Progress::with_room(room);
        let restored = restore(&folder, &place.other(), false, &progress);
        assert!(matches!(restored, Err(BackupFault::DiskFull)), "{room}");
        assert_eq!(place.names(), ["code", "data"], "{room}");
        let kept = fs::read_dir(place.settings.data_dir.join("backups")).unwrap();
        let kept: Vec<_> = kept.map(|it| it.unwrap().file_name()).collect();
        assert_eq!(kept, ["b1"], "{room}");
    }
}

#[test]
fn a_backup_in_one_file_is_the_same_and_comes_back_as_it_was() {
    let place = Place::furnished();
    let (folder, made) = place.back_up("b1");
    let tar = place.folder.path().join("b1.tar");
    assert_eq!(pack(&folder, &tar, &Progress::default()).unwrap(), made);
    assert_eq!(verify_archive(&tar, &Progress::default()).unwrap(), (made.clone(), Vec::new()));
    let again = pack(&folder, &tar, &Progress::default()).unwrap_err().to_string();
    assert!(again.contains("is there already"), "{again}");

    let bytes = fs::read(&tar).unwrap();
    let broken = place.folder.path().join("broken.tar");
    let told = |bytes: &[u8]| {
        fs::write(&broken, bytes).unwrap();
        let refused = restore_archive(&broken, &place.other(), false, &Progress::default());
        assert!(refused.is_err());
        assert_eq!(place.names(), ["b1.tar", "broken.tar", "code", "data"]);
        match verify_archive(&broken, &Progress::default()) {
            Ok((_, faults)) => faults.join("\n"),
            Err(fault) => fault.to_string(),
        }
    };
    let at = bytes.windows(8).position(|it| it == b"return 1").unwrap();
    let mut edited = bytes.clone();
    edited[at] = b'R';
    assert_eq!(told(&edited), "code/p/init.lua: its bytes are not those that were written");
    let cut = told(&bytes[..bytes.len() / 2]);
    assert!(cut.contains("is cut off") && cut.contains("panotti.db"), "{cut}");
    assert!(told(b"PK").contains("is no backup"));
    assert!(told(&[0; 2048]).contains("it has no backup.json"));
    let mut hostile = Vec::new();
    super::tar::begin(&mut hostile, "code/../../x", 1).unwrap();
    hostile.extend_from_slice(&[0; 512]);
    told(&hostile);

    let restored = restore_archive(&tar, &place.other(), false, &Progress::default()).unwrap();
    assert_eq!((restored.plugins_placed, restored.manifest), (vec!["p".to_owned()], made));
    let note = place.folder.path().join("other/plugins/p/files/a/note.txt");
    assert_eq!(fs::read_to_string(note).unwrap(), "a note");
}
