//! `panotti backup` and `panotti restore`: everything the server keeps, copied while it runs, looked through, taken back.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::client::Client;
use super::flags::ClientFlags;
use super::print::{columns_or, print, shown};
use super::progress::{Teller, bar};
use crate::app::lock::lock_data_dir;
use crate::app::logging::escaped;
use crate::app::lost_database::none_to_work_on;
use crate::app::signals::{self, Stop};
use crate::clock::{Clock, SystemClock};
use crate::config::Settings;
use crate::model::backup::{BackupFault, MANIFEST, Manifest};
use crate::model::time::Timestamp;
use crate::services::backups::{self, Progress};
use crate::store;

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Backs everything up while the server runs, or looks through a backup.
///
/// Without a running server it does the same by itself. Exit codes: 0 done, 1 it failed or the backup is damaged, 2 the
/// command line is wrong.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  panotti backup\n  panotti backup /mnt/usb/panotti\n  panotti backup /mnt/usb --archive\n  panotti backup verify /mnt/usb/panotti/20250125100000_4AFEA8B6"
)]
pub(super) struct BackupCommand {
    #[command(subcommand)]
    verb: Option<BackupVerb>,
    /// Where to put it: a folder that gets a folder with the backup, or a new name [default: <data_dir>/backups].
    dest: Option<PathBuf>,
    /// As one tar file: <dest>, or <id>.tar in the folder <dest>.
    #[arg(long, requires = "dest")]
    archive: bool,
    /// The manifest's head as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum BackupVerb {
    /// Reads every byte of a backup and tells whether it is what was written.
    Verify {
        /// The folder of the backup, or its tar file.
        path: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists the backups in <data_dir>/backups, newest first, and the one that is being made.
    List {
        /// As JSON, as the server says it.
        #[arg(long)]
        json: bool,
    },
}

/// Takes a backup back, onto an empty data folder; no server may run on it.
///
/// Plugins' code goes to the first plugin folder. The key file is not in a backup: the next start writes a new one.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  panotti restore /mnt/usb/panotti/20250125100000_4AFEA8B6 --data-dir data"
)]
pub(super) struct RestoreCommand {
    /// The folder of the backup, or its tar file.
    path: PathBuf,
    /// Folder for plugins' code [default: user_plugins].
    #[arg(long, value_name = "FOLDER")]
    plugin_dir: Vec<String>,
    /// Leaves the code of plugins that are there already as it is.
    #[arg(long)]
    keep_plugins: bool,
    /// As JSON: {backup, data_dir, plugins_placed, plugins_kept, settings}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run(command: BackupCommand) -> Result<(), Failure> {
    match &command.verb {
        Some(BackupVerb::Verify { path, json }) => verify(path, *json),
        Some(BackupVerb::List { json }) => list(&command.server, *json),
        None => back_up(&command),
    }
}

pub(super) fn restore(command: RestoreCommand) -> Result<(), Failure> {
    let settings = command.server.settings_with_plugins(command.plugin_dir)?;
    let told = |fault: std::io::Error| Failure::Failed(fault.to_string());
    let existed = settings.data_dir.exists();
    let lock = lock_data_dir(&settings.data_dir).map_err(told)?;
    let (path, own) = (command.path.clone(), settings.clone());
    let keep = command.keep_plugins;
    let restored = watched("restore", move |progress| match backups::is_archive(&path) {
        true => backups::restore_archive(&path, &own, keep, progress),
        false => backups::restore(&path, &own, keep, progress),
    });
    if restored.is_err() && !existed {
        // Only what this call has made, and only while nothing else is in it.
        _ = std::fs::remove_file(settings.data_dir.join(".lock"));
        _ = std::fs::remove_dir(&settings.data_dir);
    }
    drop(lock);
    let restored = restored?;
    if command.json {
        let told = json!({
            "backup": head(&restored.manifest), "data_dir": settings.data_dir, "plugins_placed": restored.plugins_placed,
            "plugins_kept": restored.plugins_kept, "settings": restored.settings,
        });
        return print(&format!("{told:#}\n"));
    }
    let mut text = format!("restored {} to {}\n", line(&restored.manifest), settings.data_dir.display());
    if !restored.plugins_placed.is_empty() {
        text.push_str(&format!("  code of plugins: {}\n", restored.plugins_placed.join(", ")));
    }
    if !restored.plugins_kept.is_empty() {
        text.push_str(&format!("  code that was there stays: {}\n", restored.plugins_kept.join(", ")));
    }
    if let Some(file) = restored.settings {
        text.push_str(&format!("  the settings file is {}; it is not read from there\n", file.display()));
    }
    text.push_str("  keys work as before; the next start writes a new key file admin.token\n");
    if let Ok(sealed @ 1..) = store::sealed_values(&settings.database_path()) {
        text.push_str(&format!(
            "  {sealed} secret values of plugins' config are sealed with a key that no backup holds: put the former server's key file \
             to {}, or set PANOTTI_SECRET_KEY; without it set those values anew\n",
            settings.secret_key_file.display()
        ));
    }
    print(&text)
}

