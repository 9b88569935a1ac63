//! What a media file is called and how it is served, by its first bytes.

/// The most bytes [`sniff`] looks at.
pub const SNIFF_BYTES: usize = 16;

/// The ending for a file that begins with `head`: by what it is, else by what the client called it.
pub fn sniff(head: &[u8], declared: Option<&str>) -> &'static str {
    let at = |from: usize, wanted: &[u8]| head.get(from..from + wanted.len()) == Some(wanted);
    if (at(0, b"RIFF") || at(0, b"RF64") || at(0, b"BW64")) && (head.len() < 12 || at(8, b"WAVE")) {
        return "wav";
    }
    if at(0, b"fLaC") {
        return "flac";
    }
    if at(0, b"OggS") {
        return "ogg";
    }
    if at(4, b"ftyp") {
        return "m4a";
    }
    if at(0, &[0x1A, 0x45, 0xDF, 0xA3]) {
        return "mka";
    }
    match head {
        [0xFF, second, ..] if second & 0xF6 == 0xF0 => return "aac",
        [0xFF, second, ..] if second & 0xE0 == 0xE0 => return "mp3",
        [b'I', b'D', b'3', ..] => return "mp3",
        _ => {}
    }
    let declared = declared.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    KINDS.iter().find(|(_, kind)| kind.eq_ignore_ascii_case(declared)).map_or("bin", |(ext, _)| ext)
}

/// Endings and the content types they are served as; the first row of an ending is its own.
const KINDS: &[(&str, &str)] = &[
    ("wav", "audio/wav"),
    ("wav", "audio/x-wav"),
    ("wav", "audio/vnd.wave"),
    ("wav", "audio/wave"),
    ("flac", "audio/flac"),
    ("flac", "audio/x-flac"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("ogg", "application/ogg"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("mka", "audio/x-matroska"),
    ("mp4", "video/mp4"),
    ("mkv", "video/x-matroska"),
    ("webm", "video/webm"),
    ("webm", "audio/webm"),
];

/// The content type of a file by its ending.
pub fn content_type(path: &str) -> &'static str {
    let ext = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ext)| ext);
    KINDS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(ext))
        .map_or("application/octet-stream", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_before_the_client_does() {
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVEfmt ", Some("audio/flac")), "wav");
        assert_eq!(sniff(b"fLaC", None), "flac");
        assert_eq!(sniff(b"\0\0\0\x20ftypM4A ", None), "m4a");
        assert_eq!(sniff(&[0xFF, 0xFB, 0x90], None), "mp3");
        assert_eq!(sniff(&[0xFF, 0xF1, 0x50], None), "aac");
        assert_eq!(sniff(b"nonsense", Some("audio/ogg; codecs=opus")), "ogg");
        assert_eq!(sniff(b"", None), "bin");
    }

    #[test]
    fn a_file_is_served_by_its_ending() {
        assert_eq!(content_type("recordings/a.b/system.2.WAV"), "audio/wav");
        assert_eq!(content_type("recordings/a.flac/system"), "application/octet-stream");
    }
}
