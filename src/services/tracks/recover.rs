//! What a start does about files that a crash left behind. Nothing a user sent is ever deleted: what no row
//! names is moved to `lost+found` beside the media folder's own, and comes back when a row does.

use std::path::Path;

use crate::error::Result;
use crate::model::recording::{RecordingStatus, TrackOrigin};
use crate::services::Services;
use crate::services::files::{MediaFiles, io_error};

use super::closing::make_whole;
use super::lost_found::{entries, lose, name_of, put_back};
use super::stored_news;

/// What a start found and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Live tracks whose unacknowledged tail was cut off.
    pub cut: usize,
    /// Live tracks of recordings that had ended: made whole.
    pub closed: usize,
    /// Files in `lost+found` that a row names, moved back.
    pub found: usize,
    /// Files without a row, moved to `lost+found`.
    pub moved: usize,
}

/// Puts files and rows in agreement, before the first request.
///
/// # Errors
/// The store's, and when files cannot be moved.
pub async fn recover(services: &Services) -> Result<Recovered> {
    let mut found = Recovered::default();
    let own = services.clone();
    found.found = services.blocking.run(move || put_back(&own)).await?;
    for (id, name, track) in services.store.read(|r| r.live_tracks())? {
        let Some(recording) = services.store.read(|r| r.recording(&id))? else { continue };
        let (files, now) = (services.files.clone(), services.now());
        if recording.status == RecordingStatus::Active {
            let cut = services.blocking.run(move || {
                let path = files.own(&track.path);
                cut_tail(&path, u64::try_from(track.size).unwrap_or_default()).map_err(io_error)
            });
            found.cut += usize::from(cut.await?);
            continue;
        }
        let whole = services.blocking.run(move || Ok(make_whole(&files, track, now))).await?;
        let journal = services.journal.clone();
        let stored = services.store.write(move |tx| {
            tx.put_track(&id, &name, &whole)?;
            journal.publish(tx, stored_news(&id, &name, &whole), &crate::model::call::Caller::server())
        });
        stored.await?;
        found.closed += 1;
    }
    let own = services.clone();
    found.moved = services.blocking.run(move || sweep(&own)).await?;
    if found != Recovered::default() {
        log::info!(
            "media: {} tails cut off, {} tracks closed, {} files back from lost+found, {} files moved to it",
            found.cut,
            found.closed,
            found.found,
            found.moved
        );
    }
    Ok(found)
}

/// True when there was something beyond `len`.
fn cut_tail(path: &Path, len: u64) -> std::io::Result<bool> {
    let file = match std::fs::OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            log::error!("the track {} has lost its file", path.display());
            return Ok(false);
        }
        file => file?,
    };
    if file.metadata()?.len() <= len {
        return Ok(false);
    }
    file.set_len(len)?;
    file.sync_all()?;
    Ok(true)
}

/// Moves what no row names. Blocks.
fn sweep(services: &Services) -> Result<usize> {
    let mut moved = 0;
    for folder in entries(&services.files.own("recordings"))? {
        let id = name_of(&folder);
        let known = services.store.read(|r| r.tracks_of(&id))?;
        let mut own = known.values().filter(|it| it.origin == TrackOrigin::Server);
        let named: Vec<&str> = own.by_ref().map(|it| it.path.as_str()).collect();
        for file in entries(&folder)? {
            let relative = format!("{}/{}", MediaFiles::recording_folder(&id), name_of(&file));
            if !named.contains(&relative.as_str()) {
                moved += usize::from(lose(&services.files, &file, &relative));
            }
        }
        services.files.remove_folder_if_empty(&id);
    }
    for file in entries(&services.files.own("clips"))? {
        let name = name_of(&file);
        let id = name.split('.').next().and_then(|it| it.parse::<i64>().ok());
        let clip = id.map(|id| services.store.read(|r| r.clip(id))).transpose()?.flatten();
        let relative = format!("clips/{name}");
        if clip.and_then(|it| MediaFiles::own_clip_path(&it)).as_ref() != Some(&relative) {
            moved += usize::from(lose(&services.files, &file, &relative));
        }
    }
    Ok(moved)
}
