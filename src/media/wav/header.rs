//! The walk over a WAV's chunks up to its audio.

use std::io::{Read, Seek, SeekFrom};

use crate::media::error::MediaError;

/// More chunks than this before the audio are an attack, not a recording.
const MAX_CHUNKS: usize = 4096;
/// Bounds of what is called audio here; a header outside them is damaged.
pub(in crate::media) const MAX_RATE: u32 = 1_000_000;
/// See [`MAX_RATE`].
pub(in crate::media) const MAX_CHANNELS: usize = 64;

/// How one sample of one channel lies in the file; all little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) enum Sample {
    U8,
    S16,
    S24,
    S32,
    F32,
    F64,
}

impl Sample {
    /// Bytes of one sample of one channel.
    pub(in crate::media) fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::S16 => 2,
            Self::S24 => 3,
            Self::S32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// What a `fmt ` chunk says.
#[derive(Clone, Debug)]
pub(in crate::media) struct Format {
    pub(in crate::media) sample: Sample,
    /// Hz.
    pub(in crate::media) rate: u32,
    pub(in crate::media) channels: u16,
    /// Bits that carry audio, as the header states them.
    pub(in crate::media) bits: u16,
    /// The chunk's own bytes, for a copy that keeps the format.
    pub(in crate::media) raw: Vec<u8>,
}

impl Format {
    /// Bytes of one sample of all channels.
    pub(in crate::media) fn frame_bytes(&self) -> u64 {
        self.sample.bytes() as u64 * u64::from(self.channels)
    }
}

/// A WAV file whose audio has been found.
#[derive(Clone, Debug)]
pub(in crate::media) struct Wav {
    pub(in crate::media) format: Format,
    /// Byte at which the audio begins.
    pub(in crate::media) data_start: u64,
    /// Whole frames that are there.
    pub(in crate::media) frames: u64,
    /// The audio runs to the end of the file, whatever the header claims.
    pub(in crate::media) to_the_end: bool,
    /// RF64 or BW64 rather than RIFF.
    pub(in crate::media) is_64: bool,
    /// Where the contents of a first `ds64` or `JUNK` chunk of at least 28 bytes lie.
    pub(in crate::media) room_at: Option<u64>,
}

impl Wav {
    /// Reads the header of a WAV; `Ok(None)` when the file is something else.
    ///
    /// `total` is how many bytes `from` can give.
    pub(in crate::media) fn parse(
        from: &mut (impl Read + Seek),
        total: u64,
    ) -> Result<Option<Self>, MediaError> {
        let Some(riff) = read_at::<12>(from, 0, total)? else {
            return Ok(None);
        };
        let is_64 = matches!(&riff[..4], b"RF64" | b"BW64");
        if (&riff[..4] != b"RIFF" && !is_64) || &riff[8..] != b"WAVE" {
            return Ok(None);
        }
        let riff_size = le32(&riff[4..]);
        let mut at = 12;
        let mut format = None;
        let mut ds64_data = None;
        let mut room_at = None;
        for index in 0..MAX_CHUNKS {
            let Some(head) = read_at::<8>(from, at, total)? else {
                return Err(MediaError::Truncated);
            };
            let size = le32(&head[4..]);
            let body = at + 8;
            match &head[..4] {
                b"fmt " => format = Some(read_format(from, body, size, total)?),
                b"ds64" | b"JUNK" if index == 0 && size >= 28 => {
                    room_at = Some(body);
                    if &head[..4] == b"ds64" {
                        let Some(sizes) = read_at::<16>(from, body, total)? else {
                            return Err(MediaError::Truncated);
                        };
                        ds64_data = Some(le64(&sizes[8..]));
                    }
                }
                b"data" => {
                    let format: Format = format
                        .ok_or_else(|| MediaError::damaged("a WAV whose data come before its format"))?;
                    let there = total.saturating_sub(body);
                    let claimed = match ds64_data {
                        Some(size_64) if size == u32::MAX => size_64,
                        _ => u64::from(size),
                    };
                    // A RIFF size that fits the file was written by somebody who knew.
                    let finished = u64::from(riff_size) + 8 == total;
                    let to_the_end = claimed >= there || (unknown(claimed) && !finished);
                    let bytes = if to_the_end { there } else { claimed };
                    let frames = bytes / format.frame_bytes();
                    return Ok(Some(Self { format, data_start: body, frames, to_the_end, is_64, room_at }));
                }
                _ => {}
            }
            at = body + u64::from(size) + u64::from(size % 2);
        }
        Err(MediaError::damaged("a WAV of thousands of chunks without audio"))
    }

