//! Functions that are named as hooks are, and that the server is not told of: nothing would ever call them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::hooks::Hook;

use super::problem::Problem;

/// Global functions of a plugin's sources that have a hook's name, which nothing else in them uses; of each name the first.
pub(super) fn unheard(files: &BTreeMap<String, Arc<[u8]>>) -> Vec<Problem> {
    let mut made: BTreeMap<&str, (&String, usize)> = BTreeMap::new();
    let mut used = BTreeSet::new();
    for (path, content) in files {
        let is_script = path.ends_with(".lua") || path.ends_with(".luau");
        let Some(text) = std::str::from_utf8(content).ok().filter(|_| is_script) else { continue };
        names(text, |name, at, use_of| match use_of {
            Use::Made => _ = made.entry(name).or_insert((path, at)),
            Use::Used => _ = used.insert(name),
        });
    }
    let line = |path: &String, at: usize| files[path][..at].iter().filter(|it| **it == b'\n').count() + 1;
    let unused = made.into_iter().filter(|(name, _)| !used.contains(name));
    let problem = |(name, (path, at)): (&str, (&String, usize))| {
        let message = format!(
            "nothing calls `function {name}`: hand it to the server with `panotti.on.{name}(function(…) … end)`"
        );
        Problem { file: path.clone(), line: Some(line(path, at)), message }
    };
    unused.map(problem).collect()
}

/// What a name of a hook stands for in a text.
enum Use {
    /// A global function is given it.
    Made,
    Used,
}

/// Tells of the hooks' names in a script, with the place of each: not of those in comments and long strings.
fn names<'a>(text: &'a str, mut tell: impl FnMut(&'a str, usize, Use)) {
    let (mut at, mut last, mut before) = (0, "", "");
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = if let Some(comment) = rest.strip_prefix("--") {
            let end = long(comment).unwrap_or_else(|| comment.find('\n').unwrap_or(comment.len()));
            at += 2 + end;
            continue;
        } else if let Some(end) = long(rest) {
            end
        } else if matches!(first, '"' | '\'') {
            let end = quoted(rest, first);
            let inner = rest[..end].trim_matches(first);
            if Hook::from_name(inner).is_some() {
                tell(inner, at, Use::Used);
            }
            end
        } else if is_part(first) {
            let end = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
            let (name, after) = (&rest[..end], rest[end..].trim_start());
            if Hook::from_name(name).is_some() {
                let is_given =
                    after.strip_prefix('=').is_some_and(|it| it.trim_start().starts_with("function"));
                // Where a statement may begin, not a field of a table.
                let is_assigned = is_given && !matches!(last, "." | "{" | "," | ";" | "local");
                let is_made = last == "function" && before != "local" || is_assigned;
                tell(name, at, if is_made { Use::Made } else { Use::Used });
            }
            end
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            (before, last) = (last, &rest[..length]);
        }
        at += length;
    }
}

fn is_part(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// Where a long string ends that a text begins with; none = it does not.
fn long(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('[')?;
    let level = inner.find(|it| it != '=')?;
    let content = inner[level..].strip_prefix('[')?;
    let close = format!("]{}]", "=".repeat(level));
    let begin = text.len() - content.len();
    Some(content.find(&close).map_or(text.len(), |it| begin + it + close.len()))
}

/// Where a string ends that a text begins with.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => return at,
            _ if it == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let files =
            files.iter().map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes()))).collect();
        unheard(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_global_function_with_the_name_of_a_hook_is_told_with_what_to_write_instead() {
        let told = told(&[("init.lua", "local n = 1\nfunction on_clip_captured(clip)\nend\n")]);
        assert_eq!(
            told,
            ["init.lua:2: nothing calls `function on_clip_captured`: hand it to the server with \
              `panotti.on.on_clip_captured(function(…) … end)`"]
        );
    }

    #[test]
    fn what_is_handed_on_somewhere_or_has_another_name_is_left_alone() {
        let function = "function on_clip_captured(clip)\nend\n";
        let registered = format!("{function}panotti.on.on_clip_captured(on_clip_captured)");
        assert!(told(&[("init.lua", &registered)]).is_empty());
        let elsewhere = "require('lib') panotti.on.on_clip_captured(on_clip_captured)";
        assert!(told(&[("lib.lua", function), ("init.lua", elsewhere)]).is_empty());
        assert!(
            told(&[("init.lua", "function on_clip_captured_too(clip)\nend\nfunction mine()\nend")])
                .is_empty()
        );
        assert!(told(&[("init.lua", "panotti.on.on_clip_captured(function(clip) end)")]).is_empty());
        assert_eq!(told(&[("init.lua", &format!("{function}on_clip_captured_too = 1"))]).len(), 1);
    }

    #[test]
    fn only_what_is_run_counts_and_a_name_may_be_given_in_two_ways() {
        let function = "function on_clip_captured(clip)\nend\n";
        for text in [
            format!("--[[\n{function}]]"),
            format!("local s = [==[\n{function}]==]"),
            format!("-- {function}"),
        ] {
            assert!(told(&[("init.lua", &text)]).is_empty(), "{text}");
        }
        for text in [
            format!("-- on_clip_captured tags clips\n{function}"),
            format!("{function}{function}"),
            "x = 1\non_clip_captured = function(clip) end".to_owned(),
            format!("local s = \"a \\\" [[\"\n{function}"),
        ] {
            assert_eq!(told(&[("init.lua", &text)]).len(), 1, "{text}");
        }
        for text in [
            "function hooks.on_clip_captured() end",
            "hooks.on_clip_captured = function() end",
            "local function on_clip_captured() end",
            "return { on_clip_captured = function() end }",
        ] {
            let told = told(&[("init.lua", text)]);
            assert!(told.is_empty(), "{told:?}");
        }
        let by_name = format!("{function}panotti.on('on_clip_captured', _G['on_clip_captured'])");
        assert!(told(&[("init.lua", &by_name)]).is_empty());
    }

    #[test]
    fn a_large_text_that_names_hooks_everywhere_is_read_once() {
        let text = format!("--[[\n{0}]]\n{0}", "function on_load()\n".repeat(25_000));
        let (told, other) = (told(&[("init.lua", &text)]), told(&[("a.lua", &text), ("b.lua", &text)]));
        assert!(told.len() == 1 && other.len() == 1, "{told:?} {other:?}");
    }
}
