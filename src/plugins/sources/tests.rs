use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::apply::{apply_until, attempt};
use super::*;

/// Everything below a folder: folders end with `/`; contents and modes of files, targets of links.
fn all_of(folder: &Path) -> BTreeMap<String, (Vec<u8>, u32)> {
    fn go(root: &Path, at: &Path, into: &mut BTreeMap<String, (Vec<u8>, u32)>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let kind = path.symlink_metadata().unwrap();
            let mode = kind.permissions().mode();
            if kind.is_symlink() {
                into.insert(name, (fs::read_link(&path).unwrap().to_str().unwrap().into(), 0));
            } else if kind.is_dir() {
                into.insert(format!("{name}/"), (Vec::new(), mode));
                go(root, &path, into);
            } else {
                into.insert(name, (fs::read(&path).unwrap(), mode));
            }
        }
    }
    let mut all = BTreeMap::new();
    go(folder, folder, &mut all);
    all
}

fn plugin(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("p");
    fs::create_dir(&folder).unwrap();
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    (root, folder)
}

fn put(files: &[(&str, &str)]) -> BTreeMap<String, Arc<[u8]>> {
    files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().into())).collect()
}

fn names(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(|it| (*it).to_owned()).collect()
}

#[test]
fn files_are_listed_with_hash_and_kind_and_hidden_ones_are_not() {
    let (_root, folder) = plugin(&[
        ("init.lua", "return 1"),
        ("README.md", "#"),
        (".git/a.lua", ""),
        ("a.so", ""),
        ("tests/x.json", "{}"),
    ]);
    let files = list(&folder).unwrap();
    let shown: Vec<(&str, Kind)> = files.iter().map(|it| (it.path.as_str(), it.kind)).collect();
    assert_eq!(
        shown,
        [("README.md", Kind::Document), ("init.lua", Kind::Script), ("tests/x.json", Kind::Fixture)]
    );
    assert_eq!(files[1].hash, blake3::hash(b"return 1").to_hex().to_string());
    assert_eq!((files[1].size, files[1].modified_at.is_some()), (8, true));
    assert_eq!(read(&folder, "init.lua").unwrap().as_deref(), Some(&b"return 1"[..]));
    assert_eq!(read(&folder, "lib/none.lua").unwrap(), None);
    assert_eq!(read(&folder, "../p/init.lua").unwrap_err().code, Code::BadPath);
}

#[test]
fn a_change_makes_and_removes_files_with_their_folders_and_keeps_modes() {
    let (_root, folder) = plugin(&[("init.lua", "1"), ("lib/deep/a.lua", "2"), ("lib/b.lua", "3")]);
    fs::set_permissions(folder.join("init.lua"), fs::Permissions::from_mode(0o640)).unwrap();
    let change = put(&[("init.lua", "new"), ("tests/unit/t.lua", "4")]);
    drop(apply(&folder, &change, &names(&["lib/deep/a.lua", "none.lua"])).unwrap());
    let after = all_of(&folder);
    let paths: Vec<&str> = after.keys().map(String::as_str).collect();
    assert_eq!(paths, ["init.lua", "lib/", "lib/b.lua", "tests/", "tests/unit/", "tests/unit/t.lua"]);
    assert_eq!(after["init.lua"].0, b"new");
    assert_eq!(after["init.lua"].1 & 0o777, 0o640);
}

#[test]
fn what_stands_in_the_way_is_told_and_nothing_is_changed() {
    let (_root, folder) = plugin(&[("a.lua/x.json", "in the way"), ("lib", "a file"), ("b.lua", "1")]);
    let before = all_of(&folder);
    for path in ["a.lua", "lib/c.lua"] {
        let error = apply(&folder, &put(&[("b.lua", "2"), (path, "new")]), &names(&[])).err().unwrap();
        assert_eq!(error.code, Code::Conflict, "{path}");
        assert!(error.detail.contains(path), "{}", error.detail);
        assert_eq!(all_of(&folder), before);
    }
}

#[test]
fn a_file_may_take_the_place_of_a_folder_that_is_left_empty() {
    let (_root, folder) = plugin(&[("a.lua/x.lua", "1")]);
    let before = all_of(&folder);
    let undo = apply(&folder, &put(&[("a.lua", "2")]), &names(&["a.lua/x.lua"])).unwrap();
    assert_eq!(fs::read(folder.join("a.lua")).unwrap(), b"2");
    undo.undo().unwrap();
    assert_eq!(all_of(&folder), before);
}

#[test]
fn nothing_is_written_through_a_link() {
    let (root, folder) = plugin(&[("init.lua", "1"), ("real.lua", "real")]);
    let outside = root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("a.lua"), "outside").unwrap();
    symlink(&outside, folder.join("lib")).unwrap();
    symlink("real.lua", folder.join("link.lua")).unwrap();
    symlink(outside.join("a.lua"), folder.join("away.lua")).unwrap();
    let before = all_of(&folder);
    assert_eq!(apply(&folder, &put(&[("lib/a.lua", "x")]), &names(&[])).err().unwrap().code, Code::Conflict);
    drop(apply(&folder, &put(&[]), &names(&["lib/a.lua"])).unwrap());
    assert_eq!(all_of(&folder), before);
    let undo = apply(&folder, &put(&[("link.lua", "x"), ("away.lua", "y")]), &names(&[])).unwrap();
    assert_eq!(fs::read(folder.join("real.lua")).unwrap(), b"real");
    assert_eq!(fs::read(outside.join("a.lua")).unwrap(), b"outside");
    undo.undo().unwrap();
    assert_eq!(all_of(&folder), before);
    assert!(list(&folder).unwrap().iter().all(|it| !it.path.starts_with("lib") && it.path != "away.lua"));
}

