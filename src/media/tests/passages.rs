//! Passages as plain samples.

use super::super::{MediaError, Samples, samples};
use super::{fixture, folder, sine, write_float, write_wav};

fn floats(samples: &Samples) -> Vec<f32> {
    samples.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[test]
fn a_passage_is_the_mean_of_its_channels() {
    let dir = folder();
    let path = dir.path().join("in.wav");
    let both: Vec<i32> = (0..8000).flat_map(|n| [n, 3 * n]).collect();
    write_wav(&path, 8000, 2, 16, &both);
    let got = samples(&path, None, None, 0.25, Some(0.5), 1 << 20).unwrap();
    assert_eq!(got.sample_rate, 8000);
    let wanted: Vec<f32> = (2000..6000).map(|n| (2 * n) as f32 / 32_768.0).collect();
    assert_eq!(floats(&got), wanted);
    assert_eq!(floats(&samples(&path, None, None, 0.75, None, 2000).unwrap()).len(), 2000);
    assert_eq!(floats(&samples(&path, None, None, 0.75, Some(99.0), 2000).unwrap()).len(), 2000);
}

#[test]
fn another_rate_gives_as_many_samples_as_it_lasts() {
    let dir = folder();
    let path = dir.path().join("in.wav");
    write_float(&path, 44_100, 1, &sine(44_100, 300.0, 1.0, 0.5));
    let got = floats(&samples(&path, None, Some(16_000), 0.5, Some(0.25), 1 << 20).unwrap());
    assert_eq!(got.len(), 4000);
    let wanted = sine(16_000, 300.0, 1.0, 0.5);
    // A time that no whole number of its frames lasts.
    assert_eq!(
        floats(&samples(&path, None, Some(48_000), 0.0, Some(0.100_01), 1 << 20).unwrap()).len(),
        4800
    );
    for n in 200..3800 {
        assert!((got[n] - wanted[8000 + n]).abs() < 0.02, "{n}");
    }
}

#[test]
fn a_passage_of_a_compressed_file_begins_at_its_very_sample() {
    for name in ["tri16.flac", "sweep.mp3", "sweep.ogg"] {
        let whole = floats(&samples(&fixture(name), None, None, 0.0, None, 1 << 20).unwrap());
        let rate = samples(&fixture(name), None, None, 0.0, None, 1 << 20).unwrap().sample_rate;
        let start = (0.7 * f64::from(rate)).round() as usize;
        let part = floats(&samples(&fixture(name), None, None, 0.7, None, 1 << 20).unwrap());
        assert_eq!(part.len(), whole.len() - start, "{name}");
        let differs = part.iter().zip(&whole[start..]).any(|(a, b)| (a - b).abs() > 0.001);
        assert!(!differs, "{name}");
    }
}

#[test]
fn too_much_or_nothing_is_an_error() {
    let path = fixture("tri16.flac");
    assert!(matches!(samples(&path, None, None, 0.0, None, 7999), Err(MediaError::TooLong { most: 7999 })));
    assert_eq!(samples(&path, None, None, 0.0, None, 8000).unwrap().bytes.len(), 32_000);
    assert!(matches!(samples(&path, None, None, 5.0, None, 9), Err(MediaError::OutOfRange { .. })));
    for (start, duration) in
        [(-1.0, None), (f64::NAN, None), (0.0, Some(0.0)), (0.0, Some(f64::INFINITY)), (0.0, Some(1e-9))]
    {
        assert!(matches!(samples(&path, None, None, start, duration, 9), Err(MediaError::BadRange { .. })));
    }
}
