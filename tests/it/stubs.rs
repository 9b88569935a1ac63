//! `panotti stubs`: what an editor needs lies beside the plugins, and stays fresh.

use std::fs;
use std::sync::Arc;

use serde_json::Value;

use crate::command_line::panotti;
use crate::common::Server;

#[test]
fn stubs_are_written_beside_the_plugins_and_the_server_keeps_them_fresh_where_they_are() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let root = folder.path().join("plugins");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join(".luaurc"), "{}").unwrap();
    let out = panotti(folder.path(), &[], &["stubs", "--dir", "plugins"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let told = String::from_utf8(out.stdout).unwrap();
    assert!(told.contains("Left as it is: plugins/.luaurc"), "{told}");
    assert_eq!(fs::read_to_string(root.join(".luaurc")).unwrap(), "{}");
    let settings: Value =
        serde_json::from_str(&fs::read_to_string(root.join(".luarc.json")).unwrap()).unwrap();
    for named in settings["workspace.library"].as_array().unwrap() {
        assert!(root.join(named.as_str().unwrap()).is_file(), "{named}");
    }
    let types = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/types/");
    for name in ["panotti.d.luau", "panotti.meta.lua"] {
        let fresh = fs::read_to_string(format!("{types}{name}")).unwrap();
        let written = fs::read_to_string(root.join(".panotti").join(name)).unwrap();
        // Below stands who wrote it.
        assert!(written.starts_with(&fresh), "{name} is not the one of this version");
    }

    let (kept, removed) = (root.join(".panotti/panotti.d.luau"), root.join(".panotti/panotti.meta.lua"));
    // As a server of another version would have written it: its last line knows the rest again.
    let body = "-- of an older server\n";
    let seal = &blake3::hash(body.as_bytes()).to_hex()[..32];
    fs::write(
        &kept,
        format!("{body}-- Written by panotti 0.0.1, which renews it unless it was edited: {seal}\n"),
    )
    .unwrap();
    fs::remove_file(&removed).unwrap();
    let server = Server::with().in_folder(Arc::clone(&folder)).plugin("one", "-- nothing").start();
    assert!(fs::read_to_string(&kept).unwrap().contains("declare panotti"));
    assert!(!removed.exists(), "what nobody asked for is not written");
    assert_eq!(server.get("/api/v1/plugins").expect(200)["items"].as_array().map(Vec::len), Some(1));
}
