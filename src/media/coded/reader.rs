//! One compressed track as a stream of frames whose positions are known.

use std::collections::VecDeque;
use std::io::ErrorKind;

use symphonia::core::audio::conv::ConvertibleSample;
use symphonia::core::codecs::audio::well_known as codec_id;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatReader, SeekMode, SeekTo, Track};
use symphonia::core::packet::Packet;
use symphonia::core::units::Timestamp;
use symphonia::default::get_codecs;

use super::{fenced, open};
use crate::media::error::MediaError;
use crate::media::source::Limited;
use crate::media::wav::{MAX_CHANNELS, MAX_RATE};

/// A damaged packet is replaced by silence so that what follows keeps its place, up to this much.
const MAX_GAP_FRAMES: u64 = 1 << 16;
/// So many packets at the start may be without sound or broken.
const MAX_SILENT_PACKETS: usize = 512;

pub(super) struct Inner {
    pub(super) reader: Box<dyn FormatReader>,
    pub(super) decoder: Box<dyn AudioDecoder>,
    pub(super) track: Track,
    pub(super) params: AudioCodecParameters,
}

/// A decoder on the audio track of a file.
pub(in crate::media) struct Coded {
    inner: Inner,
    rate: u32,
    channels: usize,
    /// A tick of the track's clock is one frame, so that packets tell their place exactly.
    ticks_are_frames: bool,
    /// Tick of the first frame that is heard.
    origin: i64,
    /// Packets that were read to learn rate and channels, to be decoded again for the caller.
    pending: VecDeque<Packet>,
    /// Frame at which the next block begins; unknown after a seek.
    at: Option<u64>,
    ended: bool,
}

impl Coded {
    /// Opens the file and reads up to its first audible packet, which tells rate and channels.
    pub(in crate::media) fn open(source: Limited) -> Result<Self, MediaError> {
        let inner = open::open(source)?;
        let mut coded = Self {
            inner,
            rate: 0,
            channels: 0,
            ticks_are_frames: false,
            origin: 0,
            pending: VecDeque::new(),
            at: Some(0),
            ended: false,
        };
        while coded.pending.len() < MAX_SILENT_PACKETS {
            let Some(packet) = coded.next_packet()? else {
                break;
            };
            let decoder = &mut coded.inner.decoder;
            let block = fenced(|| {
                decoder.decode(&packet).map(|b| (b.spec().rate(), b.spec().channels().count(), b.frames()))
            })?;
            let origin = start_of(&packet);
            coded.pending.push_back(packet);
            let Ok((rate, channels, 1..)) = block else {
                continue;
            };
            (coded.rate, coded.channels) = (rate, channels);
            if coded.rate == 0 || coded.rate > MAX_RATE {
                return Err(MediaError::damaged(format!("{} samples per second", coded.rate)));
            }
            if coded.channels == 0 || coded.channels > MAX_CHANNELS {
                return Err(MediaError::damaged(format!("{} channels", coded.channels)));
            }
            coded.ticks_are_frames = coded
                .inner
                .track
                .time_base
                .is_some_and(|base| base.numer.get() == 1 && base.denom.get() == coded.rate);
            coded.origin = origin;
            // A fresh state for those packets: what decoders keep from one to the next is audible.
            coded.reset()?;
            return Ok(coded);
        }
        if coded.pending.len() < MAX_SILENT_PACKETS {
            return Err(MediaError::Truncated);
        }
        Err(MediaError::damaged("none of its first packets can be decoded"))
    }

    pub(in crate::media) fn rate(&self) -> u32 {
        self.rate
    }

    pub(in crate::media) fn channels(&self) -> usize {
        self.channels
    }

