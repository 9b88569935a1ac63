//! How much later one sound is heard in another, by cross-correlation of the whole.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;

use crate::media::error::MediaError;
use crate::media::stream::Stream;

/// Exact enough for a filter that finds the rest, in Hz.
const RATE: u32 = 16_000;

/// The delay in seconds, from `-most` to `most`; 0 when nothing is heard of the reference.
pub(super) fn find(source: Stream, reference: Stream, most: f64) -> Result<f64, MediaError> {
    let rate = source.rate().min(RATE);
    let (mut source, mut reference) = (source.at_rate(rate)?, reference.at_rate(rate)?);
    let most = (most * f64::from(rate)).ceil() as usize;
    // Four times the delay, so that the ends of a segment weigh little.
    let segment = (4 * most).next_power_of_two().max(1 << 14);
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(2 * segment), planner.plan_fft_inverse(2 * segment));
    let mut time = forward.make_input_vec();
    let mut spectra = [forward.make_output_vec(), forward.make_output_vec()];
    let mut common = vec![Complex32::default(); segment + 1];
    let mut power = vec![0.0_f32; segment + 1];
    let mut block = Vec::new();
    loop {
        let mut there = segment;
        for (stream, spectrum) in [&mut source, &mut reference].into_iter().zip(&mut spectra) {
            there = there.min(stream.read_padded(segment, &mut block)?);
            time[..segment].copy_from_slice(&block[0]);
            time[segment..].fill(0.0);
            // Lengths are those of the plan.
            forward.process(&mut time, spectrum).ok();
        }
        let [heard, played] = &spectra;
        for bin in 0..=segment {
            common[bin] += heard[bin] * played[bin].conj();
            power[bin] += played[bin].norm_sqr();
        }
        if there < segment {
            break;
        }
    }
    // Loud frequencies of the reference would hide the others; where it has none, there is nothing to learn.
    let floor = power.iter().fold(0.0_f32, |most, it| most.max(*it)) * 1e-6;
    for (common, power) in common.iter_mut().zip(&power) {
        *common = if *power > floor { *common / power.sqrt() } else { Complex32::default() };
    }
    if let [first, .., last] = common.as_mut_slice() {
        (first.im, last.im) = (0.0, 0.0);
    }
    inverse.process(&mut common, &mut time).ok();
    Ok(peak(&time, most) as f64 / f64::from(rate))
}

/// The lag at which two sounds are most alike; the smaller one of equals.
fn peak(correlation: &[f32], most: usize) -> i64 {
    let at = |lag: i64| correlation[lag.rem_euclid(correlation.len() as i64) as usize].abs();
    let mut best = 0;
    for lag in (1..=most as i64).flat_map(|lag| [lag, -lag]) {
        // A tone is alike at every period: the nearest of nearly equal ones is the likely one.
        if at(lag) > at(best) * 1.02 {
            best = lag;
        }
    }
    best
}
