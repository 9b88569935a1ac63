//! A new key in the place of the one in the key file, while no server runs.

use std::path::PathBuf;

use crate::config::{SECRET_KEY_BYTES, Settings};
use crate::error::{Code, Error, Result};
use crate::model::plugin::{StoredValue, config_row};
use crate::store::{Store, StoreOptions};

use super::seal::{Key, key_of};
use super::{file, new_key};

/// What came of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The id of the new key.
    pub key: String,
    /// Values that are sealed with it now.
    pub sealed: usize,
    /// Values that no key of the file opens: they stay as they are.
    pub left: usize,
    /// The file that holds the former key.
    pub former: PathBuf,
}

/// Makes a new key, seals every value with it that a former key opens, and puts the former key aside: backups that were made
/// before need it. Whoever calls this holds the data folder. Blocks.
///
/// Whatever breaks it off in the middle, the file holds every key that the database needs.
///
/// # Errors
/// The key comes from the environment; there is no key file; file or database cannot be written.
pub fn rotate(settings: &Settings) -> Result<Rotated> {
    if !settings.secret_key.is_empty() {
        let error = Error::new(Code::Conflict, "The key comes from PANOTTI_SECRET_KEY, and no file is used.");
        return Err(error.with_hint(
            "Put a new one of `panotti secrets key` before it, with a comma between, and start the server: it seals everything \
             with the first one. Then take the former one out.",
        ));
    }
    let path = &settings.secret_key_file;
    let Some(former) = file::read(path)? else {
        let detail = format!("There is no key file {}: nothing is sealed yet.", path.display());
        return Err(Error::new(Code::Conflict, detail));
    };
    let (new, mut all) = (new_key()?, Vec::new());
    all.push(new);
    all.extend(former.iter().copied());
    let store = Store::open(&StoreOptions::at(settings.database_path()))?;
    file::replace(path, &all)?;
    let keys: Vec<Key> = all.iter().map(Key::new).collect();
    let (key, first) =
        (keys.first().map(|it| it.id().to_owned()).unwrap_or_default(), former.iter().next().copied());
    let resealed = store.write_blocking(move |tx| reseal(tx, &keys));
    store.close();
    let (sealed, left) = resealed?;
    let aside = aside(settings, first.as_ref());
    file::replace(&aside, &former.iter().copied().collect::<Vec<_>>())?;
    if left == 0 {
        file::replace(path, &[new])?;
    }
    Ok(Rotated { key, sealed, left, former: aside })
}

fn reseal(tx: &mut crate::store::Tx, keys: &[Key]) -> Result<(usize, usize)> {
    let (mut sealed, mut left) = (0, 0);
    for plugin in tx.list_plugins()? {
        for kept in tx.configs(plugin.id)? {
            let StoredValue::Sealed(text) = &kept.value else { continue };
            let row = config_row(plugin.id, &kept.key);
            let known = keys.iter().find(|it| key_of(text) == Some(it.id()));
            let Some(opened) = known.and_then(|it| it.open(&row, text).ok()) else {
                left += 1;
                continue;
            };
            let Some(first) = keys.first() else { continue };
            let again = StoredValue::Sealed(first.seal(&row, &opened)?);
            tx.update_config(plugin.id, kept.id, &again, kept.updated_at)?;
            sealed += 1;
        }
    }
    Ok((sealed, left))
}

/// `secret.key.<id of the former key>`.
fn aside(settings: &Settings, former: Option<&[u8; SECRET_KEY_BYTES]>) -> PathBuf {
    let id = former.map(|it| Key::new(it).id().to_owned()).unwrap_or_default();
    let mut name = settings.secret_key_file.as_os_str().to_owned();
    name.push(format!(".{id}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::SecretKeys;
    use crate::services::keyring::Keyring;

    #[test]
    fn without_a_key_file_or_with_a_variable_nothing_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let of = |key: &str| Settings {
            data_dir: folder.path().to_owned(),
            secret_key_file: folder.path().join(file::NAME),
            database_url: format!("sqlite:{}", folder.path().join("t.db").display()),
            secret_key: SecretKeys::parse(key).unwrap(),
            ..Settings::default()
        };
        assert_eq!(rotate(&of("")).unwrap_err().code, Code::Conflict);
        assert_eq!(rotate(&of(&"ab".repeat(32))).unwrap_err().code, Code::Conflict);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let sealed = Keyring::of(&of("")).seal("r", &json!("x").to_string()).unwrap();
        let done = rotate(&of("")).unwrap();
        assert_eq!((done.sealed, done.left), (0, 0));
        assert!(Keyring::of(&of("")).open("r", &sealed).is_err(), "the former key is put aside");
        let aside = Settings { secret_key_file: done.former, ..of("") };
        assert_eq!(Keyring::of(&aside).open("r", &sealed).unwrap(), "\"x\"");
    }
}
