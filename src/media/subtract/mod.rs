//! Taking one sound out of another: the microphone without the music that its room played.
//!
//! `delay.rs` finds how late the reference is heard, `filter.rs` learns what the room makes of it. The first
//! [`LEARN_S`] seconds are heard twice, so that the very beginning is clean too.

mod delay;
mod filter;

use std::fs;
use std::path::Path;

use super::error::MediaError;
use super::made::{Made, Maker};
use super::stop::Scope;
use super::stream::Stream;
use filter::Filter;

/// How much is heard before the first sample is written, in seconds.
const LEARN_S: f64 = 30.0;
/// What the room may add to the delay, in seconds.
const ROOM_S: f64 = 0.04;
/// A reference quieter than this (root mean square, -70 dB over full scale) says nothing of the room.
const AUDIBLE: f32 = 0.0003;
/// The most of a delay, in seconds.
pub const MAX_DELAY_S: f64 = 5.0;

/// What [`subtract`] made and found.
#[derive(Clone, Debug, PartialEq)]
pub struct Subtracted {
    /// The new file.
    pub made: Made,
    /// How much later than in the reference the sound is heard, in seconds; negative when it is earlier.
    pub delay_s: f64,
    /// How much quieter the whole became while the reference sounded, in dB.
    pub reduction_db: f64,
}

/// How far apart the two may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// So many seconds; negative when the reference comes later.
    Known(f64),
    /// At most so many seconds, in either direction.
    Within(f64),
}

/// Writes what counts of `path` without the sound of `reference` into the new WAV `out`: as many frames, of the
/// same rate and channels, in time with the source.
///
/// `out` is removed again after an error.
///
/// # Errors
/// `BadRange` for a delay of more than [`MAX_DELAY_S`], else what reading the sources or writing the file gives.
pub fn subtract(
    path: &Path,
    scope: impl Into<Scope>,
    reference: &Path,
    reference_scope: impl Into<Scope>,
    delay: Delay,
    out: &Path,
) -> Result<Subtracted, MediaError> {
    let (Delay::Known(seconds) | Delay::Within(seconds)) = delay;
    if !(-MAX_DELAY_S..=MAX_DELAY_S).contains(&seconds) {
        return Err(MediaError::bad_range(format!("a delay is at most {MAX_DELAY_S} seconds")));
    }
    let work = Work { path, scope: &scope.into(), reference, reference_scope: &reference_scope.into() };
    work.run(delay, out).inspect_err(|_| {
        // The error says enough; a half file that stays is the sweeper's.
        fs::remove_file(out).ok();
    })
}

struct Work<'a> {
    path: &'a Path,
    scope: &'a Scope,
    reference: &'a Path,
    reference_scope: &'a Scope,
}

impl Work<'_> {
    fn run(&self, delay: Delay, out: &Path) -> Result<Subtracted, MediaError> {
        let delay_s = match delay {
            Delay::Known(seconds) => seconds,
            Delay::Within(most) => {
                let source = Stream::open(self.path, self.scope)?.mono();
                let reference = Stream::open(self.reference, self.reference_scope)?.mono();
                delay::find(source, reference, most.abs())?
            }
        };
        let source = Stream::open(self.path, self.scope)?;
        let (rate, channels) = (source.rate(), source.channels());
        let block = ((ROOM_S * f64::from(rate)) as usize).next_power_of_two().max(64);
        let mut pair = Pair::open(self, source, delay_s, block)?;
        let mut filters: Vec<Filter> =
            (0..channels).map(|_| Filter::new(block, pair.reference.channels())).collect();
        let learn = (LEARN_S * f64::from(rate)) as usize / block;
        for _ in 0..learn {
            if pair.next()? < block {
                break;
            }
            for (filter, samples) in filters.iter_mut().zip(&mut pair.samples) {
                filter.clean(&pair.heard, samples);
            }
        }
        filters.iter_mut().for_each(Filter::rewind);
        let mut pair = Pair::open(self, Stream::open(self.path, self.scope)?, delay_s, block)?;
        let mut maker = Maker::create(out, rate, channels, pair.source.integer_bits(), 0)?;
        let (mut before, mut after) = (0.0_f64, 0.0_f64);
        loop {
            let there = pair.next()?;
            let audible = pair.heard.iter().any(|it| energy(it) > f64::from(AUDIBLE).powi(2) * block as f64);
            for (filter, samples) in filters.iter_mut().zip(&mut pair.samples) {
                let loud = energy(samples);
                filter.clean(&pair.heard, samples);
                if audible {
                    (before, after) = (before + loud, after + energy(samples));
                }
                samples.truncate(there);
            }
            maker.push(&pair.samples)?;
            if there < block {
                break;
            }
        }
        let reduction_db = if before > 0.0 && after > 0.0 { 10.0 * (before / after).log10() } else { 0.0 };
        Ok(Subtracted { made: maker.finish()?, delay_s, reduction_db })
    }
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|it| f64::from(*it).powi(2)).sum()
}

/// Both sources side by side, the reference moved to where it is heard.
struct Pair {
    source: Stream,
    reference: Stream,
    block: usize,
    /// Frames of silence that still come before the reference.
    wait: usize,
    samples: Vec<Vec<f32>>,
    heard: Vec<Vec<f32>>,
}

impl Pair {
    fn open(work: &Work, source: Stream, delay_s: f64, block: usize) -> Result<Pair, MediaError> {
        let rate = source.rate();
        let mut reference = Stream::open(work.reference, work.reference_scope)?;
        if reference.channels() > 2 {
            reference = reference.mono();
        }
        let mut reference = reference.at_rate(rate)?;
        let mut heard = Vec::new();
        // What a little error of the delay needs before the sound, the room has behind it.
        let early = (delay_s * f64::from(rate)).round() as i64 - block as i64 / 8;
        let mut skip = early.min(0).unsigned_abs() as usize;
        while skip > 0 {
            let step = skip.min(block);
            if reference.read(step, &mut heard)? < step {
                break;
            }
            skip -= step;
        }
        let wait = early.max(0) as usize;
        Ok(Pair { source, reference, block, wait, samples: Vec::new(), heard })
    }

    /// Reads the next block of both; how many frames of the source are in it.
    fn next(&mut self) -> Result<usize, MediaError> {
        let wait = self.wait.min(self.block);
        self.wait -= wait;
        self.reference.read_padded(self.block - wait, &mut self.heard)?;
        if wait > 0 {
            self.heard.iter_mut().for_each(|it| drop(it.splice(0..0, std::iter::repeat_n(0.0, wait))));
        }
        self.source.read_padded(self.block, &mut self.samples)
    }
}
