//! Waveform, envelope and loudness of audio whose levels are known.

use super::super::{MediaError, envelope, loudness, peaks};
use super::{fixture, folder, sine, triangles, write_float, write_wav};

#[test]
fn peaks_are_the_extremes_of_their_bucket_over_all_channels() {
    let dir = folder();
    let path = dir.path().join("in.wav");
    let all = triangles(100);
    write_wav(&path, 8000, 2, 16, &all);
    let got = peaks(&path, None, 7).unwrap();
    assert_eq!(got.len(), 7);
    for (bucket, peak) in got.iter().enumerate() {
        let inside = |i: usize| (i / 2) * 7 / 8000 == bucket;
        let part = || all.iter().enumerate().filter(|(i, _)| inside(*i)).map(|(_, s)| *s as f32 / 32_768.0);
        assert_eq!(peak.max, part().fold(f32::MIN, f32::max));
        assert_eq!(peak.min, part().fold(f32::MAX, f32::min));
        let rms = (part().map(|v| v * v).sum::<f32>() / part().count() as f32).sqrt();
        assert!((peak.rms - rms).abs() < 1e-4, "{} {rms}", peak.rms);
    }
    assert_eq!(peaks(&path, None, 1_000_000).unwrap().len(), 8000);
    assert_eq!(peaks(&path, Some(44 + 40), 100).unwrap().len(), 10);
    assert!(matches!(peaks(&path, None, 0), Err(MediaError::BadRange { .. })));
    // The same audio compressed gives the same picture.
    assert_eq!(peaks(&fixture("tri16.flac"), None, 7).unwrap(), got);
}

#[test]
fn the_envelope_shows_the_loud_passage_twenty_db_above_the_rest() {
    let dir = folder();
    let path = dir.path().join("in.wav");
    let mut all = sine(8000, 400.0, 2.0, 0.05);
    all[8000..12_000].copy_from_slice(&sine(8000, 400.0, 0.5, 0.5));
    write_float(&path, 8000, 1, &all);
    let levels = envelope(&path, None, 0.1).unwrap();
    assert_eq!(levels.len(), 20);
    for (i, level) in levels.iter().enumerate() {
        // A sine's RMS is 3.01 dB below its peak.
        let expected = if (10..15).contains(&i) { -6.02 - 3.01 } else { -26.02 - 3.01 };
        assert!((level - expected).abs() < 0.05, "window {i}: {level} dB");
    }
    assert!(matches!(envelope(&path, None, 0.0), Err(MediaError::BadRange { .. })));
}

#[test]
fn a_sine_measures_as_the_standard_says() {
    let dir = folder();
    let path = dir.path().join("in.wav");
    // EBU Tech 3341: a stereo 1 kHz sine at -23 dBFS is -23 LUFS.
    let mono = sine(48_000, 1000.0, 4.0, 10f64.powf(-23.0 / 20.0));
    write_float(&path, 48_000, 2, &mono.iter().flat_map(|v| [*v, *v]).collect::<Vec<_>>());
    let got = loudness(&path, None).unwrap();
    let lufs = got.integrated_lufs.unwrap();
    assert!((lufs + 23.0).abs() < 0.1, "{lufs} LUFS");
    assert!((got.true_peak_dbfs.unwrap() + 23.0).abs() < 0.1);
    assert!((got.sample_peak_dbfs.unwrap() + 23.0).abs() < 0.1);
    assert!(got.range_lu.abs() < 0.1);
    assert_eq!(got.duration_s, 4.0);
}

#[test]
fn silence_has_no_loudness_rather_than_an_infinite_one() {
    let dir = folder();
    let path = dir.path().join("in.wav");
    write_wav(&path, 8000, 1, 16, &[0; 16_000]);
    let got = loudness(&path, None).unwrap();
    assert_eq!((got.integrated_lufs, got.true_peak_dbfs, got.sample_peak_dbfs), (None, None, None));
    assert_eq!(got.range_lu, 0.0);
    assert_eq!(envelope(&path, None, 1.0).unwrap(), [-120.0, -120.0]);
    // Not-a-number in a float file is silence too.
    write_float(&path, 8000, 1, &[f32::NAN; 8000]);
    assert_eq!(loudness(&path, None).unwrap().sample_peak_dbfs, None);
}
