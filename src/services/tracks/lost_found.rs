//! The folder `lost+found`: what a start found that no row names, under names that tell where it was. It is put back when
//! a later start finds a row for it, as after the right database was restored.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::model::recording::{TrackOrigin, TrackState};
use crate::services::Services;
use crate::services::files::{MediaFiles, io_error, sync_folder};

const FOLDER: &str = "lost+found";

/// Moves a file there.
pub(super) fn lose(files: &MediaFiles, file: &Path, relative: &str) -> Result<()> {
    let folder = files.own(FOLDER);
    std::fs::create_dir_all(&folder).map_err(io_error)?;
    let flat = flat(relative);
    let names = std::iter::once(flat.clone()).chain((2..).map(|n: u32| format!("{flat}.{n}")));
    let free = names.map(|name| folder.join(name)).find(|it| !it.exists());
    let Some(to) = free else { return Ok(()) };
    std::fs::rename(file, &to).map_err(io_error)?;
    sync_folder(&folder).map_err(io_error)?;
    log::warn!("no row names the file {relative}: it lies in {} now", to.display());
    Ok(())
}

/// Puts files back that rows name and miss; says how many. Blocks.
pub(super) fn put_back(services: &Services) -> Result<usize> {
    let mut found = 0;
    for file in entries(&services.files.own(FOLDER))? {
        let Ok(about) = file.metadata() else { continue };
        let Some(place) = place_of(services, &name_of(&file), about.len())? else { continue };
        let to = services.files.own(&place);
        if to.exists() {
            continue;
        }
        let folder = to.parent().unwrap_or(services.files.root());
        std::fs::create_dir_all(folder).map_err(io_error)?;
        std::fs::rename(&file, &to).map_err(io_error)?;
        sync_folder(folder).map_err(io_error)?;
        log::info!("a row names the file {place} again: it is back from {FOLDER}");
        found += 1;
    }
    Ok(found)
}

/// Where a row wants a file that has this name here and so many bytes.
fn place_of(services: &Services, name: &str, bytes: u64) -> Result<Option<String>> {
    let is_whole = |size: i64| u64::try_from(size) == Ok(bytes);
    if let Some(of_recording) = name.strip_prefix("recordings_") {
        for (end, _) in of_recording.match_indices('_') {
            let tracks = services.store.read(|r| r.tracks_of(&of_recording[..end]))?;
            let own = tracks.into_values().filter(|it| it.origin == TrackOrigin::Server);
            let mut same = own.filter(|it| flat(&it.path) == name);
            let fits = |state, size| match state {
                TrackState::Stored => is_whole(size),
                // One that grows may be longer than what was acknowledged.
                TrackState::Live => u64::try_from(size).is_ok_and(|it| it <= bytes),
            };
            if let Some(track) = same.find(|it| fits(it.state, it.size)) {
                return Ok(Some(track.path));
            }
        }
        return Ok(None);
    }
    let id = name.strip_prefix("clips_").and_then(|it| it.split('.').next()?.parse().ok());
    let clip = id.map(|id| services.store.read(|r| r.clip(id))).transpose()?.flatten();
    let clip = clip.filter(|it| it.file_size.is_some_and(is_whole));
    Ok(clip.and_then(|it| MediaFiles::own_clip_path(&it)).filter(|it| flat(it) == name))
}

/// The name that a file of the media folder has here.
fn flat(relative: &str) -> String {
    relative.replace('/', "_")
}

/// What lies in a folder; nothing when there is none.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(listed) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    listed.map(|it| Ok(it?.path())).collect::<std::io::Result<_>>().map_err(io_error)
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default()
}
