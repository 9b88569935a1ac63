//! The binary from outside: what it says where, and its exit codes.

use std::process::{Command, Output};

use serde_json::json;

use crate::common::Server;

pub fn panotti(folder: &std::path::Path, env: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_panotti"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PANOTTI_") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).envs(env.iter().copied()).args(args).output().unwrap()
}

#[test]
fn wrong_settings_are_told_all_at_once_on_stderr_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("panotti.yaml"), "prot: 8000\nlimits:\n  cpu_ms: 0\n").unwrap();
    let out = panotti(folder.path(), &[("PANOTTI_LOG", "inof")], &["--host", "0.0.0.0.0"]);
    let told = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{told}");
    assert!(told.starts_with("panotti: 4 settings are wrong:\n"), "{told}");
    for source in ["panotti.yaml:1: ", "panotti.yaml:3: ", "PANOTTI_LOG: ", "--host: "] {
        assert!(told.contains(&format!("\n  {source}")), "{told}");
    }
    assert!(out.stdout.is_empty());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_command_for_the_server_says_what_to_do_when_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let out = panotti(folder.path(), &[], &["token", "list"]);
    let told = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{told}");
    assert!(told.contains("panotti serve") && told.contains("--data-dir"), "{told}");
}

#[test]
fn version_and_help_go_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let out = panotti(folder.path(), &[], &["--version"]);
    assert_eq!(String::from_utf8(out.stdout).unwrap(), format!("panotti {}\n", env!("CARGO_PKG_VERSION")));
    let out = panotti(folder.path(), &[], &["serve", "--help"]);
    let help = String::from_utf8(out.stdout).unwrap();
    assert!(help.contains("limits.memory_mib (PANOTTI_LIMITS_MEMORY_MIB)"), "{help}");
}

#[test]
fn every_shell_is_told_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let out = panotti(folder.path(), &[], &["completions", shell]);
        let script = String::from_utf8(out.stdout).unwrap();
        assert_eq!(out.status.code(), Some(0), "{shell}");
        for word in ["serve", "grants", "rollback", "new", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(panotti(folder.path(), &[], &["completions", "cmd"]).status.code(), Some(2));
}

#[test]
fn a_plugin_is_looked_at_renewed_tried_on_an_edit_and_compared_on_the_command_line() {
    let lua = "panotti.on.before_recording_start(function(recording)\n  return { title = recording.title .. '!' }\nend)";
    let server = Server::with().plugin("first", lua).start();
    let data = server.folder().join("data");
    let run = |args: &[&str]| {
        let out = panotti(server.folder(), &[], &[args, &["--data-dir", data.to_str().unwrap()]].concat());
        let told = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
        (out.status.code(), told)
    };
    let done = |args: &[&str]| {
        let (code, told) = run(args);
        assert_eq!(code, Some(0), "{args:?}: {told}");
        told
    };
    assert!(done(&["reload", "first"]).starts_with("first: generation 2 runs ("));
    server.post("/api/v1/recordings", json!({ "title": null })).expect(201);
    assert!(done(&["plugins"]).contains("init.lua:2: attempt to concatenate nil"), "{}", done(&["plugins"]));
    let status = done(&["plugins", "first"]);
    assert!(
        status.starts_with("first: running, generation 2, version 1\nis called for before_recording_start\n"),
        "{status}"
    );
    assert!(status.contains("\n  >    2 |   return"), "{status}");
    let id = status.split("panotti trace ").nth(1).unwrap().trim().to_owned();
    let list = done(&["traces", "--plugin", "first", "--outcome", "runtime"]);
    assert!(list.contains(&id) && list.contains("init.lua:2: attempt"), "{list}");
    assert!(done(&["trace", &id]).contains("\nfailed   init.lua:2: attempt"));
    assert_eq!(done(&["trace", &id, "--replay"]).lines().next(), Some("the same: runtime"));

    // The edit, in a copy of the folder; what is not in it is not there.
    let copy = server.folder().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join("main.lua"), lua.replace("recording.title ..", "(recording.title or '') .."))
        .unwrap();
    let (code, mended) = run(&["trace", &id, "--replay-folder", copy.to_str().unwrap()]);
    assert!(
        code == Some(1) && mended.starts_with("not the same\n") && mended.contains("/outcome: runtime -> ok"),
        "{mended}"
    );
    let preview = done(&["preview", "first", "--folder", "copy"]);
    assert!(preview.starts_with("1 call, 0 the same, 1 changed, 1 that fail no more\n"), "{preview}");
    assert_eq!(run(&["preview", "first"]).0, Some(1), "there is no draft");

    std::fs::write(server.folder().join("plugins/first/init.lua"), lua.replace('!', "?")).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    let diff = done(&["diff", "first"]);
    assert!(diff.starts_with("init.lua changed +1 -1\n") && diff.contains(".. '?' }"), "{diff}");
    assert_eq!(done(&["diff", "first", "disk", "live"]), "no difference\n");
    assert_eq!(run(&["diff", "first", "../x"]).0, Some(2));

    std::fs::write(server.folder().join("plugins/first/init.lua"), "return (").unwrap();
    let (code, told) = run(&["reload", "first"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("does not load: init.lua:1: ") && told.contains("\n  >    1 | return ("), "{told}");
    assert_eq!(done(&["disable", "first"]), "first: disabled\n");
    let (code, told) = run(&["reload", "first"]);
    assert!(code == Some(1) && told.contains("/plugins/first/enable starts it"), "{told}");
}

#[test]
fn a_list_of_nothing_says_so_instead_of_showing_titles_alone() {
    let server = Server::start();
    let data = server.folder().join("data");
    for (command, said) in [
        (&["list"][..], "there is no such plugin"),
        (&["plugins"], "there is no plugin"),
        (&["grants", "list"], "there is no plugin"),
        (&["traces"], "no such call is recorded"),
        (&["audit", "--action", "nothing"], "nothing of this is in the audit log"),
        (&["backup", "list"], "there is no backup in the data folder"),
        (&["events", "replays"], "no replay was asked for"),
        (&["events", "dead"], "nothing was given up"),
    ] {
        let args = [command, &["--data-dir", data.to_str().unwrap()]].concat();
        let out = panotti(server.folder(), &[], &args);
        let told = String::from_utf8(out.stdout).unwrap();
        assert!(
            out.status.success() && told.starts_with(said) && told.lines().count() == 1,
            "{command:?}: {told}"
        );
    }
}
