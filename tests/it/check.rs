//! `panotti check`: what it finds, how it says it, and that it says nothing of what is right.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::command_line::panotti;
use crate::guide;

/// Runs the command: the exit code, stdout, stderr.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let out = panotti(folder, &[], args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// What is found in the plugins of `root`.
#[track_caller]
fn findings(root: &Path) -> Vec<Value> {
    let (code, out, told) = run(root, &["check", ".", "--json"]);
    let found: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{told}"));
    let counts = found.iter().any(|it| it["severity"] != "note");
    assert_eq!(code, Some(i32::from(counts)), "{told}");
    found
}

/// File, line, column and code of a finding.
fn place(it: &Value) -> Value {
    json!([it["file"], it["line"], it["column"], it["code"]])
}

#[test]
fn the_shipped_plugins_and_the_templates_have_no_findings() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("user_plugins");
    let folder = tempfile::tempdir().unwrap();
    let (code, out, told) = run(folder.path(), &["check", shipped.to_str().unwrap()]);
    assert_eq!((code, told.as_str()), (Some(0), ""), "{out}");
    for template in ["clip-tagger", "recording-guard", "http-route", "scheduled"] {
        let name = template.replace('-', "_");
        assert_eq!(run(folder.path(), &["new", &name, "--template", template]).0, Some(0));
    }
    let (code, out, told) = run(folder.path(), &["check"]);
    assert_eq!((code, out.as_str(), told.as_str()), (Some(0), "4 plugins checked, nothing found\n", ""));
}

#[test]
fn a_hook_that_is_written_as_a_global_function_is_told_and_not_passed_over_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("tagger/init.lua", "function on_clip_captured(clip)\n  return {}\nend\n")]);
    let found = findings(folder.path());
    assert!(
        found.len() == 1 && place(&found[0]) == json!(["init.lua", 1, null, "unheard-hook"]),
        "{found:#?}"
    );
    assert!(found[0]["message"].as_str().unwrap().contains("`panotti.on.on_clip_captured(function("));
}

#[test]
fn what_the_guide_shows_has_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = guide::plugins();
    let right = plugins.iter().filter(|(_, it)| it.fails.is_none());
    for (name, plugin) in right.clone() {
        for (file, text) in &plugin.files {
            write(folder.path(), &[(&format!("{name}/{file}"), text)]);
        }
    }
    let mut found = findings(folder.path());
    // A manifest that is shown without a script asks for what nothing uses yet.
    let has_script =
        |name: &Value| plugins[name.as_str().unwrap()].files.iter().any(|(_, it)| it.contains("panotti."));
    found.retain(|it| it["code"] != "unused-permission" || has_script(&it["plugin"]));
    // One of them shows what a misspelt field comes to, and is found by it.
    let (meant, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it["plugin"] == "mistaken");
    assert!(right.count() > 15 && found.is_empty(), "{found:#?}");
    assert!(
        meant.len() == 1 && place(&meant[0]) == json!(["init.lua", 6, 49, "unknown-field"]),
        "{meant:#?}"
    );
}

#[test]
fn every_kind_of_fault_is_found_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let init = "local kv = panotti.kv\nkv.gett('x')\npanotti.on.on_clip_capturd(function() end)\nrequire('lib.ruels')\n\
                panotti.http.get('https://api.example')\npanotti.on('on_shutdwon', print)\npanotti.clips.delete(1)\n";
    write(
        folder.path(),
        &[
            ("wrong/init.lua", init),
            ("wrong/lib/rules.lua", "return {\n  1 = 2\n}\n"),
            ("wrong/migrations/one/up.sql", "CREATE TABLE t (a)"),
            (
                "wrong/plugin.yaml",
                "verison: \"1.0.0\"\npermissions: { clips: [read] }\nconfig: { n: many }\nconfig_schema:\n  properties:\n    n: { type: integer }\n",
            ),
            ("worse/init.lua", "return nil"),
            ("worse/plugin.yaml", "version: one\nenabled: perhaps\n"),
            ("idle/init.lua", "panotti.log.info('hello')"),
            ("idle/plugin.yaml", "name: idle\npermissions:\n  kv: true\n  db: true\n"),
            ("empty/README.md", "nothing"),
        ],
    );
    let found = findings(folder.path());
    let of = |plugin: &str| found.iter().filter(|it| it["plugin"] == plugin).map(place).collect::<Vec<_>>();
    assert_eq!(
        Value::from(of("wrong")),
        json!([
            ["plugin.yaml", 1, null, "manifest"],
            ["plugin.yaml", 3, null, "config"],
            ["migrations/one/up.sql", null, null, "migration"],
            ["lib/rules.lua", 2, null, "syntax"],
            ["init.lua", 2, 4, "unknown-name"],
            ["init.lua", 3, 12, "unknown-hook"],
            ["init.lua", 4, 9, "require"],
            ["init.lua", 5, 14, "permission"],
            ["init.lua", 6, 12, "unknown-hook"],
            ["init.lua", 7, 15, "permission"],
        ]),
        "{found:#?}"
    );
    assert_eq!(
        Value::from(of("worse")),
        json!([["plugin.yaml", 1, null, "manifest"], ["plugin.yaml", 2, null, "manifest"]])
    );
    assert_eq!(
        Value::from(of("idle")),
        json!([["plugin.yaml", 4, null, "unused-permission"], ["plugin.yaml", 3, null, "unused-permission"]])
    );
    assert_eq!(Value::from(of("empty")), json!([[null, null, null, "folder"]]));
    let of_code = |code: &str| found.iter().find(|it| it["plugin"] == "wrong" && it["code"] == code).unwrap();
    for (code, words) in [
        ("unknown-name", "did you mean 'get'?"),
        ("unknown-hook", "did you mean 'on_clip_captured'?"),
        ("require", "there is lib/rules.lua"),
        ("manifest", "did you mean \"version\"?"),
    ] {
        assert!(of_code(code)["message"].as_str().unwrap().contains(words), "{:#}", of_code(code));
    }
    assert_eq!(
        of_code("unknown-name")["excerpt"],
        "     1 | local kv = panotti.kv\n>    2 | kv.gett('x')\n     3 | panotti.on.on_clip_capturd(function() end)\n     4 | require('lib.ruels')"
    );
    assert!(of_code("permission")["hint"].as_str().unwrap().contains("permissions: { http"));
}

