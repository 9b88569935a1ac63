//! The plugin folders, what stands in them, and the programs that plugins run.

use std::path::Path;

use crate::config::Settings;
use crate::plugins::check::{Finding, Severity, check};
use crate::plugins::discovery::scan;
use crate::plugins::env::PluginEnv;

use super::finding::Findings;

/// Looks through the plugin roots and checks every plugin as `panotti check` does.
pub fn folders(settings: &Settings, findings: &mut Findings) {
    let found = scan(&settings.plugin_dirs);
    for it in found.rejected.iter().filter(|it| !it.expected) {
        let message = format!("{}: {}", it.path.display(), it.reason);
        findings.warning("plugins", message, "Rename it, move it away, or let the server read it.");
    }
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let env = PluginEnv::new(std::env::vars_os().filter_map(text), &settings.plugin_env);
    let limits = settings.limit_rules();
    for (name, folder) in &found.folders {
        let all = check(name, folder, &env, &limits);
        let of = |severity| all.iter().filter(|it| it.severity == severity).collect::<Vec<_>>();
        let remedy = format!("`panotti check {}` shows where.", folder.display());
        if let Some((first, others)) = of(Severity::Error).split_first() {
            findings.problem("plugins", told(name, first, others.len(), "errors"), remedy);
        } else if let Some((first, others)) = of(Severity::Warning).split_first() {
            findings.warning("plugins", told(name, first, others.len(), "warnings"), remedy);
        }
    }
    if findings.is_fine("plugins") {
        findings.ok("plugins", format!("{} of them, nothing found", found.folders.len()));
    }
}

fn told(plugin: &str, first: &Finding, others: usize, what: &str) -> String {
    let place = match (&first.file, first.line) {
        (Some(file), Some(line)) => format!(" {file}:{line}:"),
        (Some(file), None) => format!(" {file}:"),
        _ => String::new(),
    };
    let more = if others > 0 { format!(" (and {others} more {what})") } else { String::new() };
    format!("{plugin}:{place} {}{more}", first.message.lines().next().unwrap_or_default())
}

/// Whether the programs that the settings name are there.
pub fn tools(settings: &Settings, findings: &mut Findings) {
    let named = settings.process_tools.iter().filter_map(|it| it.split_once('='));
    let notify = Some(("notify_tool", settings.notify_tool.as_str())).filter(|(_, path)| !path.is_empty());
    let mut count = 0;
    for (name, path) in named.chain(notify) {
        count += 1;
        if !Path::new(path).is_file() {
            let message = format!("{name}: there is no program {path}");
            findings.warning(
                "tools",
                message,
                "Install it, or correct process_tools and notify_tool in the settings.",
            );
        }
    }
    if count > 0 && findings.is_fine("tools") {
        findings.ok("tools", format!("all {count} programs are there"));
    }
}
