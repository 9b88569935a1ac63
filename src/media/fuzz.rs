//! Whatever bytes are sent as audio: an answer within bounds.

use std::io::Cursor;
use std::time::{Duration, Instant};

use crate::fuzz;

use super::wav::Wav;
use super::{MediaError, probe, samples};

const WORDS: &[&str] = &[
    "RIFF", "RF64", "BW64", "WAVE", "fmt ", "data", "ds64", "JUNK", "LIST", "\u{1}\0", "\u{3}\0", "\0\0\0\0",
    "fLaC", "OggS", "ID3\u{4}", "ftypM4A ", "moov", "mdat",
];

#[test]
fn wav_headers() {
    fuzz::run("wav", WORDS, |input| {
        let total = input.len() as u64;
        let Ok(Some(wav)) = Wav::parse(&mut Cursor::new(input), total) else { return };
        assert!(wav.data_start <= total && wav.data_start + wav.data_bytes() <= total);
        assert!(wav.format.channels > 0 && wav.format.rate > 0 && wav.format.frame_bytes() > 0);
    });
}

#[test]
fn uploads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upload");
    fuzz::run("upload", WORDS, |input| {
        let began = Instant::now();
        std::fs::write(&path, input).unwrap();
        if let Ok(found) = probe(&path, None) {
            assert!(found.duration_s.is_finite() && found.sample_rate > 0 && found.channels > 0);
        }
        match samples(&path, None, Some(8000), 0.0, Some(0.5), 4000) {
            Ok(found) => assert!(found.bytes.len() <= 16_000 && found.bytes.len() % 4 == 0),
            Err(MediaError::TooLong { .. }) => panic!("half a second is never too long"),
            Err(_) => {}
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    });
}