fn verify(path: &Path, as_json: bool) -> Result<(), Failure> {
    let own = path.to_owned();
    let (manifest, faults) = watched("verify", move |progress| match backups::is_archive(&own) {
        true => backups::verify_archive(&own, progress),
        false => backups::verify(&own, progress),
    })?;
    if as_json {
        let sound = faults.is_empty();
        print(&format!("{:#}\n", json!({ "sound": sound, "faults": faults, "backup": head(&manifest) })))?;
    }
    if !faults.is_empty() {
        let told: Vec<String> = faults.iter().map(|it| escaped(it)).collect();
        return Err(Failure::Failed(format!("the backup is damaged:\n  {}", told.join("\n  "))));
    }
    if as_json { Ok(()) } else { print(&format!("sound: {}\n", line(&manifest))) }
}

/// With the server that runs on the data folder, or without one by itself.
fn back_up(command: &BackupCommand) -> Result<(), Failure> {
    let BackupCommand { dest, archive, json: as_json, server, .. } = command;
    let (dest, archive) = (dest.as_deref(), *archive);
    let settings = server.settings()?;
    let target = |id: &str| {
        let name = if archive { format!("{id}.tar") } else { id.to_owned() };
        dest.map(|it| if it.is_dir() { it.join(name) } else { it.to_owned() })
    };
    if let Some(dest) = dest.filter(|it| it.exists() && !it.is_dir()) {
        return Err(Failure::Usage(format!("{} is there already", dest.display())));
    }
    let whole = dest.map(|it| std::path::absolute(it).unwrap_or(it.to_owned()));
    if let Some(around) = whole.iter().flat_map(|it| it.ancestors()).find(|it| it.join(MANIFEST).exists()) {
        return Err(Failure::Usage(format!(
            "{} is a backup, and another one in it would damage it: name a folder outside of it",
            around.display()
        )));
    }
    if let Some(none) = none_to_work_on(&settings).filter(|_| !server.names_address()) {
        return Err(Failure::Failed(none));
    }
    let lock = if server.names_address() { None } else { lock_data_dir(&settings.data_dir).ok() };
    let id = match &lock {
        Some(_) => by_itself(&settings)?,
        None => by_the_server(server)?,
    };
    let made = backups::folder_of(&settings, &id);
    let (manifest, place) = match target(&id) {
        None => (backups::read_manifest(&made).map_err(failed)?, made),
        Some(to) => {
            let (from, place) = (made.clone(), to.clone());
            let copied = watched("copy", move |progress| match archive {
                true => backups::pack(&from, &to, progress),
                false => backups::copy_out(&from, &to, progress),
            });
            backups::remove(&made).map_err(|it| Failure::Failed(format!("{}: {it}", made.display())))?;
            (copied?, place)
        }
    };
    for warning in &manifest.warnings {
        _ = writeln!(std::io::stderr(), "panotti: {}", escaped(warning));
    }
    let place = std::path::absolute(&place).unwrap_or(place);
    match *as_json {
        true => {
            let mut told = head(&manifest);
            told["path"] = place.display().to_string().into();
            print(&format!("{told:#}\n"))
        }
        false => {
            _ = writeln!(std::io::stderr(), "backed up {}", line(&manifest));
            // The place alone on stdout, so that `panotti backup verify $(panotti backup)` works.
            print(&format!("{}\n", place.display()))
        }
    }
}

