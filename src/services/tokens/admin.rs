//! The first key, made when there is none that may do everything.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::Result;
use crate::model::token::Scope;
use crate::services::files::{io_error, sync_folder};
use crate::services::{Services, audit};
use crate::store::Tx;

use super::{draft, store};

/// Where the first key lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKey {
    /// The file.
    pub path: PathBuf,
    /// It was made just now.
    pub created: bool,
}

/// Makes a key that may do everything and writes it to `path` (0600), unless there is such a key already.
///
/// # Errors
/// The store's, and when the file cannot be written.
pub async fn ensure_admin_token(services: &Services, path: &Path) -> Result<AdminKey> {
    let now = services.now();
    let usable = services.store.read(|r| r.list_tokens())?.into_iter().any(|it| {
        it.allows(Scope::Admin) && it.revoked_at.is_none() && it.expires_at.is_none_or(|at| at > now)
    });
    let wanted = wanted_file(path);
    if usable && !wanted.exists() {
        return Ok(AdminKey { path: path.to_owned(), created: false });
    }
    if wanted.exists() {
        note_restored(services).await?;
    }
    let made = draft(services, "admin".to_owned(), vec![Scope::Admin], None)?;
    // The file first: a row whose secret nobody knows would lock everybody out.
    write_secret(path, &made.key).map_err(io_error)?;
    store(services, "server", made).await?;
    if let Err(error) = std::fs::remove_file(&wanted)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(io_error(error));
    }
    Ok(AdminKey { path: path.to_owned(), created: true })
}

/// A folder that was restored tells so once: the command line had no server to tell it to.
async fn note_restored(services: &Services) -> Result<()> {
    let now = services.now();
    let note = move |tx: &mut Tx| audit::note(tx, now, "server", "backup.restored", None, json!({}));
    services.store.write(note).await
}

/// Whether this file lies beside the key file decides that the next start writes a new key although there is one: a
/// restored database knows keys whose secrets nobody on this machine may have.
pub fn wanted_file(path: &Path) -> PathBuf {
    path.with_extension("token.wanted")
}

/// Writes a key to a file that only its owner reads, whole or not at all.
pub(super) fn write_secret(path: &Path, key: &str) -> std::io::Result<()> {
    let part = path.with_extension("token.part");
    if let Err(error) = std::fs::remove_file(&part)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    writeln!(file, "{key}")?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    sync_folder(path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}
