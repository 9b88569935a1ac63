//! Every command of the command line: its help reads, its exit codes are 0, 1 and 2, and what gives results gives JSON.

use std::path::Path;

use crate::command_line::panotti;

/// The exit code, stdout and stderr together.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let out = panotti(folder, &[], args);
    (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
}

/// Every command, with those below it, as `panotti help` tells them.
fn commands(folder: &Path, above: &[&str]) -> Vec<Vec<String>> {
    let (_, help) = run(folder, &[&["help"], above].concat());
    let Some((_, rest)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let mut all = Vec::new();
    for line in rest
        .lines()
        .take_while(|it| !it.is_empty())
        .filter(|it| it.starts_with("  ") && !it.starts_with("   "))
    {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            let whole: Vec<&str> = [above, &[name]].concat();
            all.push(whole.iter().map(|it| (*it).to_owned()).collect());
            all.extend(commands(folder, &whole));
        }
    }
    all
}

/// Commands that need a server, with what they cannot do without.
const FOR_THE_SERVER: &[&[&str]] = &[
    &["plugins"],
    &["reload", "x"],
    &["enable", "x"],
    &["disable", "x"],
    &["load", "x"],
    &["unload", "x"],
    &["list"],
    &["logs"],
    &["events"],
    &["token", "list"],
    &["token", "create", "--name", "x", "--scope", "admin"],
    &["token", "limit", "abcd", "--rate", "1/s"],
    &["token", "revoke", "abcd"],
    &["grants", "list"],
    &["grants", "allow", "x"],
    &["grants", "revoke", "x"],
    &["config", "list", "x"],
    &["config", "get", "x", "key"],
    &["config", "set", "x", "key", "1"],
    &["config", "unset", "x", "key"],
    &["config", "validate", "x"],
    &["replay", "--all"],
    &["events", "dead"],
    &["events", "trace", "x"],
    &["events", "replays"],
    &["events", "cancel", "1"],
    &["traces"],
    &["trace", "x"],
    &["preview", "x"],
    &["versions", "x"],
    &["diff", "x"],
    &["rollback", "x"],
];

/// Commands without a result that a program could read.
const WITHOUT_JSON: &[&str] = &[
    "serve",
    "completions",
    "openapi",
    "token",
    "token revoke",
    "grants",
    "events",
    "config",
    "secrets",
    "secrets key",
];

#[test]
fn every_command_has_a_help_that_reads_and_refuses_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let all = commands(folder.path(), &[]);
    assert!(all.len() > 25, "{all:?}");
    let mut wrong = Vec::new();
    for command in &all {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{}: {what}", command.join(" ")));
            }
        };
        let (code, help) = run(folder.path(), &[&["help"], &command[..]].concat());
        expect(code == Some(0) && help.contains("Usage: panotti"), "has no help");
        let first = help.lines().next().unwrap_or_default();
        expect(first.len() > 15 && first.starts_with(char::is_uppercase), "its help begins with no sentence");
        for line in
            help.lines().filter(|it| it.trim_start().starts_with("--") && !it.trim_start().contains("  "))
        {
            let is_described = help.contains(&format!("{line}\n          "));
            expect(is_described, &format!("{} is not described", line.trim()));
        }
        let is_exempt = WITHOUT_JSON.contains(&command.join(" ").as_str()) || help.contains("\nCommands:\n");
        expect(is_exempt || help.contains("--json"), "has no --json");
        let (code, _) = run(folder.path(), &[&command[..], &["--no-such-flag"]].concat());
        expect(code == Some(2), "takes a flag that there is not");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(run(folder.path(), &["no-such-command"]).0, Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_needs_a_server_exits_with_1_without_one_and_with_2_when_its_settings_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/admin.token"), "pnt_x_y\n").unwrap();
    for command in FOR_THE_SERVER {
        // Port 1 is nobody's.
        let (code, told) = run(folder.path(), &[command, &["--port", "1"][..]].concat());
        assert_eq!(code, Some(1), "{command:?}: {told}");
        assert!(told.contains("panotti serve"), "{command:?}: {told}");
        let (code, told) = run(folder.path(), &[command, &["--port", "many"][..]].concat());
        assert_eq!(code, Some(2), "{command:?}: {told}");
    }
}

#[test]
fn what_needs_no_server_tells_by_its_exit_code_what_came_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("user_plugins/bad");
    std::fs::create_dir_all(&plugin).unwrap();
    std::fs::write(plugin.join("init.lua"), "panotti.kv.gett('x')").unwrap();
    let cases: &[(&[&str], i32)] = &[
        (&["--version"], 0),
        (&["help"], 0),
        (&["check", "user_plugins/bad"], 1),
        (&["check", "nowhere"], 2),
        (&["new", "good"], 0),
        (&["new", "good"], 1),
        (&["new", "Not Good"], 2),
        (&["check", "good"], 0),
        (&["stubs"], 0),
        (&["stubs", "--dir", "user_plugins/bad/init.lua"], 1),
        (&["openapi"], 0),
        (&["openapi", "--out", "no/such/folder.json"], 1),
        (&["completions", "bash"], 0),
        (&["completions", "cmd"], 2),
        (&["bench", "bad", "--seconds", "1"], 1),
        (&["bench", "nowhere"], 2),
        (&["backup", "--data-dir", "none"], 1),
        (&["backup", "verify", "none"], 1),
        (&["restore", "none", "--data-dir", "other"], 1),
        (&["secrets", "key"], 0),
        (&["secrets", "rotate", "--data-dir", "none"], 1),
        (&["replay"], 2),
        (&["token", "create"], 2),
        (&["serve", "--port", "many"], 2),
    ];
    for (args, wanted) in cases {
        let (code, told) = run(folder.path(), args);
        assert_eq!(code, Some(*wanted), "{args:?}: {told}");
    }
}
