//! The machine: its clock, and what a process may have open on it.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::config::{Settings, WatchMode};
use crate::plugins::discovery::scan;

use super::finding::Findings;

/// No clock that is right is before this: 2025-01-01, in seconds since 1970.
const EARLIEST_S: u64 = 1_735_689_600;
/// Seconds by which the clock may be behind a file.
const BEHIND_S: u64 = 60;
/// Files that are open besides connections: the database, Lua, logs, the media being read.
const OWN_FILES: u64 = 512;
/// Folders of a plugin that are watched on the average.
const FOLDERS_A_PLUGIN: u64 = 8;

/// Whether the clock can be right.
pub fn clock(findings: &mut Findings, settings: Option<&Settings>) {
    let now = SystemTime::now();
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let remedy = "Set the clock, and let it be kept right (timedatectl set-ntp true).";
    if seconds < EARLIEST_S {
        return findings.problem(
            "clock",
            format!("it says {seconds} s since 1970, which is long past"),
            remedy,
        );
    }
    let database =
        settings.and_then(|it| fs::metadata(it.database_path()).ok()).and_then(|it| it.modified().ok());
    match database.and_then(|it| it.duration_since(now).ok()) {
        Some(ahead) if ahead > Duration::from_secs(BEHIND_S) => {
            let message = format!(
                "the database was written {} s in the future: the clock has been set back",
                ahead.as_secs()
            );
            findings.warning("clock", message, remedy);
        }
        _ => findings.ok("clock", "it runs as it should"),
    }
}

/// What a process may have open.
pub fn limits(settings: &Settings, findings: &mut Findings) {
    let needed = settings.max_connections as u64 + OWN_FILES;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match files.current {
        Some(files) if files < needed => {
            let message = format!(
                "a process may have {files} files open; max_connections = {} wants {needed}",
                settings.max_connections
            );
            let remedy = format!(
                "Raise it (`ulimit -n {needed}`, LimitNOFILE={needed} of a service), or lower max_connections."
            );
            findings.warning("limits", message, remedy);
        }
        Some(files) => findings.ok("limits", format!("a process may have {files} files open")),
        None => findings.ok("limits", "a process may have any number of files open"),
    }
    if settings.watch == WatchMode::Auto && cfg!(target_os = "linux") {
        watches(settings, findings);
    }
}

fn watches(settings: &Settings, findings: &mut Findings) {
    let read = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    let needed = 64 + scan(&settings.plugin_dirs).folders.len() as u64 * FOLDERS_A_PLUGIN;
    for (name, needed) in [("max_user_watches", needed), ("max_user_instances", 8)] {
        match read(name) {
            Some(most) if most < needed => {
                let message = format!(
                    "fs.inotify.{name} is {most}; edits of plugins are noticed late without {needed}"
                );
                let remedy = format!(
                    "`sysctl fs.inotify.{name}={}`, or watch: poll in the settings.",
                    needed.max(8192)
                );
                findings.warning("limits", message, remedy);
            }
            Some(most) => findings.ok("limits", format!("fs.inotify.{name} is {most}")),
            None => {}
        }
    }
}
