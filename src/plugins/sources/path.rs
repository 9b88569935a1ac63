//! Which paths are a plugin's files: one place for the rules, each with a sentence for whoever broke it.

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Error};
use crate::plugins::discovery::{MAX_DEPTH, belongs, is_of_tests, is_script};

/// Bytes a path may have.
pub const PATH_MAX_BYTES: usize = 512;
/// Bytes one part of a path may have; what the file is called while it is written must fit a name, too.
pub const PART_MAX_BYTES: usize = 200;

/// What a file is to its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Lua; part of the version.
    Script,
    /// `plugin.yaml` or `plugin.yaml.example`; part of the version.
    Manifest,
    /// SQL below `migrations/`; part of the version.
    Migration,
    /// What people read (`*.md`, `*.txt`, a licence); another text is no other version.
    Document,
    /// Tests (`*_test.lua`, `*.test.lua`) and what they need, below `tests/`; another text is no other version.
    Fixture,
}

impl Kind {
    /// Whether the plugin's version depends on it.
    pub fn makes_a_version(self) -> bool {
        matches!(self, Kind::Script | Kind::Manifest | Kind::Migration)
    }

    /// What the file at `path` is; none = no part of a plugin.
    pub fn of(path: &str) -> Option<Kind> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_licence = ["LICENSE", "LICENCE", "NOTICE", "CHANGELOG", "README"].contains(&name);
        match path {
            _ if is_of_tests(path) => Some(Kind::Fixture),
            _ if is_script(path) => Some(Kind::Script),
            _ if belongs(path) && path.ends_with(".sql") => Some(Kind::Migration),
            _ if belongs(path) => Some(Kind::Manifest),
            _ if path.starts_with("tests/") => Some(Kind::Fixture),
            _ if name.ends_with(".md") || name.ends_with(".txt") || is_licence => Some(Kind::Document),
            _ => None,
        }
    }
}

/// Why a path is none of a plugin's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathFault {
    /// The path, as it was given.
    pub path: String,
    /// Which part of it is wrong, and what is accepted.
    pub reason: String,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.path.chars().take(120).collect();
        write!(f, "`{}` {}", shown.escape_debug(), self.reason)
    }
}

impl From<PathFault> for Error {
    fn from(fault: PathFault) -> Error {
        Error::new(Code::BadPath, format!("The path {fault}."))
            .with_hint("Paths are relative to the plugin's folder, such as `lib/words.lua`.")
    }
}

/// What the file at `path` would be, when a file may be written there.
///
/// # Errors
/// The path leads elsewhere, cannot lie on every disk, or is no part of a plugin.
pub fn check(path: &str) -> Result<Kind, PathFault> {
    inside(path)?;
    let fault = |reason: String| PathFault { path: path.to_owned(), reason };
    if path.len() > PATH_MAX_BYTES {
        return Err(fault(format!("has {} bytes; a path may have {PATH_MAX_BYTES}", path.len())));
    }
    if path.split('/').count() > MAX_DEPTH + 1 {
        return Err(fault(format!("lies deeper than {MAX_DEPTH} folders, which are not read")));
    }
    for part in path.split('/') {
        let shown = part.escape_debug();
        if part.len() > PART_MAX_BYTES {
            let cut: String = part.chars().take(20).collect();
            return Err(fault(format!(
                "has a part of {} bytes, `{}…`; a part may have {PART_MAX_BYTES}",
                part.len(),
                cut.escape_debug()
            )));
        }
        if part.starts_with(char::is_whitespace) || part.ends_with(|it: char| it.is_whitespace() || it == '.')
        {
            return Err(fault(format!(
                "has the part `{shown}`, which begins with a blank, or ends with a blank or a dot"
            )));
        }
        if let Some(wrong) = part.chars().find(|it| is_unseen(*it) || "<>:\"|?*".contains(*it)) {
            return Err(fault(format!(
                "has the part `{shown}` with the character `{}`, which not every disk takes",
                wrong.escape_unicode()
            )));
        }
        if !ComposingNormalizerBorrowed::new_nfc().is_normalized(part) {
            return Err(fault(format!(
                "has the part `{shown}`, which is not in Unicode's composed form (NFC): the same name could be there twice"
            )));
        }
    }
    Kind::of(path).ok_or_else(|| {
        let lower = path.to_lowercase();
        let hint = match Kind::of(&lower) {
            Some(_) => format!("; names are told apart by their case: `{lower}` would be"),
            None => String::new(),
        };
        fault(format!(
            "is no part of a plugin{hint}; that are *.lua, *.luau, plugin.yaml, plugin.yaml.example, migrations/*.sql, \
             *.md, *.txt, a licence, and anything below tests/"
        ))
    })
}

