//! A plugin's files as a change would leave them, checked as a whole before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::plugins::discovery::{FILE_MAX_BYTES, MAX_FILES, PLUGIN_MAX_BYTES};

use super::path::{Kind, check, inside};

/// Bytes that documents and fixtures of a plugin may have together.
pub const EXTRA_MAX_BYTES: u64 = 1024 * 1024;

/// Files by path.
pub(super) type Files = BTreeMap<String, Arc<[u8]>>;

/// The files that `folder` would hold after a change.
///
/// # Errors
/// As [`overlay`]; the folder cannot be read.
pub fn would_be(folder: &Path, put: &Files, delete: &BTreeSet<String>) -> Result<Files> {
    overlay(&super::read_all(folder)?, put, delete)
}

/// `files` with `put` in their places and without `delete`.
///
/// # Errors
/// A path is none of a plugin's, differs from another in case alone, or is a file's and a folder's at once; a limit.
pub fn overlay(files: &Files, put: &Files, delete: &BTreeSet<String>) -> Result<Files> {
    let mut all = files.clone();
    for path in delete {
        inside(path)?;
        all.remove(path);
    }
    for (path, content) in put {
        check(path)?;
        if delete.contains(path) {
            let detail = format!("`{}` is to be written and deleted at once.", path.escape_debug());
            return Err(Error::new(Code::Invalid, detail));
        }
        if content.len() as u64 > FILE_MAX_BYTES {
            return Err(too_large(
                format!(
                    "`{}` has {} bytes; a file of a plugin may have {FILE_MAX_BYTES}.",
                    path.escape_debug(),
                    content.len()
                ),
                FILE_MAX_BYTES,
            ));
        }
        all.insert(path.clone(), Arc::clone(content));
    }
    check_names(&all, put)?;
    check_sizes(&all)?;
    Ok(all)
}

/// Two names that are one on another disk, and names that are a file's and a folder's.
fn check_names(all: &Files, put: &Files) -> Result<()> {
    // Each file, and each folder above one, by how a disk sees it that does not tell case apart.
    let mut seen: BTreeMap<String, (&str, bool)> = BTreeMap::new();
    let known = all.keys().filter(|it| !put.contains_key(*it));
    for path in known.chain(put.keys()) {
        let is_new = put.contains_key(path);
        let ends = path.match_indices('/').map(|(at, _)| (at, true)).chain([(path.len(), false)]);
        for (end, is_folder) in ends {
            let name = &path[..end];
            match seen.get(&name.to_lowercase()) {
                None => _ = seen.insert(name.to_lowercase(), (name, is_folder)),
                // What lies there already is the admin's own affair.
                Some(_) if !is_new => {}
                Some((other, _)) if *other != name => {
                    let detail = format!(
                        "`{}` differs from `{}` in nothing but case; not every disk tells them apart.",
                        name.escape_debug(),
                        other.escape_debug()
                    );
                    return Err(Error::new(Code::Conflict, detail)
                        .with_hint("Use the name as it stands, or another."));
                }
                Some((_, other_is_folder)) if *other_is_folder != is_folder => {
                    let detail = format!("`{}` would be a file and a folder at once.", name.escape_debug());
                    return Err(
                        Error::new(Code::Conflict, detail).with_hint("Delete the one to make the other.")
                    );
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

fn check_sizes(all: &Files) -> Result<()> {
    if all.len() > MAX_FILES {
        let detail = format!("The plugin would have {} files; it may have {MAX_FILES}.", all.len());
        return Err(too_large(detail, MAX_FILES as u64));
    }
    for (made, limit, what) in [
        (true, PLUGIN_MAX_BYTES, "sources, manifest and migrations"),
        (false, EXTRA_MAX_BYTES, "documents and files of tests"),
    ] {
        let counted =
            all.iter().filter(|(path, _)| Kind::of(path).is_some_and(Kind::makes_a_version) == made);
        let bytes: u64 = counted.map(|(_, content)| content.len() as u64).sum();
        if bytes > limit {
            let detail = format!("The {what} of the plugin would have {bytes} bytes; they may have {limit}.");
            return Err(too_large(detail, limit));
        }
    }
    Ok(())
}

fn too_large(detail: String, limit: u64) -> Error {
    Error::new(Code::TooLarge, detail)
        .with_hint(
            "This limit is part of the server: split the file, or keep data outside the plugin's sources.",
        )
        .with_member("limit", limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().into())).collect()
    }

    fn fault(have: &[(&str, &str)], put: &[(&str, &str)], delete: &[&str]) -> Error {
        let delete = delete.iter().map(|it| (*it).to_owned()).collect();
        overlay(&files(have), &files(put), &delete).unwrap_err()
    }

    #[test]
    fn a_change_is_laid_over_the_files() {
        let have = files(&[("a.lua", "1"), ("b.lua", "2")]);
        let after = overlay(&have, &files(&[("a.lua", "3"), ("c.lua", "4")]), &["b.lua".to_owned()].into());
        assert_eq!(after.unwrap(), files(&[("a.lua", "3"), ("c.lua", "4")]));
    }

    #[test]
    fn names_that_are_one_on_another_disk_do_not_lie_side_by_side() {
        assert!(fault(&[("lib/a.lua", "")], &[("Lib/b.lua", "")], &[]).detail.contains("`lib`"));
        assert_eq!(fault(&[("a.lua", "")], &[("A.lua", "")], &[]).code, Code::Conflict);
        assert_eq!(fault(&[], &[("a.lua", ""), ("A.lua", "")], &[]).code, Code::Conflict);
        let moved = overlay(&files(&[("a.lua", "")]), &files(&[("A.lua", "")]), &["a.lua".to_owned()].into());
        assert!(moved.is_ok());
    }

    #[test]
    fn no_name_is_a_file_and_a_folder() {
        assert!(fault(&[("a.lua", "")], &[("a.lua/b.lua", "")], &[]).detail.contains("at once"));
        assert!(fault(&[("a.lua/b.lua", "")], &[("a.lua", "")], &[]).detail.contains("at once"));
    }

    #[test]
    fn limits_name_themselves() {
        let big = "x".repeat(300 << 10);
        assert!(fault(&[], &[("a.lua", &big)], &[]).detail.contains("262144"));
        let quarter = "x".repeat(256 << 10);
        let many: Vec<(String, &str)> = (0..5).map(|it| (format!("{it}.lua"), quarter.as_str())).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let error = fault(&many[..4], &many[4..], &[]);
        assert_eq!(error.code, Code::TooLarge);
        assert!(error.detail.contains("1310720"), "{}", error.detail);
    }
}
