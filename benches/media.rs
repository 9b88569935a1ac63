//! What a minute of audio costs: `cargo bench --bench media`. One WAV of 60 s, 48 kHz, one channel, made here.
#![allow(clippy::print_stderr, clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::Instant;

use panotti::media::{Delay, MediaError, denoise, loudness, samples, subtract};

const ROUNDS: usize = 3;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let [speech, system, out] = ["speech.wav", "system.wav", "out.wav"].map(|it| folder.path().join(it));
    write(&speech, 48_000, 17);
    write(&system, 44_100, 23);
    tell("denoise", || denoise(&speech, None, 1.0, &out).map(|it| it.duration_s));
    tell("denoise, 44.1 kHz", || denoise(&system, None, 1.0, &out).map(|it| it.duration_s));
    let within = Delay::Within(1.0);
    tell("subtract", || subtract(&speech, None, &speech, None, within, &out).map(|it| it.made.duration_s));
    tell("subtract, other rate", || {
        subtract(&speech, None, &system, None, within, &out).map(|it| it.made.duration_s)
    });
    tell("decode to 16 kHz", || {
        samples(&speech, None, Some(16_000), 0.0, None, 1 << 22).map(|it| it.bytes.len() as f64 / 64_000.0)
    });
    tell("loudness", || loudness(&speech, None).map(|it| it.duration_s));
}

/// `work` answers how many seconds it has heard.
fn tell(name: &str, work: impl Fn() -> Result<f64, MediaError>) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            assert!((work().unwrap() - 60.0).abs() < 0.01);
            began.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    eprintln!("{name:<22} {:.2} s [{:.2}..{:.2}] for 60 s", times[ROUNDS / 2], times[0], times[ROUNDS - 1]);
}

/// A minute of syllables in noise.
fn write(path: &Path, rate: u32, mut seed: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..60 * rate {
        let t = f64::from(n) / f64::from(rate);
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(seed >> 16) / 65_536.0 - 0.5;
        let voice = (t * 140.0).fract() * (t * 7.0).sin().max(0.0);
        writer.write_sample(((noise * 0.05 + voice * 0.4) * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}
