//! WAV: every sample format, unknown lengths, sample-exact cuts.

use super::super::{CutRange, MediaError, cut, mend_wav_header, peaks, probe};
use super::{between, folder, header, samples, sine, triangles, write_float, write_wav};

#[test]
fn every_integer_width_is_probed_and_cut_to_exactly_the_frames_asked_for() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    for (bits, shift) in [(8, 7), (16, 0), (24, 0), (32, 0)] {
        let all: Vec<i32> = triangles(100).iter().map(|s| s >> shift).collect();
        write_wav(&path, 8000, 2, bits, &all);
        let found = probe(&path, None).unwrap();
        assert_eq!((found.frames, found.sample_rate, found.channels), (8000, 8000, 2));
        assert_eq!((found.container.as_str(), found.bits_per_sample), ("wave", Some(u32::from(bits))));
        assert_eq!(found.duration_s, 1.0);
        // 0.25 s is frame 2000; 0.50006 s is frame 4000.48 and rounds down.
        let made = between(&path, 0.25, 0.50006, &out).unwrap();
        assert_eq!((made.frames, made.start_s, made.end_s), (2000, 0.25, 0.5));
        assert_eq!(made.bytes, out.metadata().unwrap().len());
        assert_eq!(samples(&out), all[4000..8000], "{bits} bits");
    }
}

#[test]
fn a_float_wav_is_copied_bit_by_bit() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    let all = sine(8000, 440.0, 1.0, 1.5);
    write_float(&path, 8000, 1, &all);
    assert_eq!(probe(&path, None).unwrap().codec, "pcm_f32le");
    cut(&path, None, CutRange::Last { seconds: 0.1 }, &out).unwrap();
    let cut: Vec<f32> = hound::WavReader::open(&out).unwrap().samples::<f32>().map(Result::unwrap).collect();
    assert_eq!(cut, all[7200..]);
}

#[test]
fn a_header_of_unknown_length_means_what_is_there_in_whole_frames() {
    let dir = folder();
    let path = dir.path().join("live.wav");
    let unknown = [(0, 0), (36, 0), (u32::MAX, u32::MAX), (0x7FFF_FFFF, 0x7FFF_FFDB), (0, 4_000_000)];
    for (riff, data) in unknown {
        let mut bytes = header(riff, data);
        // 1000 frames and half a one.
        bytes.extend((0..1000i16).flat_map(i16::to_le_bytes));
        bytes.push(7);
        std::fs::write(&path, &bytes).unwrap();
        let found = probe(&path, None).unwrap();
        assert_eq!((found.frames, found.duration_s), (1000, 0.125), "sizes {riff} {data}");
        assert!(mend_wav_header(&path).unwrap());
        assert_eq!(samples(&path), (0..1000).collect::<Vec<_>>());
        let mended = std::fs::read(&path).unwrap();
        assert_eq!(mended[4..8], (36u32 + 2000).to_le_bytes());
        assert_eq!(mended.len(), bytes.len());
        assert_eq!(probe(&path, None).unwrap().frames, 1000);
    }
}

#[test]
fn a_wav_cut_off_in_the_middle_is_read_up_to_its_last_whole_frame() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    let all = triangles(100);
    write_wav(&path, 8000, 2, 16, &all);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(44 + 4 * 5000 + 3).unwrap();
    assert_eq!(probe(&path, None).unwrap().frames, 5000);
    let made = cut(&path, None, CutRange::Last { seconds: 0.5 }, &out).unwrap();
    assert_eq!((made.start_s, made.end_s), (0.125, 0.625));
    assert_eq!(samples(&out), all[2000..10_000]);
}

#[test]
fn chunks_around_the_audio_are_not_audio() {
    let dir = folder();
    let path = dir.path().join("in.wav");
    let mut bytes = header(0, 2000);
    bytes.extend((0..1000i16).flat_map(i16::to_le_bytes));
    bytes.extend(b"LIST\x04\0\0\0INFO");
    // A chunk of odd size before the format, with its pad byte.
    bytes.splice(12..12, b"bext\x03\0\0\0abc\0".iter().copied());
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(probe(&path, None).unwrap().frames, 1000);
    assert!(!mend_wav_header(&path).unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    // A finished file without a sample stays empty whatever follows.
    let mut empty = header(48, 0);
    empty.extend(b"LIST\x04\0\0\0INFO");
    std::fs::write(&path, &empty).unwrap();
    assert_eq!(probe(&path, None).unwrap().frames, 0);
    assert_eq!(peaks(&path, None, 10).unwrap(), []);
}

#[test]
fn a_passage_beyond_the_end_is_refused_and_one_across_it_clipped() {
    let dir = folder();
    let (path, out) = (dir.path().join("in.wav"), dir.path().join("out.wav"));
    write_wav(&path, 8000, 2, 16, &triangles(100));
    let beyond = between(&path, 1.0, 2.0, &out).unwrap_err();
    assert!(matches!(beyond, MediaError::OutOfRange { duration_s: 1.0, .. }), "{beyond}");
    for (start, end) in [(-1.0, 1.0), (0.5, 0.5), (0.5, 0.2), (f64::NAN, 1.0), (0.0, f64::INFINITY)] {
        let wrong = between(&path, start, end, &out).unwrap_err();
        assert!(matches!(wrong, MediaError::BadRange { .. }), "{start} {end}: {wrong}");
    }
    assert!(!out.exists());
    assert_eq!(between(&path, 0.75, 1e300, &out).unwrap().frames, 2000);
    let whole = cut(&path, None, CutRange::Last { seconds: 99.0 }, &out).unwrap();
    assert_eq!((whole.frames, whole.start_s), (8000, 0.0));
}
