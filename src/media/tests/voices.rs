//! Speech, noise and music that are made here, and what is left of each.

use std::path::Path;

use super::super::{Delay, MediaError, Scope, Stop, denoise, subtract};
use super::{folder, write_float, write_wav};

/// Something like a voice: pulses through three resonances, in syllables with pauses between.
fn voice(rate: u32, seconds: f64) -> Vec<f32> {
    let frames = (seconds * f64::from(rate)) as usize;
    let mut samples = vec![0.0_f64; frames];
    let mut phase = 0.0;
    for (n, sample) in samples.iter_mut().enumerate() {
        let t = n as f64 / f64::from(rate);
        phase += (130.0 + 20.0 * (t * 3.1).sin()) / f64::from(rate);
        if phase >= 1.0 {
            phase -= 1.0;
            *sample = 1.0;
        }
        *sample *= (t * 2.2 * std::f64::consts::PI).sin().max(0.0).sqrt();
    }
    let mut sum = vec![0.0_f64; frames];
    for (hz, width) in [(600.0, 90.0), (1200.0, 110.0), (2500.0, 160.0)] {
        let r = (-std::f64::consts::PI * width / f64::from(rate)).exp();
        let turn = 2.0 * r * (std::f64::consts::TAU * hz / f64::from(rate)).cos();
        let (mut a, mut b) = (0.0, 0.0);
        for (sample, sum) in samples.iter().zip(&mut sum) {
            let now = sample + turn * a - r * r * b;
            (a, b) = (now, a);
            *sum += now;
        }
    }
    let peak = sum.iter().fold(0.0_f64, |peak, it| peak.max(it.abs()));
    sum.iter().map(|it| (it / peak * 0.5) as f32).collect()
}

/// White noise, the same each time.
fn noise(frames: usize, level: f32, mut seed: u32) -> Vec<f32> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..frames).map(|_| next() * level).collect()
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|it| f64::from(*it).powi(2)).sum()
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let common: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    common / (energy(a) * energy(b)).sqrt()
}

fn plus(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn read(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).unwrap();
    match reader.spec().sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().map(Result::unwrap).collect(),
        hound::SampleFormat::Int => {
            let full = (1_i64 << (reader.spec().bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|it| it.unwrap() as f32 / full).collect()
        }
    }
}

#[test]
fn noise_goes_and_the_voice_stays_in_its_place() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    for rate in [48_000, 44_100, 16_000] {
        let clear = voice(rate, 6.0);
        let hiss = noise(clear.len(), 0.03, 7);
        write_float(&path, rate, 1, &plus(&clear, &hiss));
        let made = denoise(&path, None, 1.0, &out).unwrap();
        assert_eq!((made.frames, made.sample_rate, made.channels), (clear.len() as u64, rate, 1));
        let got = read(&out);
        assert_eq!(got.len(), clear.len());
        // The first second is for the network to get used to the noise.
        let from = rate as usize;
        let pauses = |samples: &[f32]| -> f64 {
            (from..clear.len())
                .filter(|n| clear[*n].abs() < 1e-4)
                .map(|n| f64::from(samples[n]).powi(2))
                .sum()
        };
        let less = 10.0 * (pauses(&plus(&clear, &hiss)) / pauses(&got)).log10();
        assert!(less > 10.0, "{rate} Hz: {less} dB of noise gone");
        let (clear, got) = (&clear[from..], &got[from..]);
        let alike = correlation(clear, got);
        assert!(alike > 0.8, "{rate} Hz: {alike}");
        for shift in [8, 480] {
            let moved = correlation(&clear[shift..], got).max(correlation(clear, &got[shift..]));
            assert!(moved < alike, "{rate} Hz: {shift} frames late or early");
        }
    }
}

#[test]
fn each_channel_of_any_length_keeps_its_length_and_format() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    for (frames, rate, bits) in [(1, 44_100, 16), (479, 48_000, 24), (481, 48_000, 16), (10_007, 11_025, 32)]
    {
        let samples: Vec<i32> = (0..frames * 3).map(|n| n * 7 % 20_000 - 10_000).collect();
        write_wav(&path, rate, 3, bits, &samples);
        let made = denoise(&path, None, 1.0, &out).unwrap();
        assert_eq!((made.frames, made.channels, made.sample_rate), (frames as u64, 3, rate));
        assert_eq!(made.bits_per_sample, u32::from(bits.min(24)));
        assert_eq!(hound::WavReader::open(&out).unwrap().duration(), frames as u32);
        assert_eq!(made.bytes, out.metadata().unwrap().len());
    }
}

#[test]
fn nothing_taken_away_is_the_source_itself() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    let samples: Vec<i32> = (0..9000).map(|n| (n * 7919) % 65_536 - 32_768).collect();
    write_wav(&path, 22_050, 2, 16, &samples);
    denoise(&path, None, 0.0, &out).unwrap();
    assert_eq!(super::samples(&out), samples);
    assert!(matches!(denoise(&path, None, 1.5, &out), Err(MediaError::BadRange { .. })));
    assert!(!out.exists() || super::samples(&out) == samples);
}

#[test]
fn the_loudest_voice_is_not_clipped() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    // Full scale at a rate that must be converted: what is between the samples rises above it.
    let loud: Vec<i32> = voice(44_100, 2.0).iter().map(|it| (it * 2.0 * 32_767.0) as i32).collect();
    write_wav(&path, 44_100, 1, 16, &loud);
    denoise(&path, None, 1.0, &out).unwrap();
    let got = super::samples(&out);
    let flat = got.windows(2).filter(|it| it[0].abs() >= 32_767 && it[0] == it[1]).count();
    assert_eq!(flat, 0);
}

