//! Audio at another sample rate, block by block, in time with what went in.

use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{
    Async, Fft, FixedAsync, FixedSync, Indexing, ResampleError, Resampler, ResamplerConstructionError,
    SincInterpolationParameters, WindowFunction,
};

use super::error::MediaError;

/// Frames worked on at a time, at the lower of the two rates.
const CHUNK: usize = 1024;
/// Rates whose smallest common block is longer are bridged by interpolation.
const MAX_FFT_BLOCK: u32 = 8192;

/// A converter of planar audio. Frame `n` that comes out lies where frame `n * from / to` went in.
pub(super) struct Resample {
    inner: Box<dyn Resampler<f32>>,
    waiting: Vec<Vec<f32>>,
    made: Vec<Vec<f32>>,
    /// Frames that are still to be left out: the converter's own delay.
    late: usize,
}

impl Resample {
    /// From one rate in Hz to another.
    pub(super) fn new(from: u32, to: u32, channels: usize) -> Result<Self, MediaError> {
        let inner = converter(from, to, channels)
            .map_err(|e| MediaError::Unsupported { why: format!("{from} Hz as {to} Hz ({e})") })?;
        Ok(Resample {
            waiting: vec![Vec::new(); channels],
            made: vec![vec![0.0; inner.output_frames_max()]; channels],
            late: inner.output_delay(),
            inner,
        })
    }

    /// Takes a block and appends what can be told by now to `out`.
    pub(super) fn push(&mut self, block: &[Vec<f32>], out: &mut [Vec<f32>]) -> Result<(), MediaError> {
        for (waiting, samples) in self.waiting.iter_mut().zip(block) {
            waiting.extend_from_slice(samples);
        }
        let there = self.waiting.first().map_or(0, Vec::len);
        let mut used = 0;
        while there - used >= self.inner.input_frames_next() {
            used += self.step(&Indexing::new().input_offset(used), out)?;
        }
        self.waiting.iter_mut().for_each(|it| drop(it.drain(..used)));
        Ok(())
    }

    /// Appends what follows when nothing more comes but silence: one step of it.
    pub(super) fn push_silence(&mut self, out: &mut [Vec<f32>]) -> Result<(), MediaError> {
        let there = self.waiting.first().map_or(0, Vec::len);
        self.step(&Indexing::new().partial_len(there), out)?;
        self.waiting.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    fn step(&mut self, indexing: &Indexing, out: &mut [Vec<f32>]) -> Result<usize, MediaError> {
        let (channels, room) = (self.made.len(), self.inner.output_frames_max());
        let there = self.waiting.first().map_or(0, Vec::len);
        let cannot =
            |e: &dyn std::fmt::Display| MediaError::damaged(format!("its rate cannot be changed: {e}"));
        let from = SequentialSliceOfVecs::new(&self.waiting, channels, there).map_err(|e| cannot(&e))?;
        let mut to =
            SequentialSliceOfVecs::new_mut(&mut self.made, channels, room).map_err(|e| cannot(&e))?;
        let done = self.inner.process_into_buffer(&from, &mut to, Some(indexing));
        let (used, made) = done.map_err(|e: ResampleError| cannot(&e))?;
        let late = self.late.min(made);
        self.late -= late;
        for (out, samples) in out.iter_mut().zip(&self.made) {
            out.extend_from_slice(&samples[late..made]);
        }
        Ok(used)
    }
}

fn converter(
    from: u32,
    to: u32,
    channels: usize,
) -> Result<Box<dyn Resampler<f32>>, ResamplerConstructionError> {
    let common = greatest_common_divisor(from, to);
    if from.max(to) / common <= MAX_FFT_BLOCK {
        // Blocks hold whole periods of both rates, and an even number of frames: else their middle, the delay, lies
        // between two.
        let even = 2 * (from / common) as usize;
        let chunk = (CHUNK * (from / to).max(1) as usize).next_multiple_of(even);
        let fixed = FixedSync::Input;
        let fft = Fft::new_custom(
            from as usize,
            to as usize,
            chunk,
            1,
            channels,
            WindowFunction::BlackmanHarris2,
            fixed,
        )?;
        return Ok(Box::new(fft));
    }
    let ratio = f64::from(to) / f64::from(from);
    let parameters = SincInterpolationParameters::new(128, WindowFunction::BlackmanHarris2);
    Ok(Box::new(Async::new_sinc(ratio, 1.0, &parameters, CHUNK, channels, FixedAsync::Input)?))
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone at `from` Hz, converted to `to` Hz and compared with the same tone made there.
    fn error_of(from: u32, to: u32) -> f32 {
        let tone = |rate: u32, n: u32| {
            let t = f64::from(n) / f64::from(rate);
            ((t * 440.0 * std::f64::consts::TAU).sin() * 0.5) as f32
        };
        let mut resample = Resample::new(from, to, 1).unwrap();
        let mut out = vec![Vec::new()];
        let input: Vec<f32> = (0..from).map(|n| tone(from, n)).collect();
        for block in input.chunks(777) {
            resample.push(&[block.to_vec()], &mut out).unwrap();
        }
        while out[0].len() < to as usize {
            resample.push_silence(&mut out).unwrap();
        }
        // The ends hear the silence around.
        let middle = to / 10..to / 10 * 9;
        middle.map(|n| (out[0][n as usize] - tone(to, n)).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn what_comes_out_lies_in_time_with_what_went_in() {
        for (from, to) in
            [(44_100, 48_000), (48_000, 8000), (8000, 48_000), (192_000, 48_000), (44_101, 48_000)]
        {
            let error = error_of(from, to);
            // Half a frame, where the delay of interpolation lies between two.
            assert!(error < 0.015, "{from} to {to}: {error}");
        }
    }
}