/// Whether a path stays within a folder and is not hidden: what may be looked at and removed.
///
/// # Errors
/// Which part leads elsewhere.
pub fn inside(path: &str) -> Result<(), PathFault> {
    let fault = |reason: String| Err(PathFault { path: path.to_owned(), reason });
    if path.is_empty() {
        return fault("is empty; it must name a file".to_owned());
    }
    if path.starts_with('/') {
        return fault("is absolute; it must be relative to the plugin's folder".to_owned());
    }
    if path.contains('\\') {
        return fault("has a backslash; parts are divided by `/`".to_owned());
    }
    if path.contains('\0') {
        return fault("has a NUL character".to_owned());
    }
    for part in path.split('/') {
        match part {
            "" => return fault("has an empty part: two `/` in a row, or one at its end".to_owned()),
            "." | ".." => return fault(format!("has the part `{part}`, which is no name")),
            hidden if hidden.starts_with('.') => {
                return fault(format!(
                    "has the hidden part `{}`; hidden files are left alone",
                    hidden.escape_debug()
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a name hides or turns around: control characters, marks of direction, joiners.
fn is_unseen(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_part_of_a_plugin_is_known_by_its_place_and_name() {
        for (path, kind) in [
            ("init.lua", Kind::Script),
            ("lib/a.luau", Kind::Script),
            ("tests/a.lua", Kind::Fixture),
            ("tests/lib/a.lua", Kind::Fixture),
            ("lib/a_test.lua", Kind::Fixture),
            ("a.test.luau", Kind::Fixture),
            ("lib/attest.lua", Kind::Script),
            ("plugin.yaml", Kind::Manifest),
            ("plugin.yaml.example", Kind::Manifest),
            ("migrations/0001_a/up.sql", Kind::Migration),
            ("README.md", Kind::Document),
            ("LICENSE", Kind::Document),
            ("tests/fixtures/call.json", Kind::Fixture),
            ("größe.lua", Kind::Script),
        ] {
            assert_eq!(check(path), Ok(kind), "{path}");
        }
    }

    #[test]
    fn what_is_not_says_which_part_and_why() {
        for (path, why) in [
            ("", "empty"),
            ("/etc/a.lua", "absolute"),
            ("../a.lua", "`..`"),
            ("lib/../a.lua", "`..`"),
            ("./a.lua", "`.`"),
            ("a//b.lua", "empty part"),
            ("lib/", "empty part"),
            (".git/a.lua", "`.git`"),
            ("lib/.a.lua", "`.a.lua`"),
            ("lib\\a.lua", "backslash"),
            ("a\0.lua", "NUL"),
            ("a\n.lua", "character"),
            ("a\u{202e}aul.lua", "character"),
            ("con:a.lua", "character"),
            ("lib /a.lua", "blank"),
            ("e\u{301}.lua", "NFC"),
            ("init.LUA", "`init.lua` would be"),
            ("lib/plugin.yaml", "no part of a plugin"),
            ("a.so", "no part of a plugin"),
            ("seed.sql", "no part of a plugin"),
        ] {
            let fault = check(path).unwrap_err();
            assert!(fault.reason.contains(why), "{path}: {fault}");
        }
        let long = format!("{}.lua", "a".repeat(300));
        assert!(check(&long).unwrap_err().reason.contains("304 bytes"));
        assert!(check(&format!("{}a.lua", "b/".repeat(13))).unwrap_err().reason.contains("12 folders"));
        assert!(
            check(&format!("{}a.lua", "bbbbbbbbb/".repeat(60))).unwrap_err().reason.contains("605 bytes")
        );
    }
}
