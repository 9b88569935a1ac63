//! Damaged files: whatever the bytes are, there is an answer and no panic.

use std::path::Path;

use proptest::prelude::*;

use super::super::{CutRange, MediaError, cut, envelope, loudness, mend_wav_header, peaks, probe};
use super::{fixture, folder, header, triangles, write_float, write_wav};

const FIXTURES: [&str; 9] = [
    "tri16.flac",
    "tri24.flac",
    "tri16.m4a",
    "sweep.mp3",
    "sweep.ogg",
    "sweep.m4a",
    "sweep.aac",
    "sweep.mka",
    "opus.ogg",
];

#[test]
fn files_cut_off_anywhere_give_an_answer() {
    let dir = folder();
    for bytes in all_files(dir.path()) {
        let lengths = (0..64).chain((64..bytes.len()).step_by(bytes.len() / 24 + 1));
        for len in lengths {
            try_all(dir.path(), &bytes[..len]);
        }
    }
}

#[test]
fn absurd_headers_are_errors() {
    let dir = folder();
    let path = dir.path().join("in.wav");
    let good = {
        let mut b = header(2036, 2000);
        b.extend([0; 2000]);
        b
    };
    // Channels, rate, bits, codec: offset and value.
    let wrong: [(usize, &[u8]); 7] = [
        (22, &[0, 0]),
        (22, &[65, 0]),
        (22, &[255, 255]),
        (24, &[0, 0, 0, 0]),
        (24, &[0, 0, 0, 64]),
        (34, &[99, 0]),
        (20, &[2, 0]),
    ];
    for (at, value) in wrong {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        std::fs::write(&path, &bytes).unwrap();
        let e = probe(&path, None).unwrap_err();
        assert!(matches!(e, MediaError::Damaged { .. } | MediaError::Unsupported { .. }), "{at}: {e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_give_an_answer(
        which in 0..13usize,
        flips in proptest::collection::vec((0.0..1.0f64, any::<bool>(), any::<u8>()), 1..12),
    ) {
        let dir = folder();
        let mut bytes = all_files(dir.path()).swap_remove(which);
        for (place, near_start, value) in flips {
            // Half of them hit the headers.
            let range = if near_start { bytes.len().min(200) } else { bytes.len() };
            bytes[(place * range as f64) as usize] = value;
        }
        try_all(dir.path(), &bytes);
    }

    #[test]
    fn noise_behind_a_magic_number_gives_an_answer(
        magic in prop::sample::select(vec![
            &b"RIFF\0\0\0\0WAVE"[..], b"RF64\0\0\0\0WAVEds64", b"fLaC", b"OggS\0\x02", b"ID3\x04\0", b"\xff\xfb\x90",
            b"\xff\xf1\x50", b"\0\0\0\x18ftypM4A ", b"\x1a\x45\xdf\xa3", b"",
        ]),
        noise in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let dir = folder();
        try_all(dir.path(), &[magic, &noise].concat());
    }
}

/// Every fixture and a WAV of each kind, as bytes.
fn all_files(dir: &Path) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = FIXTURES.iter().map(|name| std::fs::read(fixture(name)).unwrap()).collect();
    let path = dir.join("made.wav");
    for bits in [16, 24, 32] {
        write_wav(&path, 8000, 2, bits, &triangles(100));
        all.push(std::fs::read(&path).unwrap());
    }
    write_float(&path, 8000, 2, &[0.25; 4000]);
    all.push(std::fs::read(&path).unwrap());
    all
}

/// Every function on these bytes; what they answer must be finite.
fn try_all(dir: &Path, bytes: &[u8]) {
    let (path, out) = (dir.join("hostile"), dir.join("hostile.part"));
    std::fs::write(&path, bytes).unwrap();
    if let Ok(found) = probe(&path, None) {
        assert!(found.duration_s.is_finite() && found.sample_rate > 0 && found.channels > 0);
    }
    let len = Some(bytes.len() as u64 / 2);
    let _ = probe(&path, len);
    for peak in peaks(&path, None, 50).unwrap_or_default() {
        assert!(peak.min <= peak.max && peak.min >= -1.0 && peak.max <= 1.0 && peak.rms.is_finite());
    }
    for level in envelope(&path, len, 0.01).unwrap_or_default() {
        assert!(level.is_finite());
    }
    if let Ok(got) = loudness(&path, None) {
        assert!(got.range_lu.is_finite() && got.integrated_lufs.is_none_or(f64::is_finite));
    }
    for range in [CutRange::Between { start_s: 0.6, end_s: 0.7 }, CutRange::Last { seconds: 0.1 }] {
        match cut(&path, None, range, &out) {
            Ok(made) => assert_eq!(made.bytes, out.metadata().unwrap().len()),
            Err(_) => assert!(!out.exists()),
        }
        let _ = std::fs::remove_file(&out);
    }
    let _ = mend_wav_header(&path);
    assert_eq!(path.metadata().unwrap().len(), bytes.len() as u64);
}
