//! As much of the tar format (POSIX ustar, with pax records for long names and large files) as a backup in one file needs:
//! plain files, written and read from front to back.

use std::io::{self, ErrorKind, Read, Write};

/// Everything in a tar file fills blocks of this size.
const BLOCK: usize = 512;

/// The longest name that stands in the header itself.
const SHORT_NAME: usize = 100;

/// The largest size that stands in the header itself: eleven octal digits.
const SMALL_SIZE: u64 = 0o777_7777_7777;

/// The longest record that is read: a name has some hundred bytes.
const MAX_RECORDS: u64 = 1 << 20;

/// The header of one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its path, with `/`.
    pub path: String,
    /// Bytes that follow.
    pub size: u64,
}

/// Writes the header of a file.
///
/// # Errors
/// The writer's.
pub(super) fn begin(to: &mut impl Write, path: &str, size: u64) -> io::Result<()> {
    let mut records = String::new();
    if path.len() > SHORT_NAME {
        records.push_str(&record("path", path));
    }
    if size > SMALL_SIZE {
        records.push_str(&record("size", &size.to_string()));
    }
    if !records.is_empty() {
        to.write_all(&header("pax", records.len() as u64, b'x'))?;
        to.write_all(records.as_bytes())?;
        end(to, records.len() as u64)?;
    }
    to.write_all(&header(path, size.min(SMALL_SIZE), b'0'))
}

/// Fills the last block of a file of `size` bytes.
///
/// # Errors
/// The writer's.
pub(super) fn end(to: &mut impl Write, size: u64) -> io::Result<()> {
    to.write_all(&[0; BLOCK][..padding(size)])
}

/// Writes the end of the archive.
///
/// # Errors
/// The writer's.
pub(super) fn close(to: &mut impl Write) -> io::Result<()> {
    to.write_all(&[0; 2 * BLOCK])
}

/// Reads the next header; none at the end of the archive.
///
/// # Errors
/// The reader's; `InvalidData` for what is no header of a plain file, `UnexpectedEof` when it is cut off.
pub(super) fn next(from: &mut impl Read) -> io::Result<Option<Entry>> {
    let (mut long_path, mut large) = (None, None);
    loop {
        let mut block = [0; BLOCK];
        from.read_exact(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = octal(&block[148..156])?;
        if sum != u64::from(checksum(&block)) {
            return Err(wrong("a header is damaged"));
        }
        let size = octal(&block[124..136])?;
        match block[156] {
            b'x' => (long_path, large) = records(from, size)?,
            b'0' | 0 => {
                let name = block[..SHORT_NAME].split(|byte| *byte == 0).next().unwrap_or_default();
                let name = std::str::from_utf8(name).map_err(|_| wrong("a name is no text"))?;
                let (path, size) = (long_path.unwrap_or_else(|| name.to_owned()), large.unwrap_or(size));
                return Ok(Some(Entry { path, size }));
            }
            _ => return Err(wrong("it holds something that is no plain file")),
        }
    }
}

/// Passes over what fills the last block of a file of `size` bytes.
///
/// # Errors
/// The reader's.
pub(super) fn skip_end(from: &mut impl Read, size: u64) -> io::Result<()> {
    from.read_exact(&mut [0; BLOCK][..padding(size)])
}

fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    (BLOCK - over) % BLOCK
}

/// One pax record: its own length stands in front of it.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() > rest.to_string().len() {
        length += 1;
    }
    format!("{length} {key}={value}\n")
}

