//! Answers kept under the `Idempotency-Key` they were given for, so that a retry gets the same answer.
//!
//! Before it calls a service, HTTP asks [`recall`]; each creating service notes its answer in the
//! transaction of the creation. Of two requests at once with one key, the second one is refused.

use serde::Serialize;
use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::model::time::Timestamp;
use crate::store::{Reader, Tx};

use super::Services;

/// One request that may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// What the client sent, under the key that it used and the route it called.
    key: String,
    /// Hash of method, path and body.
    fingerprint: String,
    /// Answers given before this are forgotten.
    oldest: Timestamp,
}

/// An answer that was given before.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalled {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Idempotency {
    /// The request of `token_id` with `key`; `request` is all that must be the same in a retry: method, path
    /// and body, in order.
    ///
    /// # Errors
    /// `BadHeader` when the key is not 1 to 255 visible ASCII characters.
    pub fn new(services: &Services, token_id: &str, key: &str, request: &[&[u8]]) -> Result<Self> {
        if !(1..=255).contains(&key.len()) || !key.bytes().all(|it| it.is_ascii_graphic()) {
            let detail = "Idempotency-Key must be 1 to 255 visible ASCII characters.";
            return Err(Error::new(Code::BadHeader, detail));
        }
        let hours = i64::try_from(services.settings.idempotency_hours).unwrap_or(i64::MAX);
        let kept_us = hours.saturating_mul(3_600_000_000);
        let mut hash = blake3::Hasher::new();
        for part in request {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Ok(Idempotency {
            key: format!("{token_id}/{key}"),
            fingerprint: hash.finalize().to_hex().to_string(),
            oldest: Timestamp(services.now().0.saturating_sub(kept_us)),
        })
    }
}

/// The answer that was given to this request before, if it was.
///
/// # Errors
/// `IdempotencyKeyReused` when the key was used for another request.
pub fn recall(services: &Services, request: &Idempotency) -> Result<Option<Recalled>> {
    services.store.read(|r| recall_in(r, request))
}

/// As [`recall`], in the transaction of what would be answered.
///
/// # Errors
/// As [`recall`].
pub fn recall_in(reader: &mut Reader, request: &Idempotency) -> Result<Option<Recalled>> {
    let found = reader.idempotent(&request.key, request.oldest)?;
    let Some(kept) = found else { return Ok(None) };
    if kept.fingerprint != request.fingerprint {
        let detail = "This Idempotency-Key was used for another request.";
        return Err(Error::new(Code::IdempotencyKeyReused, detail));
    }
    Ok(Some(Recalled { status: u16::try_from(kept.status).unwrap_or(200), body: kept.answer }))
}

/// Keeps the answer of a change that is committed already and that a repeat would refuse, never do twice.
///
/// # Errors
/// As [`remember`].
pub async fn keep(
    services: &Services,
    request: Option<Idempotency>,
    status: u16,
    answer: &impl Serialize,
) -> Result<()> {
    let Some(request) = request else { return Ok(()) };
    let (answer, now) = (serde_json::to_value(answer).map_err(Error::internal)?, services.now());
    services.store.write(move |tx| remember(tx, Some(&request), status, &answer, now)).await
}

/// Notes an answer in the transaction of what it answers.
///
/// # Errors
/// `Conflict` when another request with this key came first: nothing of this one is kept.
pub fn remember(
    tx: &mut Tx,
    request: Option<&Idempotency>,
    status: u16,
    answer: &impl Serialize,
    now: Timestamp,
) -> Result<()> {
    let Some(request) = request else { return Ok(()) };
    tx.forget_answer(&request.key, request.oldest)?;
    let answer = serde_json::to_value(answer).map_err(Error::internal)?;
    let status = i16::try_from(status).unwrap_or(200);
    if tx.remember(&request.key, &request.fingerprint, status, &answer, now)? {
        return Ok(());
    }
    let detail = "Another request with this Idempotency-Key is being answered at this moment.";
    Err(Error { retry_after: Some(1), ..Error::new(Code::Conflict, detail) })
}
