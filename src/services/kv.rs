//! What plugins keep under keys. Writes of a call are buffered in its effects and committed with them; here
//! is what happens at once.

use serde_json::Value;

use crate::error::Result;
use crate::model::call::Hold;
use crate::store::{KvUsage, Tx};

use super::Services;

/// The value of a key, as of the last commit.
///
/// # Errors
/// The store's.
pub fn get(services: &Services, plugin: &str, key: &str) -> Result<Option<Value>> {
    let now = services.now();
    services.store.read(|r| r.kv_get(plugin, key, now))
}

/// At most `limit` keys that begin with `prefix` and come after `after`, sorted, as of the last commit.
///
/// # Errors
/// The store's.
pub async fn list(
    services: &Services,
    plugin: &str,
    prefix: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<String>> {
    let now = services.now();
    let (plugin, prefix, after) = (plugin.to_owned(), prefix.to_owned(), after.map(str::to_owned));
    services.read_long(move |r| r.kv_list(&plugin, &prefix, after.as_deref(), limit, now)).await
}

/// Puts `new` in the place of `old` (none: no key) if that is what is there; commits at once. Keeps `hold` until then.
///
/// # Errors
/// The store's.
pub async fn cas(
    services: &Services,
    plugin: &str,
    key: &str,
    old: Option<Value>,
    new: Option<Value>,
    hold: Hold,
) -> Result<bool> {
    let now = services.now();
    let (plugin, key) = (plugin.to_owned(), key.to_owned());
    let job = move |tx: &mut Tx| {
        tx.hold(hold);
        tx.kv_cas(&plugin, &key, old.as_ref(), new.as_ref(), now)
    };
    services.store.write(job).await
}

/// How much a plugin keeps, as of the last commit.
///
/// # Errors
/// The store's.
pub fn usage(services: &Services, plugin: &str) -> Result<KvUsage> {
    services.store.read(|r| r.kv_usage(plugin))
}