fn records(from: &mut impl Read, size: u64) -> io::Result<(Option<String>, Option<u64>)> {
    if size > MAX_RECORDS {
        return Err(wrong("a record is too long"));
    }
    let mut text = String::new();
    from.take(size).read_to_string(&mut text)?;
    skip_end(from, size)?;
    let (mut path, mut large) = (None, None);
    let mut rest = text.as_str();
    while let Some((length, _)) = rest.split_once(' ') {
        let length: usize = length.parse().map_err(|_| wrong("a record is damaged"))?;
        let one = rest
            .get(..length)
            .and_then(|it| it.strip_suffix('\n'))
            .ok_or_else(|| wrong("a record is damaged"))?;
        let pair = one.split_once(' ').and_then(|(_, it)| it.split_once('='));
        match pair.ok_or_else(|| wrong("a record is damaged"))? {
            ("path", value) => path = Some(value.to_owned()),
            ("size", value) => large = Some(value.parse().map_err(|_| wrong("a record is damaged"))?),
            _ => {}
        }
        rest = &rest[length..];
    }
    Ok((path, large))
}

fn header(path: &str, size: u64, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    // A longer name is in a record; this one is for programs that do not read it.
    let name = &path.as_bytes()[..path.len().min(SHORT_NAME)];
    block[..name.len()].copy_from_slice(name);
    for (from, text) in [
        (100, "0000600\0".to_owned()),
        (108, "0000000\0".to_owned()),
        (116, "0000000\0".to_owned()),
        (124, format!("{size:011o}\0")),
        (136, format!("{:011o}\0", 0)),
        (257, "ustar\u{0}00".to_owned()),
    ] {
        block[from..from + text.len()].copy_from_slice(text.as_bytes());
    }
    block[156] = kind;
    let sum = format!("{:06o}\0 ", checksum(&block));
    block[148..156].copy_from_slice(sum.as_bytes());
    block
}

/// The sum of all bytes, with blanks where it stands itself.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let others = block[..148].iter().chain(&block[156..]).map(|it| u32::from(*it)).sum::<u32>();
    others + 8 * u32::from(b' ')
}

fn octal(field: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(field).unwrap_or_default();
    let text = text.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).map_err(|_| wrong("a header is damaged"))
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (path, text) in files {
            begin(&mut bytes, path, text.len() as u64).unwrap();
            bytes.extend_from_slice(text);
            end(&mut bytes, text.len() as u64).unwrap();
        }
        close(&mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut from = bytes;
        let mut found = Vec::new();
        while let Some(entry) = next(&mut from)? {
            let mut text = vec![0; usize::try_from(entry.size).unwrap()];
            from.read_exact(&mut text)?;
            skip_end(&mut from, entry.size)?;
            found.push((entry.path, text));
        }
        Ok(found)
    }

    #[test]
    fn files_come_out_as_they_went_in_also_under_long_names() {
        let long = format!("plugins/{}/ä.txt", "x".repeat(200));
        let block = [7; 512];
        let files: [(&str, &[u8]); 4] = [("a", b""), ("b/c", b"one"), (&long, b"two"), ("d", &block)];
        let found = read(&archive(&files)).unwrap();
        let wanted: Vec<(String, Vec<u8>)> =
            files.iter().map(|(path, text)| ((*path).to_owned(), text.to_vec())).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn sizes_of_any_length_are_written_and_read() {
        for size in [0, 1, SMALL_SIZE, SMALL_SIZE + 1, u64::MAX] {
            let mut bytes = Vec::new();
            begin(&mut bytes, "large", size).unwrap();
            assert_eq!(next(&mut bytes.as_slice()).unwrap(), Some(Entry { path: "large".into(), size }));
        }
        for length in 1..200 {
            let text = record("path", &"x".repeat(length));
            assert_eq!(text.split_once(' ').unwrap().0, text.len().to_string());
        }
    }

    #[test]
    fn one_that_is_cut_off_or_damaged_is_told() {
        let bytes = archive(&[("a", b"one"), (&"n".repeat(150), b"two")]);
        for at in 0..bytes.len() - 2 * BLOCK {
            assert!(read(&bytes[..at]).is_err(), "cut at {at}");
        }
        for at in 0..SHORT_NAME {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "byte {at}");
        }
    }
}
