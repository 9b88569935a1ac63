//! Compressed formats, against the same audio as WAV.

use std::path::Path;

use super::super::coded::Coded;
use super::super::source::Limited;
use super::super::{CutRange, MediaError, cut, probe};
use super::{between, fixture, folder, samples, triangles};

const LOSSY: [&str; 5] = ["sweep.mp3", "sweep.ogg", "sweep.m4a", "sweep.aac", "sweep.mka"];

#[test]
fn each_format_tells_what_it_holds() {
    for (name, container, codec, rate, channels, bits) in [
        ("tri16.flac", "flac", "flac", 8000, 2, Some(16)),
        ("tri24.flac", "flac", "flac", 8000, 2, Some(24)),
        ("tri16.m4a", "isomp4", "alac", 8000, 2, Some(16)),
        ("sweep.mp3", "mp3", "mp3", 44_100, 1, None),
        ("sweep.ogg", "ogg", "vorbis", 44_100, 1, None),
        ("sweep.m4a", "isomp4", "aac", 44_100, 1, None),
        ("sweep.aac", "aac", "aac", 44_100, 1, None),
        ("sweep.mka", "matroska", "vorbis", 44_100, 1, None),
    ] {
        let found = probe(&fixture(name), None).unwrap();
        assert_eq!((found.container.as_str(), found.codec.as_str()), (container, codec), "{name}");
        assert_eq!((found.sample_rate, found.channels), (rate, channels), "{name}");
        assert_eq!(found.bits_per_sample, bits, "{name}");
        assert_eq!(found.frames, decode(&fixture(name), 0).len() as u64 / u64::from(channels), "{name}");
        assert_eq!(found.duration_s, found.frames as f64 / f64::from(rate), "{name}");
    }
}

#[test]
fn encoder_delay_is_trimmed_where_the_container_tells_it() {
    for name in ["tri16.flac", "tri24.flac", "tri16.m4a"] {
        assert_eq!(probe(&fixture(name), None).unwrap().frames, 8000, "{name}");
    }
    for name in ["sweep.mp3", "sweep.ogg"] {
        assert_eq!(probe(&fixture(name), None).unwrap().frames, 88_200, "{name}");
    }
}

#[test]
fn a_lossless_cut_equals_the_cut_of_the_same_audio() {
    let dir = folder();
    let out = dir.path().join("out.wav");
    for (name, step, bits) in [("tri16.flac", 100, 16), ("tri24.flac", 30_000, 24), ("tri16.m4a", 100, 16)] {
        let all = triangles(step);
        for (start, end) in [(0, 8000), (0, 1), (1, 2), (1234, 5678), (7999, 8000), (4100, 4200)] {
            let made =
                between(&fixture(name), f64::from(start) / 8000.0, f64::from(end) / 8000.0, &out).unwrap();
            assert_eq!((made.bits_per_sample, made.channels), (bits, 2));
            assert_eq!(samples(&out), all[start as usize * 2..end as usize * 2], "{name} {start}..{end}");
        }
    }
}

#[test]
fn a_lossy_cut_after_a_seek_equals_the_decode_from_the_start() {
    let dir = folder();
    let out = dir.path().join("out.wav");
    for name in LOSSY {
        let path = fixture(name);
        let all: Vec<i32> =
            decode(&path, 0).iter().map(|v| i32::from((v * 32_768.0).round() as i16)).collect();
        for (start, end) in [(0, 44_100), (30_000, 40_000), (60_000, 61_000), (80_000, 88_000)] {
            let made = between(&path, f64::from(start) / 44_100.0, f64::from(end) / 44_100.0, &out).unwrap();
            assert_eq!(made.bits_per_sample, 16);
            let expected = &all[start as usize..end as usize];
            same(&samples(&out), expected, &format!("{name} {start}..{end}"), noisy(name));
        }
        let made = cut(&path, None, CutRange::Last { seconds: 0.1 }, &out).unwrap();
        assert_eq!(made.frames, 4410, "{name}");
        same(&samples(&out), &all[all.len() - 4410..], name, noisy(name));
    }
}

#[test]
fn opus_is_refused_in_words() {
    let e = probe(&fixture("opus.ogg"), None).unwrap_err();
    assert!(matches!(e, MediaError::Unsupported { .. }));
    assert_eq!(
        e.to_string(),
        "this audio cannot be decoded: Opus (in ogg) has no decoder here; send WAV, FLAC, MP3, AAC or Ogg Vorbis"
    );
}

#[test]
fn text_and_nothing_are_not_audio() {
    let dir = folder();
    let path = dir.path().join("notes.wav");
    std::fs::write(&path, "yesterday ".repeat(1000)).unwrap();
    assert!(matches!(probe(&path, None), Err(MediaError::NotAudio { .. })));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(probe(&path, None), Err(MediaError::Truncated)));
    assert!(matches!(probe(dir.path(), None), Err(MediaError::Io(_))));
    assert!(matches!(probe(&dir.path().join("none"), None), Err(MediaError::Io(_))));
}

/// AAC fills gaps in its spectrum with random numbers, so that no two decodes are the same bits.
fn noisy(name: &str) -> bool {
    name == "sweep.m4a" || name == "sweep.aac"
}

/// Equal to the bit; with `noisy` ten times nearer than when shifted by one sample.
fn same(got: &[i32], expected: &[i32], what: &str, noisy: bool) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let off = |shift: usize| {
        got.iter().zip(&expected[shift..]).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
    };
    let limit = if noisy { off(1) / 10.0 } else { 0.0 };
    assert!(off(0) <= limit, "{what}: off by {} of at most {limit}", off(0));
}

/// Everything from the first sample on, after an optional seek towards `from`.
fn decode(path: &Path, from: u64) -> Vec<f32> {
    let mut coded = Coded::open(Limited::open(path, &None.into()).unwrap()).unwrap();
    coded.seek_before(from).unwrap();
    let (mut all, mut block) = (Vec::new(), Vec::new());
    while coded.next::<f32>(&mut block).unwrap().is_some() {
        all.extend_from_slice(&block);
    }
    all
}
