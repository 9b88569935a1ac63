//! Giving a finished live recording the sizes its header could not know.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::header::Wav;
use super::write::ds64_body;
use crate::media::error::MediaError;
use crate::media::source::Limited;

/// Writes the true sizes into a WAV header in place and syncs the file; `true` when it wrote.
///
/// Only the header changes, never the length of the file: half a frame at the end stays there,
/// outside of the RIFF. Above 4 GiB the file becomes an RF64 when its first chunk leaves room for
/// that (`JUNK` or `ds64` of 28 bytes or more), else both sizes become 0xFFFFFFFF ("unknown"),
/// which this server and the usual players read to the end. Files that are no WAV, or whose audio
/// does not reach the end of the file (so that its length was known), are left alone.
///
/// # Errors
/// When the file is a WAV without readable audio, or cannot be read or written.
pub fn mend_wav_header(path: &Path) -> Result<bool, MediaError> {
    let mut source = Limited::open(path, &None.into())?;
    let total = source.len();
    let wav = match Wav::parse(&mut source, total) {
        Ok(Some(wav)) if wav.to_the_end => wav,
        // Another codec inside a WAV is not ours to mend.
        Ok(_) | Err(MediaError::Unsupported { .. }) => return Ok(false),
        Err(e) => return Err(e),
    };
    drop(source);
    let data = wav.data_bytes();
    let padded = wav.data_start + data + data % 2;
    let riff = padded.min(total).saturating_sub(8);
    let mut patches: Vec<(u64, Vec<u8>)> = Vec::new();
    match (u32::try_from(riff), u32::try_from(data)) {
        (Ok(riff), Ok(data)) if !wav.is_64 => {
            patches.push((4, riff.to_le_bytes().to_vec()));
            patches.push((wav.data_start - 4, data.to_le_bytes().to_vec()));
        }
        _ => {
            if let Some(room) = wav.room_at {
                patches.push((0, b"RF64".to_vec()));
                patches.push((room - 8, b"ds64".to_vec()));
                patches.push((room, ds64_body(riff, data, wav.frames).to_vec()));
            }
            patches.push((4, vec![0xFF; 4]));
            patches.push((wav.data_start - 4, vec![0xFF; 4]));
        }
    }
    let mut file = OpenOptions::new().write(true).open(path)?;
    for (at, bytes) in patches {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&bytes)?;
    }
    file.sync_all()?;
    Ok(true)
}
