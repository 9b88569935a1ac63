//! Sealing: how secret values of plugins' config lie in the database. Each is encrypted and authenticated under a key that lies
//! outside of it (`PANOTTI_SECRET_KEY`, else the key file), and bound to the row it belongs to.

mod file;
mod rotate;
mod seal;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{SECRET_KEY_BYTES, SecretKeys, Settings};
use crate::error::{Code, Error, Result};

use seal::Key;

pub use rotate::{Rotated, rotate};
pub use seal::SealFault;

/// The keys of this server. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    given: SecretKeys,
    file: PathBuf,
    /// Whether the file may be made here: not where the admin has named another one.
    may_make: bool,
    keys: Mutex<Option<Arc<Keys>>>,
}

/// Keys, the one that seals first.
struct Keys {
    keys: Vec<Key>,
    /// Where the first one comes from, in words.
    place: String,
}

impl Keyring {
    /// The keys that the settings name; they are read when the first one is wanted.
    pub fn of(settings: &Settings) -> Self {
        Keyring(Arc::new(Inner {
            given: settings.secret_key.clone(),
            file: settings.secret_key_file.clone(),
            may_make: settings.secret_key_file == settings.data_dir.join(file::NAME),
            keys: Mutex::default(),
        }))
    }

    /// Reads the keys, if there are any; where the one that seals comes from.
    ///
    /// # Errors
    /// The key file cannot be read, is no key file, or was named and is not there.
    pub fn check(&self) -> Result<Option<String>> {
        let keys = self.keys()?;
        Ok(keys.keys.first().map(|it| format!("{} (key {})", keys.place, it.id())))
    }

    /// Seals a text for one row, which `row` names; the first time of all, the key file is made.
    ///
    /// # Errors
    /// The key file cannot be read or made.
    pub fn seal(&self, row: &str, text: &str) -> Result<String> {
        let mut keys = self.keys()?;
        if keys.keys.is_empty() {
            keys = self.make()?;
        }
        let key = keys.keys.first().ok_or_else(|| Error::internal("there is no key"))?;
        key.seal(row, text)
    }

    /// Opens what was sealed for one row.
    ///
    /// # Errors
    /// Why it cannot be opened; nothing of the text is told.
    pub fn open(&self, row: &str, sealed: &str) -> Result<String, SealFault> {
        let keys = self.keys().map_err(|error| SealFault::Unreadable(error.detail))?;
        let id = seal::key_of(sealed).ok_or(SealFault::Changed)?;
        let known = keys.keys.iter().find(|it| it.id() == id);
        match known {
            Some(key) => key.open(row, sealed),
            None => Err(SealFault::OtherKey {
                wanted: id.to_owned(),
                has: keys.keys.first().map(|it| format!("`{}` from {}", it.id(), keys.place)),
                file: self.0.file.display().to_string(),
            }),
        }
    }

    /// Whether something was sealed with the key that seals now.
    pub fn is_current(&self, sealed: &str) -> bool {
        let keys = self.keys();
        keys.is_ok_and(|it| it.keys.first().is_some_and(|key| seal::key_of(sealed) == Some(key.id())))
    }

    fn keys(&self) -> Result<Arc<Keys>> {
        let mut kept = self.0.keys.lock();
        if let Some(keys) = &*kept {
            return Ok(Arc::clone(keys));
        }
        let own = file::read(&self.0.file)?;
        if own.is_none() && !self.0.may_make && self.0.given.is_empty() {
            let path = self.0.file.display();
            return Err(Error::new(Code::Internal, format!("secret_key_file: there is no file {path}")));
        }
        let place = match self.0.given.is_empty() {
            true => self.0.file.display().to_string(),
            false => "PANOTTI_SECRET_KEY".to_owned(),
        };
        let mut keys: Vec<Key> = Vec::new();
        for bytes in self.0.given.iter().chain(own.iter().flat_map(SecretKeys::iter)) {
            let key = Key::new(bytes);
            if !keys.iter().any(|it| it.id() == key.id()) {
                keys.push(key);
            }
        }
        let keys = Arc::new(Keys { keys, place });
        // One that is not there yet may come any moment: it is looked for again.
        if !keys.keys.is_empty() {
            *kept = Some(Arc::clone(&keys));
        }
        Ok(keys)
    }

    fn make(&self) -> Result<Arc<Keys>> {
        let mut kept = self.0.keys.lock();
        // Somebody may have been first.
        if let Some(keys) = &*kept {
            return Ok(Arc::clone(keys));
        }
        let bytes = new_key()?;
        file::write_new(&self.0.file, &bytes)?;
        log::warn!(
            "a key for secret values was made: {}. Backups do not hold it: keep a copy of it apart from them",
            self.0.file.display()
        );
        let keys = Arc::new(Keys { keys: vec![Key::new(&bytes)], place: self.0.file.display().to_string() });
        *kept = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// The key file.
    pub fn file(&self) -> &Path {
        &self.0.file
    }
}

/// A new key as it is written into a variable or a file.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_written_key() -> Result<String> {
    new_key().map(|it| SecretKeys::written(&it))
}

fn new_key() -> Result<[u8; SECRET_KEY_BYTES]> {
    let mut bytes = [0; SECRET_KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
