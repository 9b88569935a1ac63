//! Audio that is asked for in blocks: each channel by itself, at a chosen rate.

use std::path::Path;

use super::decode::Audio;
use super::error::MediaError;
use super::resample::Resample;
use super::stop::{Scope, Stop};

/// A file as planar samples; full scale is -1..1.
pub(super) struct Stream {
    audio: Audio,
    stop: Stop,
    /// Channels in the file.
    wide: usize,
    /// Channels handed out: those of the file, or one, their mean.
    channels: usize,
    rate: u32,
    resample: Option<Resample>,
    /// Frames of the file that are still to be left out, and that are still to be read.
    skip: u64,
    left: u64,
    block: Vec<f32>,
    planar: Vec<Vec<f32>>,
    ready: Vec<Vec<f32>>,
    /// Frames to hand out, as far as the file has been read, and frames handed out.
    owed: f64,
    given: u64,
    ended: bool,
}

impl Stream {
    /// What counts of a file, from its first frame.
    pub(super) fn open(path: &Path, scope: &Scope) -> Result<Self, MediaError> {
        Self::over(Audio::open(path, scope)?, scope, 0)
    }

    /// What counts of a file, from `frame` on, at most `frames` of it.
    pub(super) fn open_at(path: &Path, scope: &Scope, frame: u64, frames: u64) -> Result<Self, MediaError> {
        let (audio, skip) = Audio::open_at(path, scope, frame)?;
        Ok(Stream { left: frames, ..Self::over(audio, scope, skip)? })
    }

    fn over(audio: Audio, scope: &Scope, skip: u64) -> Result<Self, MediaError> {
        let (wide, rate) = (audio.channels(), audio.rate());
        Ok(Stream {
            audio,
            stop: scope.stop.clone(),
            wide,
            channels: wide,
            rate,
            resample: None,
            skip,
            left: u64::MAX,
            block: Vec::new(),
            planar: vec![Vec::new(); wide],
            ready: vec![Vec::new(); wide],
            owed: 0.0,
            given: 0,
            ended: false,
        })
    }

    /// The same with all channels mixed into one. To be said before [`Stream::at_rate`].
    pub(super) fn mono(mut self) -> Self {
        self.channels = 1;
        (self.planar, self.ready) = (vec![Vec::new()], vec![Vec::new()]);
        self
    }

    /// The same at `rate` Hz.
    pub(super) fn at_rate(mut self, rate: u32) -> Result<Self, MediaError> {
        if rate != self.rate {
            self.resample = Some(Resample::new(self.audio.rate(), rate, self.channels)?);
            self.rate = rate;
        }
        Ok(self)
    }

    /// Hz of what is handed out.
    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Channels handed out.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Bits that an integer sample needs to hold this audio; none when its samples are floats.
    pub(super) fn integer_bits(&self) -> Option<u32> {
        self.audio.integer_bits()
    }

    /// Replaces `out` by the next `frames` frames and answers how many there are: fewer only at the end.
    pub(super) fn read(&mut self, frames: usize, out: &mut Vec<Vec<f32>>) -> Result<usize, MediaError> {
        while self.ready[0].len() < frames && !self.ended {
            self.fetch()?;
        }
        let there = self.ready[0].len().min(frames);
        out.resize_with(self.channels, Vec::new);
        for (out, ready) in out.iter_mut().zip(&mut self.ready) {
            out.clear();
            out.extend(ready.drain(..there));
        }
        Ok(there)
    }

    /// The same, with silence behind the end.
    pub(super) fn read_padded(
        &mut self,
        frames: usize,
        out: &mut Vec<Vec<f32>>,
    ) -> Result<usize, MediaError> {
        let there = self.read(frames, out)?;
        out.iter_mut().for_each(|it| it.resize(frames, 0.0));
        Ok(there)
    }

    /// Reads one block of the file.
    fn fetch(&mut self) -> Result<(), MediaError> {
        self.stop.check()?;
        if self.left == 0 || !self.audio.next(&mut self.block)? {
            return self.end();
        }
        let frames = (self.block.len() / self.wide) as u64;
        let skip = self.skip.min(frames);
        self.skip -= skip;
        let frames = (frames - skip).min(self.left);
        self.left -= frames;
        let samples = &self.block[skip as usize * self.wide..][..frames as usize * self.wide];
        self.planar.iter_mut().for_each(Vec::clear);
        for frame in samples.chunks_exact(self.wide) {
            match self.planar.as_mut_slice() {
                [one] if self.wide > 1 => one.push(frame.iter().sum::<f32>() / self.wide as f32),
                planar => planar.iter_mut().zip(frame).for_each(|(to, sample)| to.push(*sample)),
            }
        }
        self.owed += frames as f64 * f64::from(self.rate) / f64::from(self.audio.rate());
        let before = self.ready[0].len();
        match &mut self.resample {
            Some(resample) => resample.push(&self.planar, &mut self.ready)?,
            None => {
                self.ready.iter_mut().zip(&self.planar).for_each(|(to, from)| to.extend_from_slice(from));
            }
        }
        self.given += (self.ready[0].len() - before) as u64;
        Ok(())
    }

    /// Gets out what is still in the converter, so that the whole lasts as long as the file.
    fn end(&mut self) -> Result<(), MediaError> {
        self.ended = true;
        let Some(resample) = &mut self.resample else { return Ok(()) };
        let owed = self.owed.round() as u64;
        while self.given < owed {
            let before = self.ready[0].len();
            resample.push_silence(&mut self.ready)?;
            self.given += (self.ready[0].len() - before) as u64;
        }
        let excess = (self.given - owed) as usize;
        self.ready.iter_mut().for_each(|it| it.truncate(it.len().saturating_sub(excess)));
        Ok(())
    }
}
