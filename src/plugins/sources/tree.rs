//! Looking into a plugin's folder by the rules of discovery: hidden names and linked folders are passed over.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirEntry};

use crate::error::{Code, Error, Result};
use crate::model::time::Timestamp;
use crate::plugins::discovery::{MAX_DEPTH, MAX_FILES};

use super::path::Kind;

/// Bytes of the largest file that is looked at: one too large to run is still shown, to be mended.
const READ_MAX_BYTES: u64 = 4 << 20;

/// A file that was found.
pub(super) struct Found {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) content: Arc<[u8]>,
    pub(super) modified_at: Option<Timestamp>,
}

/// The folder of a plugin, opened through the one it lies in: a link that leads out of that one is refused.
pub(super) fn open(folder: &Path) -> Result<Dir> {
    let opened = match (folder.parent(), folder.file_name()) {
        (Some(root), Some(name)) => {
            Dir::open_ambient_dir(root, ambient_authority()).and_then(|it| it.open_dir(name))
        }
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    };
    opened.map_err(|fault| match fault.kind() {
        io::ErrorKind::NotFound => Error::new(Code::Conflict, "The plugin's folder is gone.")
            .with_hint("Put it back into a plugin directory, or upload the plugin again."),
        io::ErrorKind::PermissionDenied if folder.is_symlink() => Error::new(
            Code::Conflict,
            "The plugin's folder is a link that leads out of the plugin directory.",
        )
        .with_hint("Move the folder itself into the plugin directory."),
        _ => super::io_error("", fault),
    })
}

/// Every file that is part of the plugin, by path.
pub(super) fn walk(dir: &Dir) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    descend(dir, "", 0, &mut found).map_err(|fault| super::io_error("", fault))?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn descend(dir: &Dir, prefix: &str, depth: usize, found: &mut Vec<Found>) -> io::Result<()> {
    let mut entries = dir.entries()?.collect::<io::Result<Vec<DirEntry>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().filter(|it| !it.starts_with('.')) else { continue };
        let path = format!("{prefix}{name}");
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if depth < MAX_DEPTH
                && let Ok(inner) = dir.open_dir(name)
            {
                descend(&inner, &format!("{path}/"), depth + 1, found)?;
            }
        } else if let Some(kind) = Kind::of(&path)
            && found.len() < MAX_FILES
            && let Ok(Some((content, modified_at))) = content(dir, name)
        {
            found.push(Found { path, kind, content, modified_at });
        }
    }
    Ok(())
}

/// The content of one file of the folder; none when no plain file is there.
pub(super) fn read(dir: &Dir, path: &str) -> io::Result<Option<Arc<[u8]>>> {
    let Some((folder, name)) = parent(dir, path)? else { return Ok(None) };
    Ok(content(&folder, name)?.map(|it| it.0))
}

/// The folder a path lies in and its last part; none when that folder is not there, or is a link.
pub(super) fn parent<'a>(dir: &Dir, path: &'a str) -> io::Result<Option<(Dir, &'a str)>> {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut at = dir.try_clone()?;
    for part in folders.split('/').filter(|it| !it.is_empty()) {
        match at.symlink_metadata(part) {
            Ok(kind) if kind.is_dir() => at = at.open_dir(part)?,
            Ok(_) => return Ok(None),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault),
        }
    }
    Ok(Some((at, name)))
}

type Content = (Arc<[u8]>, Option<Timestamp>);

/// What is no plain file, or far too large, is none of the plugin's.
fn content(dir: &Dir, name: &str) -> io::Result<Option<Content>> {
    let kind = match dir.metadata(name) {
        Ok(kind) => kind,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault),
    };
    if !kind.is_file() || kind.len() > READ_MAX_BYTES {
        return Ok(None);
    }
    let mut content = Vec::new();
    dir.open(name)?.take(READ_MAX_BYTES).read_to_end(&mut content)?;
    let since = kind.modified().ok().and_then(|it| it.into_std().duration_since(SystemTime::UNIX_EPOCH).ok());
    let modified_at = since.and_then(|it| i64::try_from(it.as_micros()).ok()).map(Timestamp);
    Ok(Some((content.into(), modified_at)))
}
