//! Speech without the noise around it.

use std::fs;
use std::path::Path;

use nnnoiseless::DenoiseState;

use super::error::MediaError;
use super::made::{Made, Maker};
use super::resample::Resample;
use super::stop::Scope;
use super::stream::Stream;

/// What the network was trained at, in Hz.
const RATE: u32 = 48_000;
/// What it takes at a time; what it gives is one such frame late.
const FRAME: usize = DenoiseState::FRAME_SIZE;
/// It expects samples as large as those of 16 bits.
const SCALE: f32 = 32_768.0;
/// Above four times full scale float files are noise of another kind; it would stay in the network's memory.
const MAX_LEVEL: f32 = 4.0;

/// Writes what counts of `path` without its noise into the new WAV `out`: as many frames, of the same rate and
/// channels, in time with the source. `amount` from 0 to 1 is how much of the noise is taken away.
///
/// Each channel is heard by itself. What the network hears ends at 24 kHz. `out` is removed again after an error.
///
/// # Errors
/// `BadRange` for an amount that is none, else what reading the source or writing the file gives.
pub fn denoise(path: &Path, scope: impl Into<Scope>, amount: f64, out: &Path) -> Result<Made, MediaError> {
    if !(0.0..=1.0).contains(&amount) {
        return Err(MediaError::bad_range("the amount must be 0 to 1"));
    }
    let made = work(path, &scope.into(), amount as f32, out);
    made.inspect_err(|_| {
        // The error says enough; a half file that stays is the sweeper's.
        fs::remove_file(out).ok();
    })
}

fn work(path: &Path, scope: &Scope, amount: f32, out: &Path) -> Result<Made, MediaError> {
    let mut dry = Stream::open(path, scope)?;
    let mut wet = Wet::open(path, scope)?;
    let mut maker = Maker::create(out, dry.rate(), dry.channels(), dry.integer_bits(), 0)?;
    let mut block = Vec::new();
    loop {
        let frames = wet.next()?;
        let there = dry.read(frames, &mut block)?;
        for (block, wet) in block.iter_mut().zip(&wet.ready) {
            for (sample, wet) in block.iter_mut().zip(wet) {
                *sample += (wet - *sample) * amount;
            }
        }
        maker.push(&block)?;
        if there < frames {
            return maker.finish();
        }
    }
}

/// The source as the network gives it back, followed by silence without end.
struct Wet {
    source: Stream,
    networks: Vec<Box<DenoiseState<'static>>>,
    /// Back to the rate of the source.
    back: Option<Resample>,
    /// The first frame out of the network holds nothing yet.
    is_first: bool,
    block: Vec<Vec<f32>>,
    ready: Vec<Vec<f32>>,
}

impl Wet {
    fn open(path: &Path, scope: &Scope) -> Result<Self, MediaError> {
        let source = Stream::open(path, scope)?;
        let (rate, channels) = (source.rate(), source.channels());
        let back = if rate == RATE { None } else { Some(Resample::new(RATE, rate, channels)?) };
        Ok(Wet {
            source: source.at_rate(RATE)?,
            networks: (0..channels).map(|_| DenoiseState::new()).collect(),
            back,
            is_first: true,
            block: Vec::new(),
            ready: vec![Vec::new(); channels],
        })
    }

    /// Replaces what is ready by the next frames, and tells how many they are.
    fn next(&mut self) -> Result<usize, MediaError> {
        self.ready.iter_mut().for_each(Vec::clear);
        while self.ready[0].is_empty() {
            self.source.read_padded(FRAME, &mut self.block)?;
            for (network, samples) in self.networks.iter_mut().zip(&mut self.block) {
                let mut quiet = [0.0; FRAME];
                samples.iter_mut().for_each(|it| *it = it.clamp(-MAX_LEVEL, MAX_LEVEL) * SCALE);
                network.process_frame(&mut quiet, samples);
                let back = quiet.iter().map(|it| if it.is_finite() { it / SCALE } else { 0.0 });
                samples.clear();
                samples.extend(back);
            }
            if std::mem::take(&mut self.is_first) {
                continue;
            }
            match &mut self.back {
                Some(back) => back.push(&self.block, &mut self.ready)?,
                None => std::mem::swap(&mut self.ready, &mut self.block),
            }
        }
        Ok(self.ready[0].len())
    }
}
