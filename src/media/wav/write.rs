//! Writing a WAV whose length is known before its first sample.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use crate::media::stop::Stop;

/// Header bytes before the audio, at most: RIFF, ds64, fmt and data.
const HEADER_ROOM: u64 = 12 + 36 + 48 + 8;

/// A new WAV file; RF64 with a `ds64` chunk when it is to exceed 4 GiB.
pub(in crate::media) struct WavWriter {
    out: BufWriter<File>,
    fmt: Vec<u8>,
    is_64: bool,
    data_bytes: u64,
}

impl WavWriter {
    /// Creates `path` for about `expected_bytes` of audio in the format of the `fmt ` chunk `fmt`.
    pub(in crate::media) fn create(path: &Path, fmt: Vec<u8>, expected_bytes: u64) -> io::Result<Self> {
        let is_64 = expected_bytes > u64::from(u32::MAX) - HEADER_ROOM;
        let mut writer =
            Self { out: BufWriter::with_capacity(64 * 1024, File::create(path)?), fmt, is_64, data_bytes: 0 };
        writer.write_header()?;
        Ok(writer)
    }

    /// Appends audio that is already in the file's format.
    pub(in crate::media) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.data_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Appends `bytes` bytes from where `from` stands, file to file, until `stop`.
    pub(in crate::media) fn copy(&mut self, from: File, bytes: u64, stop: &Stop) -> io::Result<u64> {
        const STEP: u64 = 32 << 20;
        self.out.flush()?;
        let (mut from, mut copied) = (from, 0);
        while copied < bytes {
            stop.check().map_err(io::Error::other)?;
            let step = STEP.min(bytes - copied);
            let got = io::copy(&mut io::Read::take(&mut from, step), self.out.get_mut())?;
            copied += got;
            if got < step {
                break;
            }
        }
        self.data_bytes += copied;
        Ok(copied)
    }

    /// Writes the true sizes, syncs the file and returns its size in bytes.
    pub(in crate::media) fn finish(mut self) -> io::Result<u64> {
        if self.data_bytes % 2 == 1 {
            self.out.write_all(&[0])?;
        }
        self.out.seek(SeekFrom::Start(0))?;
        self.write_header()?;
        self.out.flush()?;
        let file = self.out.get_ref();
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }

    fn write_header(&mut self) -> io::Result<()> {
        let ds64 = if self.is_64 { 36 } else { 0 };
        let riff = 4 + ds64 + 8 + self.fmt.len() as u64 + 8 + self.data_bytes + self.data_bytes % 2;
        let mut head = Vec::with_capacity(HEADER_ROOM as usize);
        if self.is_64 {
            head.extend(b"RF64\xff\xff\xff\xffWAVEds64");
            head.extend(28u32.to_le_bytes());
            head.extend(ds64_body(riff, self.data_bytes, self.data_bytes / self.frame_bytes()));
        } else {
            head.extend(b"RIFF");
            head.extend((riff as u32).to_le_bytes());
            head.extend(b"WAVE");
        }
        head.extend(b"fmt ");
        head.extend((self.fmt.len() as u32).to_le_bytes());
        head.extend(&self.fmt);
        head.extend(b"data");
        let data = if self.is_64 { u32::MAX } else { self.data_bytes as u32 };
        head.extend(data.to_le_bytes());
        self.out.write_all(&head)
    }

    fn frame_bytes(&self) -> u64 {
        u64::from(super::header::le16(&self.fmt[12..])).max(1)
    }
}

/// The 28 bytes of a `ds64` chunk: RIFF size, data size, frames, no table.
pub(super) fn ds64_body(riff: u64, data: u64, frames: u64) -> [u8; 28] {
    let mut body = [0; 28];
    body[..8].copy_from_slice(&riff.to_le_bytes());
    body[8..16].copy_from_slice(&data.to_le_bytes());
    body[16..24].copy_from_slice(&frames.to_le_bytes());
    body
}

/// The `fmt ` chunk of 32-bit float samples.
pub(in crate::media) fn float_fmt(rate: u32, channels: u16) -> Vec<u8> {
    let mut fmt = pcm_fmt(rate, channels, 4);
    fmt[..2].copy_from_slice(&3u16.to_le_bytes());
    fmt
}

/// The `fmt ` chunk of integer PCM with `width` bytes per sample.
pub(in crate::media) fn pcm_fmt(rate: u32, channels: u16, width: u16) -> Vec<u8> {
    let align = channels * width;
    let mut fmt = Vec::with_capacity(16);
    fmt.extend(1u16.to_le_bytes());
    fmt.extend(channels.to_le_bytes());
    fmt.extend(rate.to_le_bytes());
    fmt.extend((rate.saturating_mul(u32::from(align))).to_le_bytes());
    fmt.extend(align.to_le_bytes());
    fmt.extend((width * 8).to_le_bytes());
    fmt
}
