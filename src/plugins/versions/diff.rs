//! How two states of a plugin's files differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use utoipa::ToSchema;

/// Files by path.
pub type Files = BTreeMap<String, Arc<[u8]>>;

/// The diffs of all files together may take so long; past that they tell more lines than have changed.
const TIME: Duration = Duration::from_millis(500);
/// Bytes the diffs of all files may have together; the rest are counted and not shown.
const TEXT_MAX_BYTES: usize = 1024 * 1024;
/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// It was not there before.
    Added,
    /// It is not there any more.
    Removed,
    /// Its bytes are others.
    Changed,
    /// The same bytes have another path.
    Renamed,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FileDiff {
    /// Path inside the plugin's folder.
    pub path: String,
    /// The path it had before, when it was renamed.
    pub former_path: Option<String>,
    /// What became of it.
    pub status: FileStatus,
    /// Lines that came.
    pub lines_added: usize,
    /// Lines that went.
    pub lines_removed: usize,
    /// The difference as unified diff; null for what is no text, and where `cut` is true.
    pub diff: Option<String>,
    /// Whether the diff is left out because all diffs together are too long.
    pub cut: bool,
}

/// The files that differ, by path.
pub fn diff(from: &Files, to: &Files) -> Vec<FileDiff> {
    let deadline = Instant::now() + TIME;
    let mut left = TEXT_MAX_BYTES;
    let renamed = renamed(from, to);
    let was_renamed: BTreeSet<&str> = renamed.values().copied().collect();
    let paths: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let files = paths.into_iter().filter_map(|path| {
        let (old, new) = (from.get(path), to.get(path));
        let status = match (old, new) {
            (Some(old), Some(new)) if old == new => return None,
            (Some(_), Some(_)) => FileStatus::Changed,
            (None, _) if renamed.contains_key(path.as_str()) => FileStatus::Renamed,
            (None, _) => FileStatus::Added,
            (Some(_), None) if was_renamed.contains(path.as_str()) => return None,
            (Some(_), None) => FileStatus::Removed,
        };
        let former_path = renamed.get(path.as_str()).map(|it| (*it).to_owned());
        let mut file = FileDiff {
            path: path.clone(),
            former_path,
            status,
            lines_added: 0,
            lines_removed: 0,
            diff: None,
            cut: false,
        };
        if status != FileStatus::Renamed {
            fill(&mut file, old.map(|it| &**it), new.map(|it| &**it), deadline, &mut left);
        }
        Some(file)
    });
    files.collect()
}

/// All differences as one text that `patch` and editors understand.
pub fn text(files: &[FileDiff]) -> String {
    let mut text = String::new();
    for file in files {
        let (old, new) = (shown(file.former_path.as_ref().unwrap_or(&file.path)), shown(&file.path));
        let _ = match (&file.diff, file.status) {
            (Some(diff), _) => write!(text, "{diff}"),
            (None, FileStatus::Renamed) => {
                writeln!(
                    text,
                    "diff --git a/{old} b/{new}\nsimilarity index 100%\nrename from {old}\nrename to {new}"
                )
            }
            (None, _) if file.cut => {
                let lines = format!("+{} -{} lines", file.lines_added, file.lines_removed);
                writeln!(text, "# {new}: {lines}, left out: the diff is too long")
            }
            (None, _) => writeln!(text, "Binary files a/{old} and b/{new} differ"),
        };
    }
    text
}

/// New paths with the ones that the same bytes had before.
fn renamed<'a>(from: &'a Files, to: &'a Files) -> BTreeMap<&'a str, &'a str> {
    let mut gone: BTreeMap<&[u8], Vec<&str>> = BTreeMap::new();
    for (path, bytes) in
        from.iter().rev().filter(|(path, bytes)| !to.contains_key(*path) && !bytes.is_empty())
    {
        gone.entry(bytes).or_default().push(path);
    }
    let new = to.iter().filter(|(path, _)| !from.contains_key(*path));
    new.filter_map(|(path, bytes)| Some((path.as_str(), gone.get_mut(&**bytes)?.pop()?))).collect()
}