    /// The container's short name.
    pub(in crate::media) fn container(&self) -> &'static str {
        self.inner.reader.format_info().short_name
    }

    /// The codec's short name.
    pub(in crate::media) fn codec(&self) -> &'static str {
        get_codecs().get_audio_decoder(self.inner.params.codec).map_or("unknown", |c| c.codec.info.short_name)
    }

    /// Bits per sample of a lossless codec; `None` for lossy ones.
    pub(in crate::media) fn lossless_bits(&self) -> Option<u32> {
        let params = &self.inner.params;
        let pcm = codec_id::CODEC_ID_PCM_S32LE..=codec_id::CODEC_ID_PCM_U8_PLANAR;
        if params.codec == codec_id::CODEC_ID_ALAC {
            // Only the codec's own header tells: frame length, version, bits.
            return params.extra_data.as_ref().and_then(|e| e.get(5)).map(|bits| u32::from(*bits));
        }
        if params.codec == codec_id::CODEC_ID_FLAC || pcm.contains(&params.codec) {
            return self.inner.decoder.codec_params().bits_per_sample.or(params.bits_per_sample);
        }
        None
    }

    /// How many frames the container claims.
    pub(in crate::media) fn claimed_frames(&self) -> Option<u64> {
        let track = &self.inner.track;
        if self.ticks_are_frames && track.num_frames.is_some() {
            return track.num_frames;
        }
        let seconds = track.time_base?.calc_duration(track.duration?)?.as_secs_f64();
        Some((seconds * f64::from(self.rate)).round() as u64)
    }

    /// Reads on to the end and returns the frames of the whole track.
    pub(in crate::media) fn count_frames(mut self) -> Result<u64, MediaError> {
        let mut frames: u64 = 0;
        if !self.ticks_are_frames {
            // Packets of a coarser clock (Matroska) do not tell: only decoding does.
            let mut block: Vec<f32> = Vec::new();
            while self.next(&mut block)?.is_some() {
                frames += (block.len() / self.channels) as u64;
            }
            return Ok(frames);
        }
        while let Some(packet) = self.pending.pop_front() {
            frames = frames.saturating_add(self.heard(&packet));
        }
        while let Some(packet) = self.next_packet()? {
            frames = frames.saturating_add(self.heard(&packet));
        }
        Ok(frames)
    }

    /// Jumps to a packet at or before `frame`, far enough for the decoder to settle.
    ///
    /// `Ok(false)`: the place cannot be told exactly; the reader is spent and must be reopened.
    pub(in crate::media) fn seek_before(&mut self, frame: u64) -> Result<bool, MediaError> {
        let settle = u64::from(self.rate) / 2;
        if !self.ticks_are_frames || frame <= settle {
            return Ok(frame <= settle);
        }
        let tick = i64::try_from(frame - settle).ok().and_then(|f| self.origin.checked_add(f));
        let Some(tick) = tick else { return Ok(false) };
        let to = SeekTo::Timestamp { ts: Timestamp::new(tick), track_id: self.inner.track.id };
        self.pending.clear();
        self.at = None;
        let inner = &mut self.inner;
        let sought = fenced(|| inner.reader.seek(SeekMode::Accurate, to))?;
        self.reset()?;
        Ok(sought.is_ok())
    }

    fn reset(&mut self) -> Result<(), MediaError> {
        let decoder = &mut self.inner.decoder;
        fenced(|| {
            decoder.reset();
            Ok(())
        })?
        .map_err(|e| MediaError::damaged(e.to_string()))
    }

    /// Replaces `out` by the next interleaved samples and returns the position of their first
    /// frame; `None` at the end.
    pub(in crate::media) fn next<S: ConvertibleSample>(
        &mut self,
        out: &mut Vec<S>,
    ) -> Result<Option<u64>, MediaError> {
        out.clear();
        loop {
            let packet = match self.pending.pop_front() {
                Some(packet) => packet,
                None => match self.next_packet()? {
                    Some(packet) => packet,
                    None => return Ok(None),
                },
            };
            self.decode(&packet, out)?;
            if out.is_empty() {
                continue;
            }
            let frames = (out.len() / self.channels) as u64;
            let at = self
                .at
                .unwrap_or_else(|| u64::try_from(start_of(&packet).saturating_sub(self.origin)).unwrap_or(0));
            self.at = Some(at + frames);
            return Ok(Some(at));
        }
    }

    fn decode<S: ConvertibleSample>(&mut self, packet: &Packet, out: &mut Vec<S>) -> Result<(), MediaError> {
        let (rate, channels) = (self.rate, self.channels);
        let decoder = &mut self.inner.decoder;
        let decoded = fenced(|| {
            let block = decoder.decode(packet)?;
            // A file that changes its format midway goes on as silence.
            let same = block.spec().rate() == rate && block.spec().channels().count() == channels;
            if same {
                block.copy_to_vec_interleaved(out);
            }
            Ok(same)
        })?;
        let lasts = self.heard(packet);
        match decoded {
            // The last packet of a track may be told to end early.
            Ok(true) if self.ticks_are_frames && lasts > 0 => {
                if let Ok(lasts) = usize::try_from(lasts) {
                    out.truncate(lasts.saturating_mul(channels));
                }
            }
            Ok(true) => {}
            Ok(false) | Err(Error::DecodeError(_) | Error::IoError(_)) => {
                let gap = if self.ticks_are_frames { lasts.min(MAX_GAP_FRAMES) } else { 0 };
                out.clear();
                out.resize(gap as usize * channels, S::MID);
            }
            Err(_) => self.ended = true,
        }
        Ok(())
    }

    /// Ticks of a packet that are heard: without what the encoder padded.
    fn heard(&self, packet: &Packet) -> u64 {
        let lasts = packet.dur.get();
        if self.inner.params.codec != codec_id::CODEC_ID_MP3 {
            return lasts;
        }
        // The MP3 demuxer gives the trims beside the duration instead of taking them off.
        lasts.saturating_sub(packet.trim_start.get()).saturating_sub(packet.trim_end.get())
    }

    /// The next packet of the track; a file that breaks off ends there.
    fn next_packet(&mut self) -> Result<Option<Packet>, MediaError> {
        while !self.ended {
            let reader = &mut self.inner.reader;
            match fenced(|| reader.next_packet())? {
                Ok(Some(packet)) if packet.track_id == self.inner.track.id => {
                    return Ok(Some(packet));
                }
                Ok(Some(_)) => {}
                Err(Error::IoError(e)) if e.kind() != ErrorKind::UnexpectedEof => {
                    return Err(MediaError::Io(e));
                }
                Ok(None) | Err(_) => self.ended = true,
            }
        }
        Ok(None)
    }
}

/// Tick of the first frame of a packet that is heard.
fn start_of(packet: &Packet) -> i64 {
    packet.pts.get().saturating_add(i64::try_from(packet.trim_start.get()).unwrap_or(i64::MAX))
}
