//! An adaptive filter that learns what a room makes of a sound, and takes that out.
//!
//! A block NLMS in the frequency domain (overlap-save, as many taps as the block has frames). Its step is set for
//! each frequency by how unsure the filter still is there and by how much else sounds there (a Kalman filter's
//! gain): it learns within a few blocks, and holds still while somebody speaks. The step never exceeds what
//! the power of the reference allows, so it is stable whatever comes.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// How much of what was learnt is still believed one block later.
const MEMORY: f32 = 0.999;
/// How much of the last blocks' spectrum is kept when the sound beside the reference is measured.
const SMOOTHING: f32 = 0.6;
/// How wrong an untaught filter may be, as a power gain.
const UNSURE: f32 = 1.0;
/// Power below any sound, so that nothing is divided by nothing.
const FLOOR: f32 = 1e-9;

/// Takes one channel or two out of one.
pub(super) struct Filter {
    block: usize,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    paths: Vec<Path>,
    /// The spectrum of what is left, smoothed over the last blocks.
    rest: Vec<f32>,
    /// Two blocks in time, and their spectrum.
    time: Vec<f32>,
    error: Vec<Complex32>,
    spectrum: Vec<Complex32>,
}

/// From one channel of the reference to the microphone.
struct Path {
    before: Vec<f32>,
    heard: Vec<Complex32>,
    weights: Vec<Complex32>,
    unsure: Vec<f32>,
}

impl Filter {
    /// An untaught filter for blocks of `block` frames (a power of two).
    pub(super) fn new(block: usize, channels: usize) -> Self {
        let mut planner = RealFftPlanner::new();
        let bins = block + 1;
        let path = || Path {
            before: vec![0.0; block],
            heard: vec![Complex32::default(); bins],
            weights: vec![Complex32::default(); bins],
            unsure: vec![UNSURE; bins],
        };
        Filter {
            block,
            forward: planner.plan_fft_forward(2 * block),
            inverse: planner.plan_fft_inverse(2 * block),
            paths: (0..channels).map(|_| path()).collect(),
            rest: vec![0.0; bins],
            time: vec![0.0; 2 * block],
            error: vec![Complex32::default(); bins],
            spectrum: vec![Complex32::default(); bins],
        }
    }

    /// Begins anew, with all that was learnt.
    pub(super) fn rewind(&mut self) {
        self.paths.iter_mut().for_each(|it| it.before.fill(0.0));
    }

    /// Takes what is `heard` of the reference out of one block, and learns from what is left.
    pub(super) fn clean(&mut self, heard: &[Vec<f32>], samples: &mut [f32]) {
        let block = self.block;
        self.spectrum.fill(Complex32::default());
        for (path, now) in self.paths.iter_mut().zip(heard) {
            self.time[..block].copy_from_slice(&path.before);
            self.time[block..].copy_from_slice(now);
            path.before.copy_from_slice(now);
            // Lengths are those of the plan.
            self.forward.process(&mut self.time, &mut path.heard).ok();
            for ((to, heard), weight) in self.spectrum.iter_mut().zip(&path.heard).zip(&path.weights) {
                *to += heard * weight;
            }
        }
        to_time(&self.inverse, &mut self.spectrum, &mut self.time);
        let loud: f32 = samples.iter().map(|it| it * it).sum();
        let left: f32 = samples.iter().zip(&self.time[block..]).map(|(it, echo)| (it - echo).powi(2)).sum();
        if !left.is_finite() || left > 4.0 * loud + FLOOR {
            // What was learnt makes it worse: the room is another one now.
            self.forget();
            return;
        }
        samples.iter_mut().zip(&self.time[block..]).for_each(|(it, echo)| *it -= echo);
        self.learn(samples);
    }

    fn learn(&mut self, left: &[f32]) {
        let block = self.block;
        self.time[..block].fill(0.0);
        self.time[block..].copy_from_slice(left);
        self.forward.process(&mut self.time, &mut self.error).ok();
        for (rest, error) in self.rest.iter_mut().zip(&self.error) {
            *rest = SMOOTHING * *rest + (1.0 - SMOOTHING) * error.norm_sqr();
        }
        for bin in 0..=block {
            // The error covers one block of the two, its power half of what the filter is about.
            let explained: f32 = self.paths.iter().map(|it| it.unsure[bin] * it.heard[bin].norm_sqr()).sum();
            let power = explained + 2.0 * self.rest[bin] + FLOOR;
            for path in &mut self.paths {
                let step = path.unsure[bin] / power;
                let heard = path.heard[bin];
                path.unsure[bin] = MEMORY.powi(2) * (1.0 - 0.5 * step * heard.norm_sqr()) * path.unsure[bin]
                    + (1.0 - MEMORY.powi(2)) * path.weights[bin].norm_sqr();
                // The spectrum of the reference is no longer needed: the change takes its place.
                path.heard[bin] = heard.conj() * self.error[bin] * step;
            }
        }
        for path in &mut self.paths {
            // Taps behind the block would wrap around.
            to_time(&self.inverse, &mut path.heard, &mut self.time);
            self.time[block..].fill(0.0);
            self.forward.process(&mut self.time, &mut self.spectrum).ok();
            path.weights.iter_mut().zip(&self.spectrum).for_each(|(weight, change)| *weight += change);
        }
    }

    fn forget(&mut self) {
        for path in &mut self.paths {
            path.weights.fill(Complex32::default());
            path.unsure.fill(UNSURE);
        }
        self.rest.fill(0.0);
    }
}

/// A spectrum as samples; the spectrum is spent.
fn to_time(inverse: &Arc<dyn ComplexToReal<f32>>, spectrum: &mut [Complex32], time: &mut [f32]) {
    // Of a real signal these two are real; rounding makes them a little otherwise.
    if let [first, .., last] = spectrum {
        (first.im, last.im) = (0.0, 0.0);
    }
    let scale = 1.0 / time.len() as f32;
    inverse.process(spectrum, time).ok();
    time.iter_mut().for_each(|it| *it *= scale);
}
