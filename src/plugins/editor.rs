//! What an editor needs beside the plugins: the description of `panotti`, and settings that name it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::lua::api::stubs::{definitions, meta};

/// Where the descriptions lie in a folder of plugins; hidden, so that it is no plugin.
const FOLDER: &str = ".panotti";

/// Settings that are written once and then belong to the author.
const SETTINGS: &[(&str, &str)] = &[
    (
        ".luarc.json",
        r#"{
  "runtime.version": "Lua 5.1",
  "runtime.nonstandardSymbol": ["continue", "+=", "-=", "*=", "/=", "%=", "^=", "`"],
  "workspace.library": [".panotti/panotti.meta.lua"]
}
"#,
    ),
    (".luaurc", "{\n  \"languageMode\": \"nonstrict\",\n  \"globals\": [\"panotti\"]\n}\n"),
];

/// What became of the files of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The descriptions.
    pub stubs: Vec<PathBuf>,
    /// Settings that were made.
    pub made: Vec<PathBuf>,
    /// Settings that were there, and were left as they are.
    pub kept: Vec<PathBuf>,
}

fn stubs() -> [(&'static str, String); 2] {
    [("panotti.d.luau", definitions()), ("panotti.meta.lua", meta())]
}

/// Writes everything into `root`.
///
/// # Errors
/// What the file system says.
pub fn write(root: &Path) -> io::Result<Written> {
    let (folder, mut written) = (root.join(FOLDER), Written::default());
    fs::create_dir_all(&folder)?;
    for (name, text) in stubs() {
        fs::write(folder.join(name), text)?;
        written.stubs.push(folder.join(name));
    }
    for (name, text) in SETTINGS {
        let path = root.join(name);
        if path.symlink_metadata().is_ok() {
            written.kept.push(path);
        } else {
            fs::write(&path, text)?;
            written.made.push(path);
        }
    }
    Ok(written)
}

/// Brings the descriptions up to date that somebody had written into one of `roots`, and writes no others.
pub fn refresh(roots: &[PathBuf]) {
    for (root, (name, text)) in roots.iter().flat_map(|root| stubs().map(|it| (root, it))) {
        let path = root.join(FOLDER).join(name);
        if fs::read(&path).is_ok_and(|it| it != text.as_bytes())
            && let Err(fault) = fs::write(&path, text)
        {
            log::warn!(path = path.display().to_string().as_str(); "is stale and cannot be written: {fault}");
        }
    }
}