fn fill(file: &mut FileDiff, old: Option<&[u8]>, new: Option<&[u8]>, deadline: Instant, left: &mut usize) {
    let as_text = |bytes: Option<&[u8]>| {
        std::str::from_utf8(bytes.unwrap_or_default()).ok().filter(|it| !it.contains('\0')).map(str::to_owned)
    };
    let (Some(before), Some(after)) = (as_text(old), as_text(new)) else { return };
    let mut config = TextDiff::configure();
    config.deadline(deadline);
    let diff = config.diff_lines(&before, &after);
    for change in diff.iter_all_changes() {
        match change.tag() {
            ChangeTag::Insert => file.lines_added += 1,
            ChangeTag::Delete => file.lines_removed += 1,
            ChangeTag::Equal => {}
        }
    }
    let path = shown(&file.path);
    let side = |bytes: Option<&[u8]>, letter: char| match bytes {
        Some(_) => format!("{letter}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (from, to) = (side(old, 'a'), side(new, 'b'));
    let text = diff.unified_diff().context_radius(CONTEXT).header(&from, &to).to_string();
    // Of an empty file that came or went there are no lines to show.
    let text = if text.is_empty() { format!("--- {from}\n+++ {to}\n") } else { text };
    match left.checked_sub(text.len()) {
        Some(rest) => {
            *left = rest;
            file.diff = Some(text);
        }
        None => file.cut = true,
    }
}

/// A path that cannot pass for another line of the diff.
fn shown(path: &str) -> String {
    match path.chars().any(char::is_control) {
        true => path.escape_debug().to_string(),
        false => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files(texts: &[(&str, &str)]) -> Files {
        texts.iter().map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes()))).collect()
    }

    #[test]
    fn each_file_is_told_with_its_lines_and_its_diff() {
        let from =
            files(&[("a.lua", "one\ntwo\nthree\n"), ("gone.lua", "x\n"), ("old.lua", "same\n"), ("z", "z")]);
        let to = files(&[
            ("a.lua", "one\n2\nthree\nfour\n"),
            ("came.lua", "y\n"),
            ("new.lua", "same\n"),
            ("z", "z"),
        ]);
        let found = diff(&from, &to);
        let told: Vec<_> =
            found.iter().map(|it| (it.path.as_str(), it.status, it.lines_added, it.lines_removed)).collect();
        assert_eq!(
            told,
            [
                ("a.lua", FileStatus::Changed, 2, 1),
                ("came.lua", FileStatus::Added, 1, 0),
                ("gone.lua", FileStatus::Removed, 0, 1),
                ("new.lua", FileStatus::Renamed, 0, 0),
            ]
        );
        assert_eq!(
            found[0].diff.as_deref().unwrap(),
            "--- a/a.lua\n+++ b/a.lua\n@@ -1,3 +1,4 @@\n one\n-two\n+2\n three\n+four\n"
        );
        assert_eq!(found[3].former_path.as_deref(), Some("old.lua"));
        let text = text(&found);
        assert!(text.contains("--- /dev/null\n+++ b/came.lua\n"), "{text}");
        assert!(text.contains("rename from old.lua\nrename to new.lua\n"), "{text}");
    }

    #[test]
    fn what_is_no_text_and_what_is_too_long_is_told_without_lines() {
        let long = "y\n".repeat(TEXT_MAX_BYTES / 2);
        let from: Files = [("b.lua".to_owned(), Arc::from(&b"\xff"[..]))].into();
        let mut to: Files = [("b.lua".to_owned(), Arc::from(&b"\xfe"[..]))].into();
        to.insert("long.lua".to_owned(), long.as_bytes().into());
        to.insert("new\nline.lua".to_owned(), Arc::from(&b"1\n"[..]));
        let found = diff(&from, &to);
        assert_eq!((found[0].diff.as_ref(), found[0].cut), (None, false));
        assert!(found[1].cut && found[1].lines_added == TEXT_MAX_BYTES / 2);
        let text = text(&found);
        assert!(text.starts_with("Binary files a/b.lua and b/b.lua differ\n# long.lua: +524288"), "{text}");
        assert!(text.contains("+++ b/new\\nline.lua\n"), "{text}");
    }

    #[test]
    fn files_without_anything_in_common_end_in_time() {
        let text =
            |salt: u64| -> String { (0..20_000u64).map(|it| format!("{}\n", it * 7 + salt)).collect() };
        let (from, to) =
            (files(&[("a", &text(0)), ("b", &text(1))]), files(&[("a", &text(2)), ("b", &text(3))]));
        let begin = Instant::now();
        assert_eq!(diff(&from, &to).len(), 2);
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }

    proptest! {
        #[test]
        fn the_lines_that_came_and_went_make_the_difference(
            old in proptest::collection::vec("[ab]{0,2}", 0..12),
            new in proptest::collection::vec("[ab]{0,2}", 0..12),
        ) {
            let text = |lines: &[String]| lines.iter().map(|it| format!("{it}\n")).collect::<String>();
            let found = diff(&files(&[("f", &text(&old))]), &files(&[("f", &text(&new))]));
            match found.first() {
                None => prop_assert_eq!(old, new),
                Some(it) => prop_assert_eq!(old.len() + it.lines_added, new.len() + it.lines_removed),
            }
        }
    }
}