    /// Bytes of audio, in whole frames.
    pub(in crate::media) fn data_bytes(&self) -> u64 {
        self.frames * self.format.frame_bytes()
    }
}

/// Lengths that streaming recorders write because they do not know better.
fn unknown(size: u64) -> bool {
    size == 0 || (0x7FFF_0000..=0x8000_0000).contains(&size) || (0xFFFF_0000..=0xFFFF_FFFF).contains(&size)
}

fn read_format(from: &mut (impl Read + Seek), at: u64, size: u32, total: u64) -> Result<Format, MediaError> {
    // 16 bytes of basics; an extensible header has 40 and says in its GUID what it holds.
    let Some(basics) = read_at::<16>(from, at, total)? else {
        return Err(MediaError::Truncated);
    };
    if size < 16 {
        return Err(MediaError::damaged("a WAV format of less than 16 bytes"));
    }
    let mut raw = basics.to_vec();
    let mut tag = le16(&basics);
    let mut bits = le16(&basics[14..]);
    let container_bits = bits;
    if tag == 0xFFFE {
        if size < 40 {
            return Err(MediaError::damaged("an extensible WAV format of less than 40 bytes"));
        }
        let Some(full) = read_at::<40>(from, at, total)? else {
            return Err(MediaError::Truncated);
        };
        tag = le16(&full[24..]);
        let valid = le16(&full[18..]);
        if valid != 0 && valid <= bits {
            bits = valid;
        }
        raw = full.to_vec();
    }
    let channels = le16(&basics[2..]);
    let rate = le32(&basics[4..]);
    if channels == 0 || usize::from(channels) > MAX_CHANNELS {
        return Err(MediaError::damaged(format!("a WAV of {channels} channels")));
    }
    if rate == 0 || rate > MAX_RATE {
        return Err(MediaError::damaged(format!("a WAV of {rate} samples per second")));
    }
    let align = le16(&basics[12..]);
    // The frame size rules, where it fits: 24 bits may lie in four bytes.
    let width = match align / channels {
        w if align.is_multiple_of(channels) && u32::from(w) * 8 >= u32::from(container_bits) && w > 0 => w,
        _ => container_bits.div_ceil(8),
    };
    let sample = match (tag, width) {
        (1, 1) => Sample::U8,
        (1, 2) => Sample::S16,
        (1, 3) => Sample::S24,
        (1, 4) => Sample::S32,
        (3, 4) => Sample::F32,
        (3, 8) => Sample::F64,
        (1 | 3, _) => {
            return Err(MediaError::damaged(format!("a WAV of {container_bits} bits in {width} bytes")));
        }
        _ => {
            return Err(MediaError::Unsupported {
                why: format!("the WAV holds codec 0x{tag:04x}; use PCM, FLAC, MP3 or Ogg Vorbis"),
            });
        }
    };
    Ok(Format { sample, rate, channels, bits, raw })
}

/// `N` bytes at `at`, or `None` when the file ends before them.
fn read_at<const N: usize>(
    from: &mut (impl Read + Seek),
    at: u64,
    total: u64,
) -> Result<Option<[u8; N]>, MediaError> {
    if at.checked_add(N as u64).is_none_or(|end| end > total) {
        return Ok(None);
    }
    from.seek(SeekFrom::Start(at))?;
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

pub(super) fn le16(b: &[u8]) -> u16 {
    u16::from_le_bytes([b[0], b[1]])
}

pub(super) fn le32(b: &[u8]) -> u32 {
    u32::from_le_bytes([b[0], b[1], b[2], b[3]])
}

fn le64(b: &[u8]) -> u64 {
    u64::from(le32(b)) | u64::from(le32(&b[4..])) << 32
}
