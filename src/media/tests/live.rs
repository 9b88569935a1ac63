//! Files that grow while they are read, and files of several GB.

use std::fs::OpenOptions;
use std::io::Write;

use super::super::{CutRange, MediaError, cut, mend_wav_header, probe, sha256_file};
use super::{between, folder, header, samples};

#[test]
fn the_last_seconds_of_a_growing_file_count_from_the_acknowledged_byte() {
    let dir = folder();
    let (path, out) = (dir.path().join("live.wav"), dir.path().join("out.wav"));
    std::fs::write(&path, header(0, 0)).unwrap();
    let early = cut(&path, None, CutRange::Last { seconds: 1.0 }, &out).unwrap_err();
    assert!(matches!(early, MediaError::OutOfRange { .. }), "{early}");
    for second in 0..3i16 {
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        let frames = (0..8000).map(|i| second * 8000 + i);
        file.write_all(&frames.flat_map(i16::to_le_bytes).collect::<Vec<_>>()).unwrap();
        // What came after the acknowledged length is not there yet.
        let acknowledged = 44 + u64::try_from(second).unwrap() * 16_000 + 9001;
        let made = cut(&path, Some(acknowledged), CutRange::Last { seconds: 0.5 }, &out).unwrap();
        let end = i32::from(second) * 8000 + 4500;
        assert_eq!(samples(&out), (end - 4000..end).collect::<Vec<_>>());
        assert_eq!(made.end_s, f64::from(end) / 8000.0);
        assert_eq!(probe(&path, Some(acknowledged)).unwrap().frames, end as u64);
    }
}

#[test]
fn a_sparse_wav_of_three_gigabytes_is_probed_and_cut_at_its_end() {
    let dir = folder();
    let (path, out) = (dir.path().join("huge.wav"), dir.path().join("out.wav"));
    std::fs::write(&path, header(u32::MAX, u32::MAX)).unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.set_len(44 + 3 * 1024 * 1024 * 1024).unwrap();
    file.write_all(&(0..8000i16).flat_map(i16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let frames = 3 * 512 * 1024 * 1024 + 8000;
    assert_eq!(probe(&path, None).unwrap().frames, frames);
    let made = cut(&path, None, CutRange::Last { seconds: 0.5 }, &out).unwrap();
    assert_eq!(made.frames, 4000);
    assert_eq!(samples(&out), (4000..8000).collect::<Vec<_>>());
    // 0.25 s before the written second there is silence.
    let start_s = (frames - 10_000) as f64 / 8000.0;
    between(&path, start_s, start_s + 0.5, &out).unwrap();
    let expected: Vec<i32> = std::iter::repeat_n(0, 2000).chain(0..2000).collect();
    assert_eq!(samples(&out), expected);
}

#[test]
fn above_four_gigabytes_a_mended_wav_becomes_rf64_where_there_is_room() {
    let dir = folder();
    let path = dir.path().join("huge.wav");
    for room in [true, false] {
        let mut head = header(0, 0);
        if room {
            let mut junk = b"JUNK\x1c\0\0\0".to_vec();
            junk.extend([0; 28]);
            head.splice(12..12, junk);
        }
        std::fs::write(&path, &head).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(head.len() as u64 + 5_000_000_001).unwrap();
        assert!(mend_wav_header(&path).unwrap());
        assert_eq!(probe(&path, None).unwrap().frames, 2_500_000_000);
        // A tail after the audio tells whether the sizes are known now.
        file.set_len(head.len() as u64 + 5_000_000_101).unwrap();
        let known = probe(&path, None).unwrap().frames == 2_500_000_000;
        assert_eq!(known, room);
    }
}

#[test]
fn a_live_file_hashes_as_far_as_it_is_acknowledged() {
    let dir = folder();
    let path = dir.path().join("f");
    std::fs::write(&path, b"abc").unwrap();
    let whole = sha256_file(&path, None).unwrap();
    std::fs::write(&path, b"abcdef").unwrap();
    assert_eq!(sha256_file(&path, Some(3)).unwrap(), whole);
    assert_ne!(sha256_file(&path, None).unwrap(), whole);
}