#[test]
fn a_folder_the_server_may_not_write_is_told_of() {
    let (_root, folder) = plugin(&[("init.lua", "1")]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    // Whoever runs as root may write all the same.
    if fs::write(folder.join("probe"), "").is_ok() {
        return;
    }
    let error = apply(&folder, &put(&[("init.lua", "2")]), &names(&[])).err().unwrap();
    assert_eq!(error.code, Code::Conflict);
    assert_eq!(fs::read(folder.join("init.lua")).unwrap(), b"1");
}

#[test]
fn a_plugins_folder_that_is_a_link_out_of_its_root_is_told_of_as_that() {
    let (root, folder) = plugin(&[("init.lua", "1")]);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("p");
    symlink(&folder, &link).unwrap();
    let error = apply(&link, &put(&[("init.lua", "2")]), &names(&[])).err().unwrap();
    assert_eq!(error.code, Code::Conflict);
    assert!(error.detail.contains("is a link that leads out"), "{}", error.detail);
    assert!(error.hint.is_some() && fs::read(root.path().join("p/init.lua")).unwrap() == b"1");
}

#[test]
fn what_a_cut_off_change_left_is_swept() {
    let (_root, folder) = plugin(&[("init.lua", "1"), (".panotti-1/1", "half"), (".git/x", "kept")]);
    assert_eq!(sweep(&folder).unwrap(), 1);
    let left = all_of(&folder);
    assert_eq!(left.keys().map(String::as_str).collect::<Vec<_>>(), [".git/", ".git/x", "init.lua"]);
}

const PATHS: &[&str] =
    &["init.lua", "a.lua", "lib/a.lua", "lib/b.lua", "lib/deep/c.lua", "tests/t/x.json", "README.md"];

fn some_files() -> impl Strategy<Value = BTreeMap<String, Arc<[u8]>>> {
    prop::collection::btree_map(prop::sample::select(PATHS), "[a-z]{0,9}", 0..6).prop_map(|files| {
        files.into_iter().map(|(path, text)| (path.to_owned(), text.as_bytes().into())).collect()
    })
}

#[test]
fn what_somebody_wrote_after_a_change_was_cut_off_stays() {
    let (_root, folder) = plugin(&[("a.lua", "1"), ("b.lua", "2")]);
    let change = put(&[("a.lua", "new"), ("b.lua", "new"), ("lib/c.lua", "new")]);
    let (undo, made) = attempt(&folder, &change, &names(&[]), 8).unwrap();
    assert!(made.is_err());
    undo.cut_off(false);
    assert_eq!(fs::read(folder.join("b.lua")).unwrap(), b"new", "half made");
    fs::write(folder.join("b.lua"), "by hand").unwrap();
    fs::create_dir_all(folder.join("lib")).unwrap();
    fs::write(folder.join("lib/c.lua"), "by hand, too").unwrap();
    sweep(&folder).unwrap();
    let texts: Vec<Vec<u8>> = all_of(&folder).into_values().map(|it| it.0).collect();
    assert_eq!(texts, [&b"1"[..], b"by hand", b"", b"by hand, too"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_change_that_ends_with_the_process_is_made_or_not_made(
        before in some_files(), change in some_files(), gone in prop::collection::btree_set(prop::sample::select(PATHS), 0..5),
        full_at in 0usize..24, is_on_its_way_back: bool,
    ) {
        let (_root, folder) = plugin(&[]);
        drop(apply(&folder, &before, &names(&[])).unwrap());
        let gone: BTreeSet<String> =
            gone.into_iter().map(str::to_owned).filter(|it| !change.contains_key(it)).collect();
        let (undo, made) = attempt(&folder, &change, &gone, full_at).unwrap();
        undo.cut_off(is_on_its_way_back);
        prop_assert_eq!(sweep(&folder).unwrap(), usize::from(full_at > 0));
        let mut wanted = before.clone();
        if made.is_ok() && !is_on_its_way_back {
            wanted.retain(|path, _| !gone.contains(path));
            wanted.extend(change.clone());
        }
        prop_assert_eq!(read_all(&folder).unwrap(), wanted);
        prop_assert!(all_of(&folder).keys().all(|it| !it.starts_with('.')));
    }

    #[test]
    fn a_change_that_fails_or_is_taken_back_leaves_the_folder_as_it_was(
        before in some_files(), change in some_files(), gone in prop::collection::btree_set(prop::sample::select(PATHS), 0..5),
        full_at in 0usize..24,
    ) {
        let (_root, folder) = plugin(&[]);
        drop(apply(&folder, &before, &names(&[])).unwrap());
        let gone: BTreeSet<String> =
            gone.into_iter().map(str::to_owned).filter(|it| !change.contains_key(it)).collect();
        let was = all_of(&folder);
        match apply_until(&folder, &change, &gone, full_at) {
            Err(error) => prop_assert_eq!(error.code, Code::DiskFull),
            Ok(undo) => {
                let mut wanted = before.clone();
                wanted.retain(|path, _| !gone.contains(path));
                wanted.extend(change.clone());
                prop_assert_eq!(read_all(&folder).unwrap(), wanted);
                undo.undo().unwrap();
            }
        }
        prop_assert_eq!(all_of(&folder), was);
        drop(apply(&folder, &change, &gone).unwrap());
        prop_assert!(all_of(&folder).keys().all(|it| !it.starts_with('.')));
    }
}
