use super::*;

const QUOTA: Quota = Quota { files: 3, bytes: 100 };
const ROOMY: Quota = Quota { files: 1000, bytes: 1 << 20 };

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
    write(&files, "p", &Root::Own, "a/b/c.txt", b"hello", ROOMY).unwrap();
    append(&files, "p", &Root::Own, "a/b/c.txt", b" you", ROOMY).unwrap();
    append(&files, "p", &Root::Own, "new.txt", b"x", ROOMY).unwrap();
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

/// Nests `depth` folders below `folder`, as a tool does that goes into each.
fn nest(folder: &Path, depth: usize) {
    let mut dir = Dir::open_ambient_dir(folder, ambient_authority()).unwrap();
    for _ in 0..depth {
        dir.create_dir("a").unwrap();
        dir = dir.open_dir("a").unwrap();
    }
    dir.write("f", "x").unwrap();
}

#[test]
fn folders_nested_without_measure_are_refused_and_removed() {
    let (_folder, files) = files();
    let own = files.own_folder("p").unwrap();
    nest(&own, 20_000);
    let full = write(&files, "p", &Root::Own, "f", b"x", ROOMY);
    assert!(matches!(full, Err(FileFault::Limit(why)) if why.contains("nested more than 64 deep")));
    assert!(remove(&files, "p", &Root::Own, "a", true).unwrap());
    assert_eq!(std::fs::read_dir(&own).unwrap().count(), 0);
    write(&files, "p", &Root::Own, "f", b"x", ROOMY).unwrap();
    assert_eq!(files.usage("p").read(), (1, 1));
    nest(&own, 20_000);
    files.remove_all("p").unwrap();
    assert!(!own.exists());
    files.remove_all("p").unwrap();
}

#[test]
fn a_file_lies_in_at_most_64_folders() {
    let (_folder, files) = files();
    let deep = |depth: usize| write(&files, "p", &Root::Own, &("a/".repeat(depth) + "f"), b"x", ROOMY);
    deep(64).unwrap();
    files.forget("p");
    deep(64).unwrap();
    assert_eq!(files.usage("p").read(), (65, 1), "folders count");
    let refused = deep(65);
    assert!(matches!(refused, Err(FileFault::Limit(why)) if why.contains("more than 64 deep")));
    nest(&files.own_folder("q").unwrap(), 65);
    assert!(matches!(write(&files, "q", &Root::Own, "f", b"x", ROOMY), Err(FileFault::Limit(_))));
}

#[test]
fn folders_count_towards_the_quota_before_any_is_made_and_when_they_go() {
    let (_folder, files) = files();
    let put = |path: &str| write(&files, "p", &Root::Own, path, b"", QUOTA);
    assert!(matches!(put("a/b/c/d"), Err(FileFault::Limit(why)) if why.contains("limits.files)")));
    assert_eq!(list(&files, "p", &Root::Own, "").unwrap(), []);
    put("a/b/c").unwrap();
    append(&files, "p", &Root::Own, "a/b/c", b"x", QUOTA).unwrap();
    assert!(matches!(append(&files, "p", &Root::Own, "x/y", b"", QUOTA), Err(FileFault::Limit(_))));
    remove(&files, "p", &Root::Own, "a/b/c", false).unwrap();
    assert_eq!(files.usage("p").read(), (2, 0));
    remove(&files, "p", &Root::Own, "a/b", false).unwrap();
    assert_eq!(files.usage("p").read(), (1, 0));
    put("x/y").unwrap();
    assert!(matches!(remove(&files, "p", &Root::Own, ".", true), Err(FileFault::Wrong(_))));
}

/// Runs itself again with so few open files that a deep folder cannot be read.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_read_does_not_count_as_empty() {
    const FEW: &str = "PANOTTI_TEST_FEW_OPEN_FILES";
    if std::env::var_os(FEW).is_some() {
        let (_folder, files) = files();
        let own = files.own_folder("p").unwrap();
        nest(&own, 60);
        let written = write(&files, "p", &Root::Own, "new", b"x", ROOMY);
        assert!(matches!(written, Err(FileFault::Wrong(_))), "{written:?}");
        assert!(!own.join("new").exists());
        return;
    }
    let name = "services::plugin_files::tests::a_folder_that_cannot_be_read_does_not_count_as_empty";
    let again = std::process::Command::new("/bin/sh")
        .args(["-c", r#"ulimit -n 40 && exec "$0" --exact "$1""#])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(FEW, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("1 passed"), "{said}");
}
