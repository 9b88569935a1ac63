use std::fs;

use super::*;

fn put(root: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn well_named_folders_are_plugins_and_everything_else_has_a_reason() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(one.path(), "quiet_hours/init.lua", "");
    put(one.path(), "Loud/init.lua", "");
    put(one.path(), "stray.lua", "");
    put(one.path(), "README.md", "");
    put(two.path(), "quiet_hours/init.lua", "");
    put(two.path(), "other-1/init.lua", "");
    let roots = [one.path().to_owned(), two.path().to_owned(), one.path().join("none")];
    let found = scan(&roots);
    let names: Vec<&str> = found.folders.keys().map(|it| &**it).collect();
    assert_eq!(names, ["other-1", "quiet_hours"]);
    assert!(found.folders["quiet_hours"].starts_with(one.path()));
    let told: Vec<(String, bool)> = found
        .rejected
        .iter()
        .map(|it| (it.path.file_name().unwrap().to_string_lossy().into_owned(), it.expected))
        .collect();
    let told: Vec<(&str, bool)> = told.iter().map(|(name, flag)| (name.as_str(), *flag)).collect();
    assert_eq!(
        told,
        [("Loud", false), ("README.md", true), ("stray.lua", false), ("quiet_hours", false), ("none", true)]
    );
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_are_not_followed() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(outside.path(), "init.lua", "secret");
    std::os::unix::fs::symlink(outside.path(), root.path().join("linked")).unwrap();
    put(root.path(), "honest/init.lua", "");
    let secret = outside.path().join("init.lua");
    std::os::unix::fs::symlink(secret, root.path().join("honest/lib.lua")).unwrap();
    let found = scan(&[root.path().to_owned()]);
    assert!(!found.folders.contains_key("linked"));
    assert!(found.rejected[0].reason.contains("link"), "{:?}", found.rejected);
    let snapshot = snapshot(&root.path().join("honest")).unwrap();
    assert_eq!(snapshot.files.keys().collect::<Vec<_>>(), ["init.lua"]);
    assert_eq!(snapshot.warnings[0].file, "lib.lua");
}

#[test]
fn the_hash_follows_names_and_contents() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("p");
    put(root.path(), "p/init.lua", "a");
    let first = snapshot(&folder).unwrap().hash;
    put(root.path(), "p/notes.txt", "not a source");
    assert_eq!(snapshot(&folder).unwrap().hash, first);
    put(root.path(), "p/lib/x.lua", "");
    let second = snapshot(&folder).unwrap().hash;
    put(root.path(), "p/init.lua", "b");
    assert!(first != second && second != snapshot(&folder).unwrap().hash);
}

#[test]
fn sources_beyond_the_limits_are_a_fault_that_names_the_limit() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "p/init.lua", vec![b' '; 256 * 1024 + 1]);
    let fault = snapshot(&root.path().join("p")).unwrap_err();
    assert_eq!((fault.outcome, fault.to_string().contains("256 KiB")), (Outcome::Limit, true));
    for n in 0..5 {
        put(root.path(), &format!("q/{n}.lua"), vec![b' '; 250 * 1024]);
    }
    let fault = snapshot(&root.path().join("q")).unwrap_err();
    assert!(fault.to_string().contains("1024 KiB"), "{fault}");
}

#[test]
fn the_entry_is_init_then_plugin_then_the_only_script() {
    let root = tempfile::tempdir().unwrap();
    let entry_of = |name: &str| entry(&snapshot(&root.path().join(name)).unwrap());
    for file in ["a/init.lua", "a/plugin.lua", "b/plugin.luau", "b/x.lua", "c/only.lua", "d/x.lua", "d/y.lua"]
    {
        put(root.path(), file, "");
    }
    put(root.path(), "e/plugin.yaml", "");
    put(root.path(), "e/lib/x.lua", "");
    assert_eq!(entry_of("a").unwrap(), "init.lua");
    assert_eq!(entry_of("b").unwrap(), "plugin.luau");
    assert_eq!(entry_of("c").unwrap(), "only.lua");
    assert!(entry_of("d").unwrap_err().to_string().contains("x.lua, y.lua"));
    let fault = entry_of("e").unwrap_err().to_string();
    assert!(fault.contains("no script") && fault.contains("init.lua"), "{fault}");
}
