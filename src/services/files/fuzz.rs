//! Whatever path a client or a plugin names: what is opened lies inside, or nothing is.

use std::io::Read;

use crate::config::Settings;
use crate::fuzz;

use super::MediaFiles;

const SECRET: &str = "nobody may read this";

#[test]
fn paths() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let settings = Settings {
        data_dir: root.join("data"),
        recordings_dir: root.join("recordings"),
        ..Settings::default()
    };
    let files = MediaFiles::open(&settings).unwrap();
    for (path, text) in [
        ("secret", SECRET),
        ("data/secret", SECRET),
        ("data/media/secret.txt/..keep", "inside"),
        ("data/media/recordings/r1/mic.wav", "inside"),
        ("data/media/clips/1.wav", "inside"),
        ("recordings/a/b.wav", "inside"),
        ("recordings/ü.wav", "inside"),
        ("recordings-2/b.wav", SECRET),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    #[cfg(unix)]
    for (link, to) in
        [("recordings/out", ".."), ("recordings/secret", "../secret"), ("data/media/clips/up", "../..")]
    {
        std::os::unix::fs::symlink(to, root.join(link)).unwrap();
    }
    const WORDS: &[&str] = &[
        "..",
        "/",
        ".",
        "//",
        "\0",
        "a",
        "b.wav",
        "recordings",
        "data",
        "media",
        "clips",
        "secret",
        "up",
        "out",
        "r1",
        "\\",
        "~",
        "/proc/self/root",
        "/etc/passwd",
        "{root}",
        "file://",
    ];
    let files = std::panic::AssertUnwindSafe(files);
    fuzz::run("paths", WORDS, |input| {
        let path = String::from_utf8_lossy(input).replace("{root}", &root.to_string_lossy());
        for opened in [files.open_path(&path), files.open_own(&path), files.open_client(&path)] {
            let Ok(mut media) = opened else { continue };
            let mut text = String::new();
            media.file.read_to_string(&mut text).unwrap();
            assert_eq!(text, "inside", "{path:?}");
        }
        if let Some(kept) = files.client_path(&path) {
            assert!(kept.starts_with(&settings.recordings_dir) && kept != settings.recordings_dir);
            assert!(!kept.components().any(|it| it.as_os_str() == ".."), "{path:?}");
        }
    });
}
