//! What changes left behind that were cut off: by a kill, a power cut, a full disk.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::app::server_file::ServerFile;
use crate::config::Settings;
use crate::plugins::sources::STAGE_PREFIX;
use crate::plugins::start_notes::QUARANTINE_AFTER;

use super::finding::Findings;

/// Folders within folders that are searched.
const DEPTH: usize = 6;

/// Looks for them; while the server runs, what is under way looks the same and is left out.
pub fn look(settings: &Settings, runs: bool, findings: &mut Findings) {
    deaths(settings, runs, findings);
    if !runs {
        cut_off(settings, findings);
    }
    copies(settings, findings);
    if findings.is_fine("leftovers") {
        findings.ok("leftovers", "no change was cut off");
    }
}

fn cut_off(settings: &Settings, findings: &mut Findings) {
    let next_start = "Nothing to do: the next start looks after it. What it moves away lies in lost+found.";
    if let Some(server) = ServerFile::read(&settings.data_dir) {
        let message = format!("the last server (process {}) did not come to its end by itself", server.pid);
        findings.warning(
            "leftovers",
            message,
            "Nothing to do: the next start goes on where it was. Its log tells why it ended.",
        );
    }
    let parts = count(&settings.data_dir, DEPTH, &|name| name.ends_with(".part"));
    if parts > 0 {
        findings.warning("leftovers", format!("{parts} files were not written to their end"), next_start);
    }
    for root in &settings.plugin_dirs {
        let staged = count(root, 1, &|name| name.starts_with(STAGE_PREFIX) || name.starts_with(".new-"));
        if staged > 0 {
            let message = format!("{staged} changes of plugins in {} were cut off", root.display());
            findings.warning(
                "leftovers",
                message,
                "The next start takes them back; folders .new-* may be deleted.",
            );
        }
    }
}

/// Plugins that were being started when the server died.
fn deaths(settings: &Settings, runs: bool, findings: &mut Findings) {
    let text = fs::read(settings.data_dir.join("starting.json")).unwrap_or_default();
    let Ok(Value::Object(notes)) = serde_json::from_slice(&text) else { return };
    for (plugin, note) in notes {
        let under_way = u64::from(!runs && note["is_under_way"] == true);
        let deaths = note["deaths"].as_u64().unwrap_or(0) + under_way;
        if deaths > 0 {
            let message = format!("the server died {deaths} times while it started the plugin {plugin}");
            let remedy = format!(
                "Edit the plugin, or start with --safe-mode and disable it; after {QUARANTINE_AFTER} it is left alone."
            );
            findings.warning("leftovers", message, remedy);
        }
    }
}

/// Copies of the database that were made before migrations.
fn copies(settings: &Settings, findings: &mut Findings) {
    let database = settings.database_path();
    let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else { return };
    let name = format!("{}.before-", name.to_string_lossy());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let copies: Vec<u64> = entries
        .filter(|it| it.file_name().to_string_lossy().starts_with(&name))
        .filter_map(|it| it.metadata().ok().map(|it| it.len()))
        .collect();
    if !copies.is_empty() {
        let mib = copies.iter().sum::<u64>() >> 20;
        let message = format!(
            "{} copies from before migrations, {mib} MiB; they may be deleted when all is well",
            copies.len()
        );
        findings.ok("leftovers", message);
    }
}

fn count(folder: &Path, depth: usize, wanted: &dyn Fn(&str) -> bool) -> usize {
    let mut found = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
        if wanted(&entry.file_name().to_string_lossy()) {
            found += 1;
        } else if is_folder && depth > 1 {
            found += count(&entry.path(), depth - 1, wanted);
        }
    }
    found
}
