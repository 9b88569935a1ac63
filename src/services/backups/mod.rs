//! Backups of everything while the server runs: made (`take`), listed and removed here; looked through (`verify`) and taken
//! back (`restore`) by the command line.
//!
//! A backup is a folder `<data_dir>/backups/<id>`. What was answered before it was begun is in it: the database is copied as
//! of one moment, and the media that it names then are held until the backup has them. Plugins' own databases and files are
//! of a somewhat later moment, each whole in itself. Keys are in it as hashes; `admin.token`, which holds a whole key, is
//! not: whoever gets hold of a backup shall not get into the running server with it. A start on a restored folder makes a new one.

mod archive;
mod manifest;
mod pieces;
mod progress;
mod restore;
mod take;
mod tar;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use crate::config::Settings;
use crate::error::{Code, Error, Result};
use crate::model::backup::{Backup, BackupPhase, BackupState, MANIFEST, Manifest};
use crate::model::id::{check_id, new_recording_id};
use crate::model::time::Timestamp;

use super::files::io_error;
use super::{Services, audit};

pub use archive::{is_archive, pack, restore_archive, verify_archive};
pub use progress::Progress;
pub use restore::{RESTORED_SETTINGS, Restored, copy_out, restore};
pub use take::{Label, take};
pub use verify::{read_manifest, verify};

/// The backup that is being made, or was the last one. Cheap to clone.
#[derive(Clone, Default)]
pub struct Backups(Arc<Mutex<Option<Job>>>);

struct Job {
    label: Label,
    progress: Arc<Progress>,
    ended: Option<(Timestamp, Option<String>)>,
}

impl Backups {
    /// Ends the one that is being made, if there is one.
    pub fn cancel(&self) {
        if let Some(job) = &*self.0.lock() {
            job.progress.cancel();
        }
    }

    /// Whether one is being made.
    pub fn is_running(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|it| it.ended.is_none())
    }
}

/// The folder of a backup.
pub fn folder_of(settings: &Settings, id: &str) -> PathBuf {
    settings.data_dir.join("backups").join(id)
}

/// A name for a backup begun now.
///
/// # Errors
/// The system gives no random bits.
pub fn new_label(now: Timestamp) -> Result<Label> {
    let random = getrandom::u32().map_err(|error| Error::internal(error.to_string()))?;
    Ok(Label { id: new_recording_id(now, random), begun_at: now })
}

/// Removes what broke off; for the start, when none is being made. Blocks.
pub fn sweep(settings: &Settings) {
    let Ok(entries) = std::fs::read_dir(settings.data_dir.join("backups")) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(".part") {
            match std::fs::remove_dir_all(entry.path()) {
                Ok(()) => log::info!("removed a backup that broke off: {}", entry.path().display()),
                Err(error) => log::warn!("{} cannot be removed: {error}", entry.path().display()),
            }
        }
    }
}

/// Begins a backup; it is made in the background.
///
/// # Errors
/// `Conflict` while another one is made; the store's.
pub async fn start(services: &Services, actor: &str) -> Result<Backup> {
    let label = new_label(services.now())?;
    let progress = Arc::<Progress>::default();
    {
        let mut job = services.backups.0.lock();
        if let Some(job) = job.as_ref().filter(|it| it.ended.is_none()) {
            let detail = format!("The backup {} is being made.", job.label.id);
            return Err(
                Error::new(Code::Conflict, detail).with_hint("Wait until it has ended, or DELETE it.")
            );
        }
        *job = Some(Job { label: label.clone(), progress: Arc::clone(&progress), ended: None });
    }
    let noted = note(services, actor, "backup.start", &label.id, json!({})).await;
    if let Err(error) = noted {
        end(services, Some(error.to_string()));
        return Err(error);
    }
    let begun = get(services, &label.id).await;
    let (own, actor) = (services.clone(), actor.to_owned());
    let work = async move {
        let made = run(&own, &label, &progress).await;
        let detail = match &made {
            Ok(manifest) => {
                let took = manifest.ended_at.seconds_since(manifest.begun_at);
                log::info!(
                    "backup {}: {} files, {} bytes in {took:.1} s",
                    label.id,
                    manifest.files.len(),
                    manifest.bytes
                );
                json!({ "files": manifest.files.len(), "bytes": manifest.bytes })
            }
            Err(why) => {
                log::warn!("backup {}: {why}", label.id);
                json!({ "error": why })
            }
        };
        let outcome = made.is_err().then_some(audit::FAILED);
        end(&own, made.err());
        let subject = Some(format!("backup/{}", label.id));
        let noted = audit::note_outcome(&own, &actor, "backup.end", subject, outcome, detail).await;
        if let Err(error) = noted {
            log::warn!("the end of a backup is not in the audit log: {error}");
        }
    };
    let background = services.blocking.clone();
    drop(tokio::spawn(async move { background.task(work).await }));
    begun
}

async fn run(services: &Services, label: &Label, progress: &Arc<Progress>) -> Result<Manifest, String> {
    let (own, label, progress) = (services.clone(), label.clone(), Arc::clone(progress));
    let work = move || {
        let hold = own.files.hold();
        let (settings, clock) = (Arc::clone(&own.settings), Arc::clone(&own.clock));
        Ok(take(&settings, &label, &progress, move || drop(hold), move || Timestamp(clock.now_us())))
    };
    let made = services.blocking.run(work).await.map_err(|error| error.to_string())?;
    made.map_err(|fault| fault.to_string())
}

