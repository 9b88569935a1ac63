//! Requests as bytes, and where an answer ends: as much of HTTP/1.1 as the servers measured here speak.

use memchr::memmem;

/// What stands in an answer.
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// Whether it has `Retry-After`.
    pub retry_after: bool,
    /// What follows the head, as it was sent.
    pub body: &'a [u8],
}

/// A whole request with its headers in lines that end with CRLF.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let content = match body.is_empty() && method == "GET" {
        true => String::new(),
        false => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Bench: 1\r\n{headers}{content}\r\n{body}")
        .into_bytes()
}

/// The answer at the head of `bytes` and its length, when all of it has come.
pub fn answer(bytes: &[u8]) -> Option<(Answer<'_>, usize)> {
    let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    let (mut length, mut chunked, mut retry_after) = (0, false, false);
    for line in bytes[..head].split(|it| *it == b'\n') {
        match line.first() {
            Some(b'c' | b'C') => length = value(line, b"content-length:").and_then(number).unwrap_or(length),
            Some(b't' | b'T') => chunked |= value(line, b"transfer-encoding:").is_some(),
            Some(b'r' | b'R') => retry_after |= value(line, b"retry-after:").is_some(),
            _ => {}
        }
    }
    let end = match chunked {
        true => head + chunks(&bytes[head..])?,
        false => head + length,
    };
    Some((Answer { status, retry_after, body: bytes.get(head..end)? }, end))
}

/// Length of a body in chunks, when all of it has come.
fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = memmem::find(&bytes[at..], b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).ok()?.trim(), 16).ok()?;
        at += line + 2 + size + 2;
        if at > bytes.len() {
            return None;
        }
        if size == 0 {
            return Some(at);
        }
    }
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (here, value) = line.split_at_checked(name.len())?;
    here.eq_ignore_ascii_case(name).then_some(value)
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}
