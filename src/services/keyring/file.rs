//! The key file: its owner alone may read it, and it is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use crate::config::{SECRET_KEY_BYTES, SecretKeys};
use crate::error::{Code, Error, Result};

/// What it is called in the data folder.
pub(super) const NAME: &str = "secret.key";

/// A key file has a line or two; what is much larger is something else.
const MOST_BYTES: u64 = 64 * 1024;

const HEAD: &str = "# Secret values of plugins' config are sealed with this key, and cannot be read without it.\n\
                    # No backup holds it: keep a copy apart from them.\n";

/// The keys in a file; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<SecretKeys>> {
    let mut text = String::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| told(path, "cannot be read", &error))?,
    };
    warn_of_readers(path, &file);
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| told(path, "cannot be read", &error))?;
    let keys = SecretKeys::parse(&text).map_err(|why| {
        Error::new(Code::Internal, format!("the key file {} is wrong: it {why}", path.display()))
    })?;
    match keys.is_empty() {
        true => Err(Error::new(Code::Internal, format!("the key file {} holds no key", path.display()))),
        false => Ok(Some(keys)),
    }
}

/// Makes the file with one key; one that is there already stays, and that is an error.
pub(super) fn write_new(path: &Path, key: &[u8; SECRET_KEY_BYTES]) -> Result<()> {
    let part = part_of(path);
    write_part(&part, &[*key])?;
    // Never over a key that somebody has put there meanwhile.
    let linked = fs::hard_link(&part, path);
    let _ = fs::remove_file(&part);
    linked.map_err(|error| told(path, "cannot be made", &error))?;
    sync_folder(path);
    Ok(())
}

/// Puts these keys in the place of those in the file.
pub(super) fn replace(path: &Path, keys: &[[u8; SECRET_KEY_BYTES]]) -> Result<()> {
    let part = part_of(path);
    write_part(&part, keys)?;
    fs::rename(&part, path).map_err(|error| told(path, "cannot be written", &error))?;
    sync_folder(path);
    Ok(())
}

fn part_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn write_part(part: &Path, keys: &[[u8; SECRET_KEY_BYTES]]) -> Result<()> {
    let failed = |error: std::io::Error| told(part, "cannot be written", &error);
    match fs::remove_file(part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(part).map_err(failed)?;
    let lines: Vec<String> = keys.iter().map(SecretKeys::written).collect();
    file.write_all(format!("{HEAD}{}\n", lines.join("\n")).as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Err(error) = File::open(folder).and_then(|it| it.sync_all()) {
        log::warn!("{}: its folder could not be synced: {error}", path.display());
    }
}

#[cfg(unix)]
fn warn_of_readers(path: &Path, file: &File) {
    use std::os::unix::fs::PermissionsExt;
    if file.metadata().is_ok_and(|it| it.permissions().mode() & 0o077 != 0) {
        log::warn!("the key file {} can be read by others: chmod 600 it", path.display());
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_path: &Path, _file: &File) {}

fn told(path: &Path, what: &str, error: &std::io::Error) -> Error {
    Error::new(Code::Internal, format!("the key file {} {what}: {error}", path.display()))
}