#[test]
fn a_finding_is_shown_as_a_compiler_shows_it_and_a_plugin_is_found_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[("user_plugins/typo/init.lua", "-- one\nlocal n = panotti.kv.gett('n')\n")]);
    for path in ["typo", "user_plugins/typo", "user_plugins", "./user_plugins/typo/"] {
        let (code, out, told) = run(folder.path(), &["check", path]);
        assert_eq!(
            (code, told.as_str()),
            (Some(1), "panotti: 1 error and 0 warnings in 1 plugin\n"),
            "{path}"
        );
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], "error[unknown-name]: panotti.kv has no function 'gett' (did you mean 'get'?)");
        assert!(
            lines[1].starts_with("  --> ") && lines[1].ends_with("user_plugins/typo/init.lua:2:22"),
            "{out}"
        );
        assert_eq!(lines[2..4], ["       1 | -- one", "  >    2 | local n = panotti.kv.gett('n')"], "{out}");
    }
    let (code, out, told) = run(folder.path(), &["check", "nowhere"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(told.contains("nowhere") && told.contains("user_plugins"), "{told}");
}

#[test]
fn tests_may_ask_for_their_module_and_are_checked_like_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &[
            ("p/init.lua", "require('@panotti/test')\n"),
            (
                "p/tests/good_test.lua",
                "local t = require('@panotti/test')\nrequire('lib.rules')\nrequire('tests.own.part')\n",
            ),
            ("p/tests/own/part.lua", "return 1"),
            ("p/lib/rules.lua", "return {}"),
            ("p/tests/bad_test.lua", "local t = require('@panotti/tset')\npanotti.kv.gett('x')\n"),
            ("p/broken_test.lua", "local = 1\n"),
        ],
    );
    let found = findings(folder.path());
    let places: Vec<Value> = found.iter().map(place).collect();
    assert_eq!(
        places,
        [
            json!(["init.lua", 1, 9, "require"]),
            json!(["broken_test.lua", 1, null, "syntax"]),
            json!(["tests/bad_test.lua", 1, 19, "require"]),
            json!(["tests/bad_test.lua", 2, 12, "unknown-name"]),
        ],
        "{found:#?}"
    );
}

#[test]
fn a_misspelt_field_is_found_where_the_record_is_passed_on_too_unless_somebody_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let init = "local rules = require('rules')\npanotti.on.on_clip_captured(function(clip)\n  rules.look(clip)\n  return { title = clip.titel }\nend)\n";
    write(
        folder.path(),
        &[("one/init.lua", init), ("one/rules.lua", "return { look = function(clip) print(clip) end }")],
    );
    let found = findings(folder.path());
    assert_eq!(found.iter().map(place).collect::<Vec<_>>(), [json!(["init.lua", 4, 25, "unknown-field"])]);
    assert!(found[0]["message"].as_str().unwrap().contains("did you mean 'title'?"), "{found:?}");
    for rules in [
        "return { look = function(clip) clip.titel = clip.title end }",
        "return { look = function(clip) for k, v in { titel = 1 } do clip[k] = v end end }",
        "this is no Lua",
    ] {
        write(folder.path(), &[("one/rules.lua", rules)]);
        assert!(findings(folder.path()).iter().all(|it| it["code"] != "unknown-field"), "{rules}");
    }
}
