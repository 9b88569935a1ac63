//! The data folder and the databases in it.

use std::fs;
use std::path::Path;

use crate::app::lost_database;
use crate::config::Settings;
use crate::services::keyring::Keyring;
use crate::store::{damage_of_database, look_at_database, sealed_values};

use super::finding::Findings;

/// Below this nothing can be recorded any more: the server answers 507.
const TOO_LITTLE_BYTES: u64 = 64 << 20;
/// Below this it will soon be too little.
const LITTLE_BYTES: u64 = 1 << 30;

/// Whether the folders can be written, and how much room they have.
pub fn folders(settings: &Settings, findings: &mut Findings) {
    let data = &settings.data_dir;
    if !data.exists() {
        let parent = data.ancestors().skip(1).find(|it| it.as_os_str().is_empty() || it.exists());
        let parent = parent.filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if writable(parent, findings, "data-folder") {
            findings.ok("data-folder", format!("{} is made by the first start", data.display()));
            room(parent, findings);
        }
        return;
    }
    if !data.is_dir() {
        let message = format!("{} is no folder", data.display());
        return findings.problem(
            "data-folder",
            message,
            "Move it away, or name another folder with --data-dir.",
        );
    }
    if writable(data, findings, "data-folder") {
        findings.ok("data-folder", format!("{} can be written", data.display()));
    }
    room(data, findings);
    let elsewhere = |it: &&Path| it.is_dir() && !it.starts_with(data);
    if let Some(recordings) = Some(settings.recordings_dir.as_path()).filter(elsewhere)
        && let Err(fault) = fs::read_dir(recordings)
    {
        let message = format!("{} cannot be read: {fault}", recordings.display());
        findings.problem("data-folder", message, "Let the user that runs the server read it.");
    }
    private(&data.join("admin.token"), findings);
}

fn writable(folder: &Path, findings: &mut Findings, check: &'static str) -> bool {
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    let tried = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe));
    if let Err(fault) = &tried {
        let message = format!("{} cannot be written: {fault}", folder.display());
        let remedy =
            "Give it to the user that runs the server (chown), or name another folder with --data-dir.";
        findings.problem(check, message, remedy);
    }
    tried.is_ok()
}

fn room(folder: &Path, findings: &mut Findings) {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let remedy = "Make room: delete old recordings and backups, or move the folder to a larger disk.";
    let message = format!("{} MiB are free where {} lies", free >> 20, folder.display());
    match free {
        _ if disk.f_files > 0 && disk.f_favail < 1_000 => {
            let message = format!("{} more files fit on the disk of {}", disk.f_favail, folder.display());
            findings.problem("data-folder", message, remedy);
        }
        ..TOO_LITTLE_BYTES => findings.problem("data-folder", message, remedy),
        TOO_LITTLE_BYTES..LITTLE_BYTES => findings.warning("data-folder", message, remedy),
        _ => findings.ok("data-folder", message),
    }
}

/// Who reads the key file is the admin.
#[cfg(unix)]
fn private(key: &Path, findings: &mut Findings) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(about) = fs::metadata(key) else { return };
    if about.permissions().mode() & 0o077 != 0 {
        let message = format!("{} can be read by others: it is the admin's key", key.display());
        findings.warning("data-folder", message, format!("chmod 600 {}", key.display()));
    }
}

#[cfg(not(unix))]
fn private(_: &Path, _: &mut Findings) {}

/// Whether the server's database is whole and of our schema, and those of plugins are whole.
pub fn database(settings: &Settings, findings: &mut Findings) {
    let path = settings.database_path();
    let shown = path.display();
    let restore = "Stop the server, keep a copy of the file, and take a backup back with `panotti restore`.";
    if let Some(lost) = lost_database::look(settings) {
        findings.problem("database", lost, lost_database::REMEDY);
    } else if !path.exists() {
        findings.ok("database", format!("{shown} is made by the first start"));
    } else {
        match look_at_database(&path) {
            Err(fault) => findings.problem("database", format!("{shown}: {fault}"), restore),
            Ok(look) => {
                if let Some(damage) = look.damage {
                    findings.problem("database", format!("{shown} is damaged: {damage}"), restore);
                }
                if let Some(unknown) = look.unknown {
                    let message =
                        format!("{shown} was written by a newer panotti (its schema {unknown} is unknown)");
                    let remedy = format!(
                        "Start the newer version, or restore the copy it made before: {shown}.before-*"
                    );
                    findings.problem("database", message, remedy);
                } else if let Some(first) = look.pending.first() {
                    let message = format!("{} migrations are to be run, from {first} on", look.pending.len());
                    let remedy = "Nothing to do: the next start copies the database and runs them. A running server is older than this program: restart it.";
                    findings.warning("database", message, remedy);
                }
                if findings.is_fine("database") {
                    findings.ok("database", format!("{shown} is whole and up to date"));
                }
            }
        }
    }
    let plugins = fs::read_dir(settings.data_dir.join("plugins")).into_iter().flatten().flatten();
    let (mut whole, remedy) =
        (0, "Restore it from a backup, or delete the plugin's data with `?purge=true`.");
    for path in plugins.map(|it| it.path().join("plugin.db")).filter(|it| it.is_file()) {
        match damage_of_database(&path) {
            Ok(None) => whole += 1,
            Ok(Some(damage)) | Err(damage) => {
                findings.problem("database", format!("{}: {damage}", path.display()), remedy);
            }
        }
    }
    if whole > 0 {
        findings.ok("database", format!("{whole} databases of plugins are whole"));
    }
}

/// Whether there is a key where the database holds secret values that one has sealed.
pub fn secrets(settings: &Settings, findings: &mut Findings) {
    let path = settings.database_path();
    let sealed = if path.exists() { sealed_values(&path).unwrap_or_default() } else { 0 };
    let remedy = "Put the key back, or set the secret values of plugins anew with `panotti config set <plugin> <key> --stdin`.";
    match Keyring::of(settings).check() {
        Err(error) => findings.problem("secrets", error.detail, remedy),
        Ok(None) if sealed > 0 => {
            let file = settings.secret_key_file.display();
            let message = format!(
                "{sealed} secret values of plugins' config are sealed, and there is no key: neither {file} nor PANOTTI_SECRET_KEY"
            );
            findings.problem("secrets", message, remedy);
        }
        Ok(Some(place)) => findings.ok(
            "secrets",
            format!("{sealed} secret values; the key is that of {place}, and no backup holds it"),
        ),
        Ok(None) => {}
    }
}
