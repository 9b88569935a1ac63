//! The last byte is there: the file becomes the track, exactly as a whole one does.

use std::io::Read;
use std::path::Path;

use crate::error::Result;
use crate::media;
use crate::model::call::Caller;
use crate::model::recording::TrackOrigin;
use crate::model::upload::Upload;
use crate::services::Services;
use crate::services::files::{io_error, rename_durably, sniff};
use crate::services::tracks::{self, Measured};

use super::{not_found, part_path};

/// Gives the file its name, probes it and stores the track; its length goes into the row of the upload with it.
///
/// # Errors
/// `RecordingNotFound`, `RecordingCompleted`, `Conflict` while somebody else writes the track, `DiskFull`: the pieces
/// are back where they were then.
pub(super) async fn finish(services: &Services, caller: &Caller, upload: &Upload) -> Result<Upload> {
    let (id, name) = (&upload.recording_id, &upload.track);
    let _busy = services.files.live.begin(id, name).ok_or_else(|| tracks::busy(name))?;
    let part = services.files.own(&part_path(&upload.id));
    let (from, now) = (part.clone(), services.now());
    let (files, id_, name_, kind) =
        (services.files.clone(), id.clone(), name.clone(), upload.content_type.clone());
    let look = move || {
        let path = files.free_track_path(&id_, &name_, sniff(&head(&from)?, kind.as_deref()));
        let size = std::fs::metadata(&from).map_err(io_error)?.len();
        let mut track = Measured::of(&from, None).track(path, TrackOrigin::Server, size, now);
        track.sha256 = Some(media::sha256_file(&from, None).map_err(io_error)?);
        Ok(track)
    };
    let track = services.blocking.run(look).await?;
    // A start that finds the file under its new name and no track puts it back.
    let (key, path) = (upload.id.clone(), track.path.clone());
    let noted = services.store.write(move |tx| {
        let mut upload = tx.upload(&key)?.ok_or_else(|| not_found(&key))?;
        upload.path = Some(path);
        tx.put_upload(&upload)
    });
    noted.await?;
    let place = services.files.own(&track.path);
    let (from, to) = (part.clone(), place.clone());
    services.blocking.run(move || rename_durably(&from, &to)).await?;
    let key = upload.id.clone();
    let stored = tracks::store_whole(services, caller, id, name, upload.replace, &track, move |tx| {
        let mut upload = tx.upload(&key)?.ok_or_else(|| not_found(&key))?;
        (upload.offset, upload.updated_at, upload.completed_at) = (upload.length, now, Some(now));
        tx.put_upload(&upload)?;
        Ok(upload)
    });
    match stored.await {
        Ok(done) => Ok(done),
        Err(error) => {
            services.blocking.run(move || rename_durably(&place, &part)).await?;
            Err(error)
        }
    }
}

/// The first bytes, which tell what it is. Blocks.
fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(io_error)?;
    file.take(crate::services::files::SNIFF_BYTES as u64).read_to_end(&mut head).map_err(io_error)?;
    Ok(head)
}
