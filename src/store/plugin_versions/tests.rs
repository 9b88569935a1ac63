//! Versions are kept, shared and let go.

use std::sync::Arc;

use serde_json::Map;

use super::super::Store;
use super::super::testing::store;
use super::*;
use crate::model::kept_version::Blob;
use crate::model::plugin::PluginRow;
use crate::model::plugin_version::Authorship;

fn plugin(store: &Store, name: &str) -> i64 {
    let row = PluginRow {
        id: 0,
        name: name.to_owned(),
        display_name: None,
        description: None,
        version: None,
        author: None,
        plugin_type: "lua".to_owned(),
        entry_point: None,
        install_path: None,
        enabled: None,
        registered: true,
        metadata: Map::new(),
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
        version_count: 1,
    };
    store.write_blocking(move |tx| tx.insert_plugin(&row)).unwrap()
}

fn new(plugin_id: i64, origin: VersionOrigin, texts: &[(&str, &str)]) -> NewVersion {
    let files: Vec<(String, Arc<Blob>)> =
        texts.iter().map(|(path, text)| ((*path).to_owned(), Arc::new(packed(text.as_bytes())))).collect();
    let hash: String = texts.iter().map(|(path, text)| format!("{path}={text};")).collect();
    NewVersion {
        plugin_id,
        hash: blake3::hash(hash.as_bytes()).to_hex().as_str().into(),
        generation: 3,
        authorship: Authorship { origin, author: "k1".into(), note: Some("tidy".into()) },
        at: Timestamp(7),
        files,
    }
}

fn keep(store: &Store, new: NewVersion, most: i64) -> VersionRow {
    store.write_blocking(move |tx| tx.keep_version(&new, most)).unwrap()
}

#[test]
fn the_same_files_make_one_version_and_their_bytes_come_back() {
    let (_folder, store) = store();
    let a = plugin(&store, "a");
    let long = "local x = 1\n".repeat(500);
    let texts = [("init.lua", long.as_str()), ("plugin.yaml", "name: a\n")];
    let first = keep(&store, new(a, VersionOrigin::Disk, &texts), 200);
    assert_eq!((first.number, first.files, first.bytes), (1, 2, 6_008));
    assert_eq!(keep(&store, new(a, VersionOrigin::Api, &texts), 200), first);
    let contents = store.read(|it| it.version_contents(first.id)).unwrap();
    assert_eq!(&*contents["init.lua"], long.as_bytes());
    let (hash, bytes) = store.read(|it| it.version_file(first.id, "plugin.yaml")).unwrap().unwrap();
    assert_eq!((&*bytes, hash), (&b"name: a\n"[..], blake3::hash(b"name: a\n").to_hex().to_string()));
    let (count, kept) = store.read(|it| it.blob_usage()).unwrap();
    assert!(count == 2 && kept < 500, "deflated: {kept} bytes");
    assert_eq!(store.read(|it| it.version_file(first.id, "../x")).unwrap(), None);
}

#[test]
fn a_rollback_is_a_version_that_names_the_one_it_restores() {
    let (_folder, store) = store();
    let a = plugin(&store, "a");
    let one = [("init.lua", "return 1")];
    let two = [("init.lua", "return 2")];
    keep(&store, new(a, VersionOrigin::Disk, &one), 200);
    let second = keep(&store, new(a, VersionOrigin::Api, &two), 200);
    let back = keep(&store, new(a, VersionOrigin::AutomaticRollback, &one), 200);
    assert_eq!((back.number, back.restores, back.origin), (3, Some(1), VersionOrigin::AutomaticRollback));
    let gone_from = store.read(|it| it.version(a, 2)).unwrap().unwrap();
    assert_eq!(gone_from.rolled_back, Some(RolledBack { at: Timestamp(7), why: "tidy".into() }));
    let before = |number, hash: &str| store.read(|it| it.version_before(a, number, hash)).unwrap();
    assert_eq!(before(3, &back.hash), None, "what failed is not gone back to");
    assert_eq!(before(2, &second.hash).map(|it| it.number), Some(1));
    let (page, total) = store.read(|it| it.list_versions(a, Window { offset: 1, limit: 1 })).unwrap();
    assert_eq!((page[0].number, page.len(), total), (2, 1, 3));
    assert_eq!(store.read(|it| it.last_versions()).unwrap()[&a], back);
}

#[test]
fn beyond_the_limit_the_oldest_go_but_not_the_last_good_one() {
    let (_folder, store) = store();
    let a = plugin(&store, "a");
    let keep_text = |text: &str, most| keep(&store, new(a, VersionOrigin::Disk, &[("init.lua", text)]), most);
    for n in 1..=4 {
        keep_text(&n.to_string(), 4);
    }
    for bad in 2..=4 {
        store.write_blocking(move |tx| tx.mark_rolled_back(a, bad, Timestamp(9), "it failed")).unwrap();
    }
    keep_text("5", 2);
    let numbers = || -> Vec<i64> {
        let (rows, _) = store.read(|it| it.list_versions(a, Window::default())).unwrap();
        rows.iter().map(|it| it.number).collect()
    };
    assert_eq!(numbers(), [5, 4, 1], "version 1 is the last good one");
    assert_eq!(store.read(|it| it.blob_usage()).unwrap().0, 3, "the bytes of the others went with them");
    keep_text("6", 2);
    assert_eq!(numbers(), [6, 5]);
}

#[test]
fn a_purge_leaves_what_another_plugin_has_too() {
    let (_folder, store) = store();
    let (a, b) = (plugin(&store, "a"), plugin(&store, "b"));
    let shared = ("lib.lua", "return {}");
    keep(&store, new(a, VersionOrigin::Disk, &[shared, ("init.lua", "a")]), 200);
    let kept = keep(&store, new(b, VersionOrigin::Disk, &[shared, ("init.lua", "b")]), 200);
    assert_eq!(store.read(|it| it.blob_usage()).unwrap().0, 3);
    store.write_blocking(move |tx| tx.delete_versions(a)).unwrap();
    assert_eq!(store.read(|it| it.list_versions(a, Window::default())).unwrap().1, 0);
    assert_eq!(store.read(|it| it.blob_usage()).unwrap().0, 2);
    let files = store.read(|it| it.version_files(kept.id)).unwrap();
    assert_eq!(files.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["init.lua", "lib.lua"]);
}
