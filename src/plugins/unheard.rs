//! Functions that are named as hooks are, and that the server is not told of: nothing would ever call them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hooks::Hook;

use super::problem::Problem;

/// Global functions of a plugin's sources that have a hook's name, which stands nowhere else in them.
pub(super) fn unheard(files: &BTreeMap<String, Arc<[u8]>>) -> Vec<Problem> {
    let texts: Vec<(&String, &str)> = files
        .iter()
        .filter(|(path, _)| path.ends_with(".lua") || path.ends_with(".luau"))
        .filter_map(|(path, content)| Some((path, std::str::from_utf8(content).ok()?)))
        .collect();
    let mut found = Vec::new();
    for (path, text) in &texts {
        for (at, line) in text.lines().enumerate() {
            let Some(name) = hook_of(line) else { continue };
            if texts.iter().map(|(_, text)| mentions(text, name)).sum::<usize>() == 1 {
                let message = format!(
                    "nothing calls `function {name}`: hand it to the server with `panotti.on.{name}(function(…) … end)`"
                );
                found.push(Problem { file: (*path).clone(), line: Some(at + 1), message });
            }
        }
    }
    found
}

/// The hook whose name the global function has that begins in a line.
fn hook_of(line: &str) -> Option<&str> {
    let (name, _) = line.trim_start().strip_prefix("function")?.split_once('(')?;
    Hook::from_name(name.trim()).map(|_| name.trim())
}

/// How often `name` stands in a text as a word of its own.
fn mentions(text: &str, name: &str) -> usize {
    let is_part = |it: char| it.is_alphanumeric() || it == '_';
    let stands_alone =
        |at: usize| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part);
    text.match_indices(name).filter(|(at, _)| stands_alone(*at)).count()
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
}