#[test]
fn work_that_is_stopped_ends_and_leaves_no_file() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    write_float(&path, 48_000, 1, &noise(48_000, 0.1, 1));
    let stop = Stop::default();
    stop.stop();
    let scope = Scope { len: None, stop };
    assert!(denoise(&path, scope, 1.0, &out).is_err() && !out.exists());
    let scope = Scope { len: None, stop: Stop::at(Some(std::time::Instant::now())) };
    assert!(subtract(&path, scope, &path, None, Delay::Within(1.0), &out).is_err() && !out.exists());
}

/// What a room makes of a sound: later, duller, with two reflections.
fn in_a_room(played: &[f32], late: usize) -> Vec<f32> {
    let mut dull = 0.0;
    let soft: Vec<f32> = played
        .iter()
        .map(|it| {
            dull += (it - dull) * 0.6;
            dull
        })
        .collect();
    let at = |n: usize, late: usize| if n >= late { soft[n - late] } else { 0.0 };
    (0..played.len()).map(|n| 0.5 * at(n, late) - 0.2 * at(n, late + 97) + 0.1 * at(n, late + 301)).collect()
}

/// Music of a kind: chords that change, and some noise.
fn music(rate: u32, seconds: f64) -> Vec<f32> {
    let frames = (seconds * f64::from(rate)) as usize;
    let hiss = noise(frames, 0.1, 99);
    let tone = |n: usize| {
        let t = n as f64 / f64::from(rate);
        let root = [220.0, 277.0, 330.0, 196.0][(t * 2.0) as usize % 4];
        [1.0, 1.25, 1.5, 3.0].iter().map(|it| (t * root * it * std::f64::consts::TAU).sin()).sum::<f64>()
            * 0.1
    };
    (0..frames).map(|n| tone(n) as f32 + hiss[n]).collect()
}

/// Bleed before and after in dB, the voice's likeness, and the delay found.
fn subtracted(
    rate: u32,
    reference_rate: u32,
    late: f64,
    played: &[f32],
    reference: &[f32],
) -> (f64, f64, f64) {
    let dir = folder();
    let [mic, system, out] = ["mic.wav", "system.wav", "out.wav"].map(|it| dir.path().join(it));
    let seconds = played.len() as f64 / f64::from(rate);
    let clear = voice(rate, seconds);
    let bleed = in_a_room(played, (late * f64::from(rate)) as usize);
    write_float(&mic, rate, 1, &plus(&clear, &bleed));
    write_float(&system, reference_rate, 1, reference);
    let done = subtract(&mic, None, &system, None, Delay::Within(1.0), &out).unwrap();
    assert_eq!((done.made.frames, done.made.sample_rate), (clear.len() as u64, rate));
    let got = read(&out);
    assert_eq!(got.len(), clear.len());
    let left: Vec<f32> = got.iter().zip(&clear).map(|(a, b)| a - b).collect();
    assert!(done.reduction_db > 0.0, "{}", done.reduction_db);
    (10.0 * (energy(&bleed) / energy(&left)).log10(), correlation(&got, &clear), done.delay_s)
}

#[test]
fn what_the_room_played_goes_and_the_voice_stays() {
    for (rate, late) in [(48_000, 0.137), (16_000, 0.9), (44_100, 0.0)] {
        let played = music(rate, 8.0);
        let (less, alike, delay) = subtracted(rate, rate, late, &played, &played);
        assert!(less > 10.0 && alike > 0.9, "{rate} Hz: {less} dB, voice {alike}");
        assert!((delay - late).abs() < 0.005, "{rate} Hz: {delay} instead of {late}");
    }
}

#[test]
fn noise_and_tones_alone_go_too() {
    let rate = 48_000;
    let hiss = noise(rate as usize * 6, 0.3, 3);
    let tone = super::sine(rate, 440.0, 6.0, 0.4);
    for played in [hiss, tone] {
        let (less, alike, _) = subtracted(rate, rate, 0.05, &played, &played);
        assert!(less > 10.0 && alike > 0.9, "{less} dB, voice {alike}");
    }
}

#[test]
fn a_reference_of_another_rate_is_the_same_sound() {
    let (less, alike, delay) = subtracted(48_000, 44_100, 0.2, &music(48_000, 8.0), &music(44_100, 8.0));
    // The noise in it differs: only what both hold can go.
    assert!(less > 3.0 && alike > 0.9 && (delay - 0.2).abs() < 0.005, "{less} dB, voice {alike}, {delay} s");
}

#[test]
fn a_silent_or_foreign_reference_takes_nothing_away() {
    let dir = folder();
    let [mic, system, out] = ["mic.wav", "system.wav", "out.wav"].map(|it| dir.path().join(it));
    let clear = voice(16_000, 4.0);
    write_float(&mic, 16_000, 2, &clear.iter().flat_map(|it| [*it, -*it]).collect::<Vec<_>>());
    for reference in [vec![0.0; 8000], noise(64_000, 0.2, 5)] {
        write_float(&system, 8000, 1, &reference);
        let done = subtract(&mic, None, &system, None, Delay::Within(0.5), &out).unwrap();
        assert_eq!((done.made.frames, done.made.channels), (clear.len() as u64, 2));
        let left: Vec<f32> = read(&out).into_iter().step_by(2).collect();
        assert!(correlation(&left, &clear) > 0.97, "{}", correlation(&left, &clear));
    }
}
