//! The hostile scripts of `tests/it/zoo/scripts` that need nothing of the world: each ends as its header says, and its
//! plugin answers again.

use std::path::Path;

use serde_json::json;

use crate::model::call::Outcome;

use super::*;

fn header<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|it| it.strip_prefix("-- ")?.strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_default()
}

/// What the script came to: as an entry of its own, or as a handler of an event.
fn outcome(bench: &Bench, text: &str) -> (Outcome, String) {
    // What ends well has the time that it takes, also on a machine that others keep busy.
    let factor = if header(text, "expect") == "ok" { 10 } else { 1 };
    let limits =
        json!({ "cpu_ms": 200 * factor, "question_cpu_ms": 200 * factor, "load_cpu_ms": 300 * factor });
    let told = |failure: CallFailure| (failure.outcome, failure.fault.to_string());
    if header(text, "phase") == "load" {
        return bench.load_with(text, limits).map_or_else(told, |_| (Outcome::Ok, String::new()));
    }
    let init = "panotti.on.on_clip_captured(require('./attack'))
        panotti.on.on_clip_processed(function() return { title = 'alive' } end)";
    let plugin = match bench.load_files(&[("init.lua", init), ("attack.lua", text)], limits) {
        Ok(plugin) => plugin,
        Err(failure) => return told(failure),
    };
    let ended = bench.ask(&plugin, Hook::OnClipCaptured, json!({"id": 1, "recording_id": "rec_1"}));
    let again = bench.ask(&plugin, Hook::OnClipProcessed, json!({}));
    assert!(again.is_ok(), "the plugin does not answer again: {again:?}");
    bench.runtime.block_on(plugin.retire(Duration::ZERO));
    ended.map_or_else(told, |reply| (reply.outcome, String::new()))
}

#[test]
fn hostile_scripts_end_as_expected_and_leave_the_plugin_usable() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/zoo/scripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 100, "the scripts are there");
    let bench = Bench::new();
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        if header(&text, "api") != "none" {
            continue; // the whole server walks through these
        }
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let (outcome, message) = outcome(&bench, &text);
        if !header(&text, "expect").split('|').any(|it| it == outcome.as_str()) {
            wrong.push(format!(
                "{name}: {} instead of {}: {message}",
                outcome.as_str(),
                header(&text, "expect")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(bench.host.stuck(), 0);
}
