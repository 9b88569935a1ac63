//! Who changed what about the server itself.

use serde_json::Value;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::store::{AuditEntry, Tx};

pub use crate::store::WantedActs as Wanted;

use super::Services;

/// Notes an act in the transaction of what it tells.
///
/// # Errors
/// The store's.
pub fn note(
    tx: &mut Tx,
    at: Timestamp,
    actor: &str,
    action: &str,
    subject: Option<String>,
    detail: Value,
) -> Result<()> {
    let (actor, action) = (actor.to_owned(), action.to_owned());
    tx.append_audit(&AuditEntry { id: 0, at, actor, action, subject, detail }).map(drop)
}

/// At most `limit` acts that are `wanted`, newest first.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services, wanted: Wanted, limit: i64) -> Result<Vec<AuditEntry>> {
    services.read_long(move |r| r.list_audit(&wanted, limit)).await
}
