//! Content hashes of files, read as a stream.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::source::Limited;

/// The SHA-256 of a file's first `len` bytes (`None`: all of it) as 64 lower-case hex digits.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_file(path: &Path, len: Option<u64>) -> io::Result<String> {
    let mut source = Limited::open(path, &len.into())?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        match source.read(&mut block) {
            Ok(0) => break,
            Ok(got) => hash.update(&block[..got]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_abc_is_the_published_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"abcdef").unwrap();
        assert_eq!(
            sha256_file(&path, Some(3)).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
