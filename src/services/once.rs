//! What is done once for an id, across retries and restarts.

use serde_json::Value;

use crate::error::Result;

use super::Services;
use super::alone::Turn;

/// What somebody finds who wants to do something once.
pub enum Once {
    /// It was done before; what came of it.
    Done(Value),
    /// It is theirs to do while they hold the turn; others wait.
    Mine(Turn),
}

/// Waits until nobody else is at it, and says whether it was done.
///
/// # Errors
/// The store's.
pub async fn begin(services: &Services, plugin: &str, id: &str) -> Result<Once> {
    let turn = services.alone.turn(&format!("once/{plugin}/{id}")).await;
    let (plugin, id) = (plugin.to_owned(), id.to_owned());
    let done = services.store.read_async(move |it| it.once(&plugin, &id)).await?;
    Ok(done.map_or(Once::Mine(turn), Once::Done))
}

/// Stores what came of it; it is on disk when this is answered.
///
/// # Errors
/// The store's.
pub async fn finish(services: &Services, plugin: &str, id: &str, result: Value) -> Result<()> {
    let (plugin, id, now) = (plugin.to_owned(), id.to_owned(), services.now());
    services.store.write(move |tx| tx.put_once(&plugin, &id, &result, now)).await
}

/// How many things a plugin has done once and are still known.
///
/// # Errors
/// The store's.
pub fn count(services: &Services, plugin: &str) -> Result<i64> {
    services.store.read(|it| it.count_once(plugin))
}
