//! What an editor needs beside the plugins: the description of `panotti`, and settings that name it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::lua::api::stubs::{definitions, is_own, meta, sealed};

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
    (
        ".luaurc",
        "{\n  \"languageMode\": \"nonstrict\",\n  \"globals\": [\"panotti\"],\n  \"aliases\": { \"panotti\": \".panotti\" }\n}\n",
    ),
    (
        ".vscode/settings.json",
        r#"{
  "luau-lsp.platform.type": "standard",
  "luau-lsp.types.definitionFiles": { "@panotti": ".panotti/panotti.d.luau" }
}
"#,
    ),
];

/// What became of the files of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The descriptions.
    pub stubs: Vec<PathBuf>,
    /// Settings that were made.
    pub made: Vec<PathBuf>,
    /// What was there, and was left as it is: settings, and descriptions that somebody has edited.
    pub kept: Vec<PathBuf>,
}

/// What `require("@panotti/test")` gives, for checkers that follow the alias of `.luaurc`.
const TEST: &str = "-- Of tests alone.\nlocal test: Test = nil :: any\nreturn test\n";

/// A file with a description, and what puts it together.
type Stub = (&'static str, fn() -> String);

/// The descriptions; putting one together takes milliseconds.
const STUBS: [Stub; 3] = [
    ("panotti.d.luau", || sealed(&definitions())),
    ("panotti.meta.lua", || sealed(&meta())),
    ("test.luau", || sealed(TEST)),
];

/// Writes everything into `root`; what is there and was not written by a server stays as it is.
///
/// # Errors
/// What the file system says.
pub fn write(root: &Path) -> io::Result<Written> {
    let (folder, mut written) = (root.join(FOLDER), Written::default());
    fs::create_dir_all(&folder)?;
    for (name, text) in STUBS {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|it| !is_own(&it)) {
            written.kept.push(path);
        } else {
            fs::write(&path, text())?;
            written.stubs.push(path);
        }
    }
    for (name, text) in SETTINGS {
        let path = root.join(name);
        if path.symlink_metadata().is_ok() {
            written.kept.push(path);
        } else {
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            fs::write(&path, text)?;
            written.made.push(path);
        }
    }
    Ok(written)
}

/// Brings the descriptions up to date that a server has written into one of `roots`; writes no others, and none that was
/// edited.
pub fn refresh(roots: &[PathBuf]) {
    for (root, (name, text)) in roots.iter().flat_map(|root| STUBS.map(|it| (root, it))) {
        let path = root.join(FOLDER).join(name);
        let Ok(kept) = fs::read_to_string(&path) else { continue };
        let (shown, text) = (path.display().to_string(), text());
        if kept == text {
            continue;
        }
        if !is_own(&kept) {
            log::debug!(path = shown.as_str(); "was edited and stays as it is; `panotti stubs` writes it anew once it is gone");
        } else if let Err(fault) = fs::write(&path, text) {
            log::warn!(path = shown.as_str(); "is stale and cannot be written: {fault}");
        } else {
            log::debug!(path = shown.as_str(); "was written by another version and is up to date again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_edited_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(".panotti/panotti.d.luau");
        assert_eq!(write(root.path()).unwrap().stubs.len(), 3);
        let fresh = fs::read_to_string(&path).unwrap();
        let edited = fresh.replacen("export type", "-- mine\nexport type", 1);
        fs::write(&path, &edited).unwrap();
        refresh(&[root.path().to_owned()]);
        let again = write(root.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
        assert!(again.kept.contains(&path) && again.stubs.len() == 2 && again.made.is_empty(), "{again:?}");
        fs::write(&path, sealed("-- of an older server\n")).unwrap();
        refresh(&[root.path().to_owned()]);
        assert_eq!(fs::read_to_string(&path).unwrap(), fresh);
    }
}