fn end(services: &Services, error: Option<String>) {
    let now = services.now();
    if let Some(job) = services.backups.0.lock().as_mut() {
        job.ended = Some((now, error));
    }
}

/// All backups, newest first: those in the folder, and the one that is being made or broke off last.
///
/// # Errors
/// The folder cannot be read.
pub async fn list(services: &Services) -> Result<Vec<Backup>> {
    let own = services.clone();
    services.blocking.run(move || Ok(all(&own))).await
}

/// One backup.
///
/// # Errors
/// [`Code::BackupNotFound`].
pub async fn get(services: &Services, id: &str) -> Result<Backup> {
    if let Some(job) = of_job(services, Some(id)) {
        return Ok(job);
    }
    let (own, wanted) = (services.clone(), id.to_owned());
    let found = services.blocking.run(move || Ok(on_disk(&own.settings, &wanted))).await?;
    found.ok_or_else(|| not_found(id))
}

/// Removes a backup; one that is being made ends.
///
/// # Errors
/// [`Code::BackupNotFound`]; its files cannot be removed.
pub async fn delete(services: &Services, actor: &str, id: &str) -> Result<()> {
    if let Some(job) = of_job(services, Some(id)) {
        match job.state {
            BackupState::Running => services.backups.cancel(),
            _ => *services.backups.0.lock() = None,
        }
        return note(services, actor, "backup.delete", id, json!({ "state": job.state })).await;
    }
    let (own, wanted) = (services.clone(), id.to_owned());
    let removed = services.blocking.run(move || {
        if on_disk(&own.settings, &wanted).is_none() {
            return Ok(false);
        }
        remove(&folder_of(&own.settings, &wanted)).map_err(io_error)?;
        Ok(true)
    });
    match removed.await? {
        true => note(services, actor, "backup.delete", id, json!({})).await,
        false => Err(not_found(id)),
    }
}

/// Removes a backup's folder; what is left when that breaks off is no backup. Blocks.
///
/// # Errors
/// It cannot be removed.
pub fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(folder.join(MANIFEST)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let going = folder.with_file_name(format!(".{name}.gone.part"));
    std::fs::rename(folder, &going)?;
    std::fs::remove_dir_all(going)
}

async fn note(
    services: &Services,
    actor: &str,
    action: &'static str,
    id: &str,
    detail: serde_json::Value,
) -> Result<()> {
    let (now, actor, subject) = (services.now(), actor.to_owned(), format!("backup/{id}"));
    services.store.write(move |tx| audit::note(tx, now, &actor, action, Some(subject), detail)).await
}

fn not_found(id: &str) -> Error {
    Error::new(Code::BackupNotFound, format!("There is no backup `{id}`."))
}

fn all(services: &Services) -> Vec<Backup> {
    let mut found: Vec<Backup> = of_job(services, None).into_iter().collect();
    for entry in std::fs::read_dir(services.settings.data_dir.join("backups")).into_iter().flatten().flatten()
    {
        let backup = entry.file_name().into_string().ok().and_then(|it| on_disk(&services.settings, &it));
        found.extend(backup);
    }
    found.sort_by(|a, b| b.id.cmp(&a.id));
    found
}

/// The backup that is being made or broke off; what is complete lies on the disk.
fn of_job(services: &Services, id: Option<&str>) -> Option<Backup> {
    let job = services.backups.0.lock();
    let job = job.as_ref().filter(|it| id.is_none_or(|id| id == it.label.id))?;
    let (state, ended_at, error) = match &job.ended {
        None => (BackupState::Running, None, None),
        Some((at, Some(error))) => (BackupState::Failed, Some(*at), Some(error.clone())),
        Some((_, None)) => return None,
    };
    let (bytes_done, bytes_total) = job.progress.bytes();
    Some(Backup {
        state,
        phase: job.progress.phase(),
        bytes_done,
        bytes_total,
        begun_at: Some(job.label.begun_at),
        ended_at,
        error,
        ..blank(&services.settings, &job.label.id)
    })
}

/// A backup in the folder; none when there is nothing of this name.
fn on_disk(settings: &Settings, id: &str) -> Option<Backup> {
    check_id(id).ok()?;
    let folder = folder_of(settings, id);
    if !std::fs::symlink_metadata(&folder).is_ok_and(|it| it.is_dir()) {
        return None;
    }
    Some(match read_manifest(&folder) {
        Ok(manifest) => Backup {
            bytes_done: manifest.bytes,
            bytes_total: manifest.bytes,
            begun_at: Some(manifest.begun_at),
            ended_at: Some(manifest.ended_at),
            files: Some(manifest.files.len() as u64),
            server_version: Some(manifest.server_version),
            schema: Some(manifest.schema),
            counts: manifest.counts,
            warnings: manifest.warnings,
            ..blank(settings, id)
        },
        Err(fault) => {
            Backup { state: BackupState::Damaged, error: Some(fault.to_string()), ..blank(settings, id) }
        }
    })
}

fn blank(settings: &Settings, id: &str) -> Backup {
    let folder = folder_of(settings, id);
    Backup {
        id: id.to_owned(),
        state: BackupState::Done,
        phase: BackupPhase::Ended,
        bytes_done: 0,
        bytes_total: 0,
        begun_at: None,
        ended_at: None,
        error: None,
        path: std::path::absolute(&folder).unwrap_or(folder).display().to_string(),
        files: None,
        server_version: None,
        schema: None,
        counts: Default::default(),
        warnings: Vec::new(),
    }
}
