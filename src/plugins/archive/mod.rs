//! A plugin as one zip file: packed, and unpacked with nothing believed of what the file says of itself.

mod unpack;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;
use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

use crate::error::{Error, Result};

pub use self::unpack::unpack;

/// Bytes a zip file may have.
pub const ARCHIVE_MAX_BYTES: u64 = 4 << 20;

/// What a zip file held.
#[derive(Debug, Clone, Default)]
pub struct Unpacked {
    /// The plugin's files by path, without the one folder that all of them lay in.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// The folder that all of them lay in.
    pub folder: Option<String>,
    /// What is no part of a plugin and was left out.
    pub ignored: Vec<Ignored>,
}

/// An entry of a zip file that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ignored {
    /// Its path.
    pub path: String,
    /// Why it is no part of a plugin.
    pub reason: String,
}

/// Packs files below a folder of the plugin's name. The same files give the same bytes.
///
/// # Errors
/// None that can happen to files of a plugin.
pub fn pack(name: &str, files: &BTreeMap<String, Arc<[u8]>>) -> Result<Vec<u8>> {
    let options =
        SimpleFileOptions::default().last_modified_time(DateTime::default()).unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        zip.start_file(format!("{name}/{path}"), options).map_err(Error::internal)?;
        zip.write_all(content).map_err(Error::internal)?;
    }
    Ok(zip.finish().map_err(Error::internal)?.into_inner())
}

#[cfg(test)]
mod tests;
