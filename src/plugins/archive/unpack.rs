//! Taking a zip file apart: every entry checked before a byte of it is unpacked, every byte counted while it is.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{Code, Error, Result};
use crate::plugins::discovery::{FILE_MAX_BYTES, MAX_FILES, PLUGIN_MAX_BYTES};
use crate::plugins::sources::{self, EXTRA_MAX_BYTES};

use super::{ARCHIVE_MAX_BYTES, Ignored, Unpacked};

/// Entries a zip file may have: files, folders and what is left out.
const MAX_ENTRIES: usize = 2 * MAX_FILES;
/// Bytes that are unpacked of all entries together.
const TOTAL_MAX_BYTES: u64 = PLUGIN_MAX_BYTES + EXTRA_MAX_BYTES;
/// How a zip file's last record begins.
const END_OF_ARCHIVE: &[u8] = b"PK\x05\x06";
/// Which bits of a mode tell what an entry is.
const KIND: u32 = 0o170_000;
/// What plain files have there.
const PLAIN: u32 = 0o100_000;
/// What folders have there.
const FOLDER: u32 = 0o040_000;

/// Takes a zip file apart.
///
/// # Errors
/// 422 when it is no zip file, or one with links, encrypted entries, paths that lead out, or the same name twice;
/// [`Code::TooLarge`] past a limit.
pub fn unpack(bytes: &[u8]) -> Result<Unpacked> {
    if bytes.len() as u64 > ARCHIVE_MAX_BYTES {
        return Err(too_large(format!(
            "The zip file has {} bytes; it may have {ARCHIVE_MAX_BYTES}.",
            bytes.len()
        )));
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    if zip.len() > MAX_ENTRIES {
        return Err(too_large(format!("The zip file has {} entries; it may have {MAX_ENTRIES}.", zip.len())));
    }
    if counted(bytes) != Some(zip.len()) {
        return Err(wrong("The zip file has the same name twice, or does not say how many entries it has."));
    }
    let mut found = Vec::new();
    for index in 0..zip.len() {
        if let Some(path) = entry_path(&mut zip, index)? {
            found.push((index, path));
        }
    }
    let folder = common_folder(&found);
    let cut = folder.as_ref().map_or(0, |it| it.len() + 1);
    let (mut files, mut ignored, mut total) = (BTreeMap::<String, Arc<[u8]>>::new(), Vec::new(), 0);
    for (index, whole) in &found {
        let path = &whole[cut..];
        if let Err(fault) = sources::check(path) {
            ignored.push(Ignored { path: whole.clone(), reason: fault.reason });
            continue;
        }
        let content = content(&mut zip, *index, whole, &mut total)?;
        files.insert(path.to_owned(), content.into());
    }
    Ok(Unpacked { files, folder, ignored })
}

/// The path of an entry, when it is a file and stays where it is unpacked.
fn entry_path(zip: &mut ZipArchive<Cursor<&[u8]>>, index: usize) -> Result<Option<String>> {
    let entry = zip.by_index_raw(index).map_err(unreadable)?;
    let Ok(name) = std::str::from_utf8(entry.name_raw()) else {
        return Err(wrong(format!("The name of entry {index} of the zip file is not UTF-8.")));
    };
    let shown: String = name.chars().take(120).flat_map(char::escape_debug).collect();
    // What leads elsewhere was made to do harm: nothing of such a file is taken.
    let leads_out = name.starts_with('/')
        || name.contains(['\\', '\0'])
        || name.split('/').any(|it| it == "..")
        || name.as_bytes().get(1) == Some(&b':');
    if leads_out {
        return Err(wrong(format!("The entry `{shown}` of the zip file leads out of the plugin's folder.")));
    }
    if entry.encrypted() {
        return Err(wrong(format!("The entry `{shown}` of the zip file is encrypted.")));
    }
    let kind = entry.unix_mode().unwrap_or(0) & KIND;
    if entry.is_symlink() || ![0, PLAIN, FOLDER].contains(&kind) {
        return Err(wrong(format!("The entry `{shown}` of the zip file is a link or no plain file.")));
    }
    let is_file = !entry.is_dir() && kind != FOLDER;
    Ok(is_file.then(|| name.to_owned()))
}

fn content(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    path: &str,
    total: &mut u64,
) -> Result<Vec<u8>> {
    let shown = path.escape_debug();
    let entry = zip.by_index(index).map_err(unreadable)?;
    let mut content = Vec::new();
    // The size that the entry says it has is not believed.
    let read = entry.take(FILE_MAX_BYTES + 1).read_to_end(&mut content);
    read.map_err(|fault| wrong(format!("The entry `{shown}` of the zip file is damaged: {fault}.")))?;
    if content.len() as u64 > FILE_MAX_BYTES {
        return Err(too_large(format!(
            "`{shown}` is larger than {FILE_MAX_BYTES} bytes when unpacked, which a file of a plugin may have."
        )));
    }
    *total += content.len() as u64;
    if *total > TOTAL_MAX_BYTES {
        return Err(too_large(format!(
            "The zip file holds more than {TOTAL_MAX_BYTES} bytes when unpacked, which the files of a plugin may have."
        )));
    }
    Ok(content)
}

/// The folder that all files lie in, when there is one.
fn common_folder(found: &[(usize, String)]) -> Option<String> {
    // What a desktop adds beside the folder is passed over.
    let mut own = found.iter().map(|it| it.1.as_str()).filter(|it| !it.starts_with("__MACOSX/"));
    let (first, _) = own.next()?.split_once('/')?;
    if first == "." || first.is_empty() {
        return None;
    }
    own.all(|it| it.split_once('/').is_some_and(|(folder, _)| folder == first)).then(|| first.to_owned())
}

/// How many entries the zip file says it has.
fn counted(bytes: &[u8]) -> Option<usize> {
    let at = memchr::memmem::rfind(bytes, END_OF_ARCHIVE)?;
    let count = bytes.get(at + 10..at + 12)?;
    Some(usize::from(u16::from_le_bytes([count[0], count[1]])))
}

fn unreadable(fault: ZipError) -> Error {
    wrong(format!("The zip file cannot be read: {fault}."))
}

fn wrong(detail: impl Into<String>) -> Error {
    Error::new(Code::Invalid, detail)
        .with_hint("Send a plain zip file of the plugin's folder, with its files stored or deflated.")
}

fn too_large(detail: String) -> Error {
    Error::new(Code::TooLarge, detail)
        .with_hint("These limits are part of the server; data belongs outside the plugin's sources.")
}
