//! The folder `lost+found`: what a start found that no row names, under names that tell where it was. It is put back when
//! a later start finds a row for it, as after the right database was restored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::media::sha256_file;
use crate::model::recording::{TrackOrigin, TrackState};
use crate::services::Services;
use crate::services::files::{MediaFiles, io_error, sync_folder};

const FOLDER: &str = "lost+found";

/// How sure it is that a file is what a row names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fits {
    /// Its hash is that of the row.
    Surely,
    /// It has as many bytes.
    Likely,
    /// It is longer than what was acknowledged of a track that grows: a start cuts the rest off.
    Longer,
}

/// Moves a file there; false when it stays where it is: that keeps no server from starting.
pub(super) fn lose(files: &MediaFiles, file: &Path, relative: &str) -> bool {
    let folder = files.own(FOLDER);
    let flat = flat(relative);
    let move_it = || {
        std::fs::create_dir_all(&folder)?;
        let names = std::iter::once(flat.clone()).chain((2..).map(|n: u32| format!("{flat}.{n}")));
        let mut free = names.map(|name| folder.join(name)).filter(|it| !it.exists());
        let to = free.next().unwrap_or_else(|| folder.join(&flat));
        std::fs::rename(file, &to)?;
        sync_folder(&folder).map(|()| to)
    };
    match move_it() {
        Ok(to) => log::warn!("no row names the file {relative}: it lies in {} now", to.display()),
        Err(fault) => {
            let folder = folder.display();
            log::warn!("no row names the file {relative}, and it cannot be moved to {folder}: {fault}");
            return false;
        }
    }
    true
}

/// Puts files back that rows name and miss; says how many. Blocks.
pub(super) fn put_back(services: &Services) -> Result<usize> {
    let mut wanted: BTreeMap<String, Vec<(PathBuf, Fits)>> = BTreeMap::new();
    for file in entries(&services.files.own(FOLDER))? {
        if let Some((place, fits)) = place_of(services, &file)?
            && !services.files.own(&place).exists()
        {
            wanted.entry(place).or_default().push((file, fits));
        }
    }
    let mut found = 0;
    for (place, mut files) in wanted {
        if let Some(sure) = files.iter().position(|(_, fits)| *fits == Fits::Surely) {
            files = vec![files.swap_remove(sure)];
        }
        let [(file, fits)] = &files[..] else {
            let count = files.len();
            log::warn!(
                "a row names the file {place}, and {count} files in {FOLDER} may be it: put the right one there"
            );
            continue;
        };
        match bring(file, &services.files.own(&place), *fits) {
            Ok(()) => {
                log::info!("a row names the file {place} again: it is back from {FOLDER}");
                found += 1;
            }
            Err(fault) => {
                log::warn!(
                    "a row names the file {place}, and {} cannot be put there: {fault}",
                    file.display()
                );
            }
        }
    }
    Ok(found)
}

/// One that is to be cut stays where it is, too.
fn bring(file: &Path, to: &Path, fits: Fits) -> std::io::Result<()> {
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder)?;
    match fits {
        Fits::Longer => {
            let part = to.with_extension("part");
            std::fs::copy(file, &part)?;
            std::fs::File::open(&part)?.sync_all()?;
            std::fs::rename(&part, to)?;
        }
        Fits::Surely | Fits::Likely => std::fs::rename(file, to)?,
    }
    sync_folder(folder)
}

/// Where a row wants a file, and how sure that is.
fn place_of(services: &Services, file: &Path) -> Result<Option<(String, Fits)>> {
    let Ok(about) = file.metadata() else { return Ok(None) };
    let (name, bytes) = (name_of(file), about.len());
    // Where several had the same name, all but the first are numbered.
    let unnumbered = name.rsplit_once('.').filter(|(_, end)| end.bytes().all(|it| it.is_ascii_digit()));
    for name in std::iter::once(name.as_str()).chain(unnumbered.map(|it| it.0)) {
        let found = match name.strip_prefix("recordings_") {
            Some(of_recording) => place_of_track(services, name, of_recording, file, bytes)?,
            None => place_of_clip(services, name, bytes)?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn place_of_track(
    services: &Services,
    name: &str,
    of_recording: &str,
    file: &Path,
    bytes: u64,
) -> Result<Option<(String, Fits)>> {
    for (end, _) in of_recording.match_indices('_') {
        let tracks = services.store.read(|r| r.tracks_of(&of_recording[..end]))?;
        let own = tracks.into_values().filter(|it| it.origin == TrackOrigin::Server);
        for track in own.filter(|it| flat(&it.path) == name) {
            let size = u64::try_from(track.size).unwrap_or_default();
            let fits = match (track.state, &track.sha256) {
                (TrackState::Stored, Some(hash)) => {
                    let is_same = size == bytes && sha256_file(file, None).is_ok_and(|it| it == *hash);
                    is_same.then_some(Fits::Surely)
                }
                (TrackState::Stored, None) => (size == bytes).then_some(Fits::Likely),
                (TrackState::Live, _) if size == bytes => Some(Fits::Likely),
                (TrackState::Live, _) => (size < bytes).then_some(Fits::Longer),
            };
            if let Some(fits) = fits {
                return Ok(Some((track.path, fits)));
            }
        }
    }
    Ok(None)
}

fn place_of_clip(services: &Services, name: &str, bytes: u64) -> Result<Option<(String, Fits)>> {
    let id = name.strip_prefix("clips_").and_then(|it| it.split('.').next()?.parse().ok());
    let clip = id.map(|id| services.store.read(|r| r.clip(id))).transpose()?.flatten();
    let clip = clip.filter(|it| it.file_size.is_some_and(|size| u64::try_from(size) == Ok(bytes)));
    let place = clip.and_then(|it| MediaFiles::own_clip_path(&it)).filter(|it| flat(it) == name);
    Ok(place.map(|it| (it, Fits::Likely)))
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
