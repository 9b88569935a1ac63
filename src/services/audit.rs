//! Who changed what about the server itself.

use std::time::Duration;

use serde_json::Value;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::store::{AuditEntry, Tx};

pub use crate::store::{DENIED, FAILED, WantedActs as Wanted};

use super::Services;

/// How often acts are looked for that are not kept any longer.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Acts that are forgotten at once.
const BATCH: i64 = 500;

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
    tx.append_audit(&AuditEntry::done(at, actor, action, subject, detail)).map(drop)
}

/// Notes an act that has changed nothing, or that came to nothing: `outcome` tells which.
///
/// # Errors
/// The store's.
pub async fn note_outcome(
    services: &Services,
    actor: &str,
    action: &str,
    subject: Option<String>,
    outcome: Option<&'static str>,
    detail: Value,
) -> Result<()> {
    let mut entry = AuditEntry::done(services.now(), actor, action, subject, detail);
    if let Some(outcome) = outcome {
        entry.outcome = outcome.to_owned();
    }
    services.store.write(move |tx| tx.append_audit(&entry).map(drop)).await
}

/// At most `limit` acts that are `wanted`, newest first.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services, wanted: Wanted, limit: i64) -> Result<Vec<AuditEntry>> {
    services.read_long(move |r| r.list_audit(&wanted, limit)).await
}

/// Forgets acts that are not to be kept any longer (`retention.audit_days`, `retention.audit_max`), without end.
pub async fn keep_within_bounds(services: Services) {
    loop {
        if let Err(error) = sweep(&services).await {
            log::warn!("old acts cannot be removed from the audit log now: {error}");
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// Forgets what is not to be kept at this moment; how many acts those were.
///
/// # Errors
/// The store's.
pub async fn sweep(services: &Services) -> Result<usize> {
    let kept = services.settings.retention;
    let us = i64::try_from(kept.audit_days).unwrap_or(i64::MAX).saturating_mul(86_400_000_000);
    let since = (kept.audit_days > 0).then(|| Timestamp(services.now().0.saturating_sub(us)));
    let most = (kept.audit_max > 0).then(|| i64::try_from(kept.audit_max).unwrap_or(i64::MAX));
    let mut gone = 0;
    loop {
        let now = services.store.write_freeing(move |tx| tx.forget_audit(since, most, BATCH)).await?;
        gone += now;
        if now < usize::try_from(BATCH).unwrap_or(usize::MAX) {
            return Ok(gone);
        }
    }
}
