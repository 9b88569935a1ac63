//! A plugin's folder as files: listed, read, changed all at once or not at all. Every path is opened inside the
//! folder by cap-std, none through a linked folder.

mod apply;
mod overlay;
mod path;
mod plan;
mod sweep;
mod tree;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::time::Timestamp;

pub use self::apply::{Undo, apply};
pub use self::overlay::{EXTRA_MAX_BYTES, overlay, would_be};
pub use self::path::{Kind, PathFault, check, inside};
pub use self::sweep::{STAGE_PREFIX, folders, sweep, sweep_root};

/// One file of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SourceFile {
    /// Its path in the plugin's folder, with `/`.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// BLAKE3 of its content, hexadecimal.
    pub hash: String,
    /// What If-Match takes.
    pub etag: String,
    /// When it was last written (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub modified_at: Option<Timestamp>,
    /// What it is to the plugin.
    pub kind: Kind,
}

/// The hash of a file's content: BLAKE3, hexadecimal.
pub fn hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

/// The ETag of a file with this hash.
pub fn etag(hash: &str) -> String {
    format!("\"{hash}\"")
}

/// The files of a plugin by path.
///
/// # Errors
/// The folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<SourceFile>> {
    let dir = tree::open(folder)?;
    let files = tree::walk(&dir)?.into_iter().map(|it| {
        let hash = hash(&it.content);
        SourceFile {
            etag: etag(&hash),
            hash,
            size: it.content.len() as u64,
            modified_at: it.modified_at,
            kind: it.kind,
            path: it.path,
        }
    });
    Ok(files.collect())
}

/// The content of all files of a plugin by path.
///
/// # Errors
/// The folder cannot be read.
pub fn read_all(folder: &Path) -> Result<BTreeMap<String, Arc<[u8]>>> {
    let dir = tree::open(folder)?;
    Ok(tree::walk(&dir)?.into_iter().map(|it| (it.path, it.content)).collect())
}

/// The content of one file; none when there is no such file.
///
/// # Errors
/// The path is none of a plugin's, or the file cannot be read.
pub fn read(folder: &Path, path: &str) -> Result<Option<Arc<[u8]>>> {
    inside(path)?;
    if Kind::of(path).is_none() {
        check(path)?;
    }
    let dir = tree::open(folder)?;
    tree::read(&dir, path).map_err(|fault| io_error(path, fault))
}

/// What the disk says of a path in a plugin's folder, as an error of the product.
pub fn io_error(path: &str, fault: std::io::Error) -> Error {
    use std::io::ErrorKind::{
        DirectoryNotEmpty, IsADirectory, NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem,
        StorageFull,
    };
    let shown = path.escape_debug();
    let (code, detail, hint) = match fault.kind() {
        StorageFull | QuotaExceeded => {
            let mut full =
                Error::new(Code::DiskFull, "There is no room on the disk for this; nothing was changed.");
            full.retry_after = Some(60);
            full.source = Some(fault.into());
            return full;
        }
        PermissionDenied | ReadOnlyFilesystem => (
            Code::Conflict,
            format!("The server may not change `{shown}` in the plugin's folder: {fault}."),
            "Give the user that the server runs as the right to write there.",
        ),
        IsADirectory | NotADirectory | DirectoryNotEmpty => (
            Code::Conflict,
            format!(
                "A folder stands where `{shown}` needs a file, or a file where it needs a folder: {fault}."
            ),
            "Move what stands in the way, or use another path.",
        ),
        _ => return Error::internal(fault),
    };
    Error::new(code, detail).with_hint(hint)
}

#[cfg(test)]
mod tests;
