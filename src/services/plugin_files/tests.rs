use super::*;

const QUOTA: Quota = Quota { files: 3, bytes: 100 };

fn files() -> (tempfile::TempDir, PluginFiles) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        data_dir: folder.path().join("data"),
        recordings_dir: folder.path().join("recordings"),
        ..Settings::default()
    };
    (folder, PluginFiles::new(&settings))
}

#[test]
fn what_was_written_is_read_and_listed_and_removed() {
    let (_folder, files) = files();
    write(&files, "p", &Root::Own, "a/b/c.txt", b"hello", QUOTA).unwrap();
    append(&files, "p", &Root::Own, "a/b/c.txt", b" you", QUOTA).unwrap();
    append(&files, "p", &Root::Own, "new.txt", b"x", QUOTA).unwrap();
    assert_eq!(read(&files, "p", &Root::Own, "a/b/c.txt").unwrap(), b"hello you");
    let names: Vec<_> =
        list(&files, "p", &Root::Own, "").unwrap().into_iter().map(|it| (it.name, it.kind)).collect();
    assert_eq!(names, [("a".to_owned(), EntryKind::Folder), ("new.txt".to_owned(), EntryKind::File)]);
    assert_eq!(stat(&files, "p", &Root::Own, "a/b/c.txt").unwrap().unwrap().size, 9);
    assert_eq!(stat(&files, "p", &Root::Own, "none").unwrap(), None);
    assert!(matches!(remove(&files, "p", &Root::Own, "a", false), Err(FileFault::Wrong(_))));
    assert!(remove(&files, "p", &Root::Own, "a", true).unwrap());
    assert!(!remove(&files, "p", &Root::Own, "a", true).unwrap());
    assert!(matches!(read(&files, "q", &Root::Own, "new.txt"), Err(FileFault::NotFound(_))), "each its own");
}

#[test]
fn the_quota_is_exact_also_over_replacing_and_removing() {
    let (_folder, files) = files();
    let put = |name: &str, bytes: usize| write(&files, "p", &Root::Own, name, &vec![0; bytes], QUOTA);
    put("a", 60).unwrap();
    assert!(matches!(put("b", 41), Err(FileFault::Limit(_))));
    put("b", 40).unwrap();
    put("a", 30).unwrap();
    put("c", 30).unwrap();
    assert!(matches!(put("d", 0), Err(FileFault::Limit(why)) if why.contains("limits.files)")));
    remove(&files, "p", &Root::Own, "c", false).unwrap();
    put("d", 0).unwrap();
    assert_eq!(files.usage("p").read(), (3, 70));
    files.forget("p");
    assert!(matches!(put("e", 1), Err(FileFault::Limit(_))), "counted anew from the disk");
    assert_eq!(files.usage("p").read(), (3, 70));
}

#[cfg(unix)]
#[test]
fn no_link_and_no_dots_lead_out_and_no_pipe_holds_anybody() {
    let (folder, files) = files();
    let own = files.own_folder("p").unwrap();
    std::fs::write(folder.path().join("secret"), "x").unwrap();
    std::os::unix::fs::symlink(folder.path(), own.join("out")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), own.join("file")).unwrap();
    for path in ["out/secret", "file", "../../../secret", "/etc/passwd"] {
        assert!(matches!(read(&files, "p", &Root::Own, path), Err(FileFault::Denied(_))), "{path}");
        assert!(write(&files, "p", &Root::Own, path, b"y", QUOTA).is_err(), "{path}");
    }
    assert_eq!(std::fs::read(folder.path().join("secret")).unwrap(), b"x");
    let pipe = own.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|it| it.success()) {
        assert!(matches!(read(&files, "p", &Root::Own, "pipe"), Err(FileFault::Wrong(_))));
        assert!(matches!(append(&files, "p", &Root::Own, "pipe", b"", QUOTA), Err(FileFault::Wrong(_))));
    }
}
