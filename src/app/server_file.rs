//! `<data_dir>/server.json`: where the running server answers, for the command line.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a running server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFile {
    /// The URL a client on this machine calls, without a path.
    pub url: String,
    /// The process.
    pub pid: u32,
    /// SHA-256 of the certificate it answers HTTPS with, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

impl ServerFile {
    /// Writes the file for this process, whole or not at all.
    ///
    /// # Errors
    /// The data folder cannot be written.
    pub fn write(data_dir: &Path, url: &str, certificate: Option<&str>) -> io::Result<()> {
        let about = Self {
            url: url.to_owned(),
            pid: std::process::id(),
            certificate: certificate.map(str::to_owned),
        };
        let part = data_dir.join("server.json.part");
        std::fs::write(&part, serde_json::to_vec(&about)?)?;
        std::fs::rename(&part, path(data_dir))
    }

    /// Reads the file; none when no server wrote one that can be read.
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path(data_dir)).ok()?).ok()
    }

    /// Removes the file at the stop.
    pub fn remove(data_dir: &Path) {
        if let Err(fault) = std::fs::remove_file(path(data_dir)) {
            log::debug!("server.json was not removed: {fault}");
        }
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("server.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_until_it_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        ServerFile::write(folder.path(), "http://127.0.0.1:8000", None).expect("written");
        let read = ServerFile::read(folder.path()).expect("there");
        assert_eq!((read.url.as_str(), read.pid), ("http://127.0.0.1:8000", std::process::id()));
        ServerFile::remove(folder.path());
        assert_eq!(ServerFile::read(folder.path()), None);
    }
}