/// As the running server tells it.
fn list(server: &ClientFlags, as_json: bool) -> Result<(), Failure> {
    let answer = Client::find(server)?.call("GET", "/backups", None)?;
    if as_json {
        return print(&format!("{answer:#}\n"));
    }
    let rows = answer["items"].as_array().into_iter().flatten().map(|it| {
        let size = mib(it["bytes_total"].as_u64().unwrap_or_default());
        let [id, state, begun, files, version] =
            ["id", "state", "begun_at", "files", "server_version"].map(|name| shown(&it[name]));
        [id, state, begun, files, size, version, shown(&it["error"])]
    });
    print(&columns_or(
        "there is no backup in the data folder; `panotti backup` makes one",
        ["ID", "STATE", "BEGUN", "FILES", "SIZE", "VERSION", "ERROR"],
        rows,
    ))
}

fn by_itself(settings: &Settings) -> Result<String, Failure> {
    backups::sweep(settings);
    let now = || Timestamp(SystemClock.now_us());
    let label = backups::new_label(now()).map_err(|it| Failure::Failed(it.to_string()))?;
    let own = settings.clone();
    let made = watched("backup", move |progress| backups::take(&own, &label, progress, || {}, now));
    made.map(|it| it.id)
}

fn by_the_server(server: &ClientFlags) -> Result<String, Failure> {
    let client = Client::find(server)?;
    let stop = listen()?;
    let begun = client.call("POST", "/backups", None)?;
    let id = begun["id"].as_str().unwrap_or_default().to_owned();
    let route = format!("/backups/{id}");
    let mut teller = Teller::new("backup");
    loop {
        if stop.is_asked() {
            client.call("DELETE", &route, None)?;
            return Err(Failure::Failed("stopped; nothing of the backup is kept".to_owned()));
        }
        let backup = client.call("GET", &route, None)?;
        let count = |key: &str| backup[key].as_u64().unwrap_or_default();
        teller.tell(&far(&shown(&backup["phase"]), count("bytes_done"), count("bytes_total")));
        match backup["state"].as_str() {
            Some("running") => std::thread::sleep(LOOK_EVERY),
            Some("done") => break teller.end(),
            _ => {
                teller.end();
                return Err(Failure::Failed(format!("the backup failed: {}", shown(&backup["error"]))));
            }
        }
    }
    Ok(id)
}

/// Runs long work, tells how far it is, and ends it at Ctrl-C.
fn watched<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce(&Arc<Progress>) -> Result<T, BackupFault> + Send + 'static,
) -> Result<T, Failure> {
    let stop = listen()?;
    let progress = Arc::<Progress>::default();
    let own = Arc::clone(&progress);
    let work = std::thread::spawn(move || work(&own));
    let mut teller = Teller::new(what);
    let begun = Instant::now();
    while !work.is_finished() {
        if stop.is_asked() {
            progress.cancel();
        }
        let (done, total) = progress.bytes();
        teller.tell(&far(&format!("{:?}", progress.phase()).to_lowercase(), done, total));
        std::thread::sleep(LOOK_EVERY.min(begun.elapsed() / 4 + Duration::from_millis(2)));
    }
    teller.end();
    let done = work.join().map_err(|_| Failure::Failed(format!("{what}: it ended unforeseen")))?;
    done.map_err(failed)
}

fn listen() -> Result<Stop, Failure> {
    signals::listen().map_err(|fault| Failure::Failed(format!("cannot listen for signals: {fault}")))
}

fn failed(fault: BackupFault) -> Failure {
    Failure::Failed(fault.to_string().lines().map(escaped).collect::<Vec<_>>().join("\n"))
}

/// What a backup holds, in a line.
fn line(manifest: &Manifest) -> String {
    let count = |table: &str| manifest.counts.get(table).copied().unwrap_or_default();
    format!(
        "{} of panotti {}: {} recordings, {} clips, {} plugins, {} events; {} files, {}",
        manifest.id,
        escaped(&manifest.server_version),
        count("recordings"),
        count("clips"),
        count("plugins"),
        count("events"),
        manifest.files.len(),
        mib(manifest.bytes),
    )
}

/// A manifest without its files.
fn head(manifest: &Manifest) -> Value {
    let mut head = json!(manifest);
    head["files"] = manifest.files.len().into();
    head
}

/// How far it is, in a line.
fn far(phase: &str, done: u64, total: u64) -> String {
    format!("{}{phase} {} of {}", bar(done, total), mib(done), mib(total))
}

fn mib(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xF_FFFF) * 10) >> 20)
}
