//! The binary from outside: what it says where, and its exit codes.

use std::process::{Command, Output};

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
