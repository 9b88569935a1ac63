//! Keys: make, list, rotate, revoke, and know them again.
//!
//! A key reads `pnt_<id>_<secret>`; only the SHA-256 of the secret is kept.

mod admin;
mod cache;
mod change;
mod limit;
mod rate;

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::model::time::MissingOffset;
use crate::model::token::{RateLimit, Scope, Token};

use super::fields::{self, Kind, Reading, Rule};
use super::{Services, audit};

pub use admin::{AdminKey, ensure_admin_token, wanted_file};
pub(super) use cache::Cache;
pub use change::{ROTATE, revoke, rotate};
pub use limit::{CHANGE, change};
pub use rate::Spent;

/// A key is used at most so often before its row notes it again.
const NOTED_EVERY_US: i64 = 60_000_000;

const HEX: &[u8; 16] = b"0123456789abcdef";

const SCOPES: &[&str] = &[
    "recordings:read",
    "recordings:write",
    "clips:read",
    "clips:write",
    "events:read",
    "events:write",
    "plugins:read",
    "plugins:manage",
    "plugins:code",
    "tokens:manage",
    "admin",
];

/// What makes a key.
pub const CREATE: &[Rule] = &[
    NAME,
    Rule {
        name: "scopes",
        aliases: &[],
        kind: Kind::Choices(SCOPES),
        required: true,
        doc: "What it allows.",
    },
    Rule {
        name: "expires_at",
        aliases: &[],
        kind: Kind::Time,
        required: false,
        doc: "When it stops working; never, without it.",
    },
    RATE_LIMIT,
];

const NAME: Rule = Rule {
    name: "name",
    aliases: &[],
    kind: Kind::Text { min: 1, max: 255 },
    required: true,
    doc: "What its owner calls it, 1 to 255 characters.",
};

const RATE_LIMIT: Rule = Rule {
    name: "rate_limit",
    aliases: &[],
    kind: Kind::Rate,
    required: false,
    doc: "How often it may be used: {requests, per_seconds}; as the setting `rate_limit` says, without it.",
};

/// A new key: the only time its secret is told.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Created {
    /// The key's row.
    #[serde(flatten)]
    pub token: Token,
    /// The key itself, to be kept by its owner.
    pub key: String,
}

/// Makes a key. It is not kept for an Idempotency-Key: the answer holds a secret.
///
/// # Errors
/// `Invalid` with all faults of the body.
pub async fn create(services: &Services, actor: &str, body: Map<String, Value>) -> Result<Created> {
    let how = Reading {
        creates: true,
        ignores_unknown: false,
        offset: MissingOffset::Refused,
        metadata_max_bytes: services.settings.metadata_max_bytes,
    };
    let sent = fields::check(CREATE, body, how)?;
    let expires_at = sent.time("expires_at");
    if expires_at.is_some_and(|it| it <= services.now()) {
        return Err(Error::field("/expires_at", "lies in the past"));
    }
    let mut scopes: Vec<Scope> =
        sent.texts("scopes").unwrap_or_default().iter().filter_map(|it| Scope::from_name(it)).collect();
    if scopes.is_empty() {
        return Err(Error::field("/scopes", "must name at least one scope"));
    }
    scopes.sort();
    scopes.dedup();
    let name = sent.text("name").unwrap_or_default();
    let mut made = draft(services, name, scopes, expires_at)?;
    made.token.rate_limit = rate_of(&sent);
    store(services, actor, made).await
}

/// The limit that was sent.
fn rate_of(sent: &fields::Checked) -> Option<RateLimit> {
    let limit = sent.object("rate_limit")?;
    let part = |name: &str| limit.get(name).and_then(Value::as_u64);
    Some(RateLimit { requests: part("requests")?, per_seconds: part("per_seconds")? })
}

/// Finds out whether any key has a limit, so that a server without limits counts nothing.
///
/// # Errors
/// The store's.
pub fn load_limits(services: &Services) -> Result<()> {
    let any = services.settings.rate_limit.requests > 0
        || services.store.read(|r| r.list_tokens())?.iter().any(|it| it.rate_limit.is_some());
    if any {
        services.tokens.has_limits();
    }
    Ok(())
}

/// Whether any key has a limit.
pub fn any_limited(services: &Services) -> bool {
    services.tokens.any_limited()
}

/// Counts a request of a key; none when the key has no limit.
pub fn spend(services: &Services, token: &Token) -> Option<Spent> {
    let limit = rate::limit_of(token, &services.settings)?;
    let known = services.tokens.find(services, &token.id).ok().flatten()?;
    Some(known.bucket.take_at(limit, services.tokens.now_ns()))
}

/// A key that is not stored yet.
fn draft(
    services: &Services,
    name: String,
    scopes: Vec<Scope>,
    expires_at: Option<crate::model::time::Timestamp>,
) -> Result<Created> {
    let id = random_hex::<6>()?;
    let key = format!("pnt_{id}_{}", random_hex::<32>()?);
    let created_at = services.now();
    let token = Token {
        id,
        name,
        scopes,
        created_at,
        expires_at,
        last_used_at: None,
        revoked_at: None,
        rate_limit: None,
    };
    Ok(Created { token, key })
}

async fn store(services: &Services, actor: &str, made: Created) -> Result<Created> {
    let (token, now) = (made.token.clone(), services.now());
    let Some((_, secret)) = parts(&made.key) else { return Err(Error::internal("a key of no shape")) };
    let (hash, actor) = (hash(secret), actor.to_owned());
    services
        .store
        .write(move |tx| {
            tx.insert_token(&token, &hash)?;
            let detail = json!({"name": token.name, "scopes": token.scopes, "expires_at": token.expires_at, "rate_limit": token.rate_limit});
            audit::note(tx, now, &actor, "token.create", Some(format!("token/{}", token.id)), detail)
        })
        .await?;
    services.tokens.forget(&made.token.id);
    if made.token.rate_limit.is_some() {
        services.tokens.has_limits();
    }
    Ok(made)
}

/// All keys, newest first, without their secrets.
///
/// # Errors
/// The store's.
pub async fn list(services: &Services) -> Result<Vec<Token>> {
    services.read_long(|r| r.list_tokens()).await
}

/// The key that was presented, if it is one and still works.
///
/// # Errors
/// `KeyInvalid`, whatever is wrong with it.
pub fn authenticate(services: &Services, presented: &str) -> Result<Arc<Token>> {
    let invalid = || Error::new(Code::KeyInvalid, "The key is not valid.");
    let (id, secret) = parts(presented).ok_or_else(invalid)?;
    let known = services.tokens.find(services, id)?;
    // An unknown id costs the same hash and comparison.
    let kept = known.as_ref().map_or("", |it| it.hash.as_str());
    let same: bool = hash_digits(secret).ct_eq(kept.as_bytes()).into();
    let known = known.filter(|_| same).ok_or_else(invalid)?;
    let now = services.now();
    let ended = known.token.revoked_at.is_some() || known.token.expires_at.is_some_and(|it| it <= now);
    if ended {
        return Err(invalid());
    }
    if known.noted(now, NOTED_EVERY_US) {
        let id = known.token.id.clone();
        services.store.write_idle(move |tx| tx.touch_token(&id, now));
    }
    Ok(Arc::clone(&known.token))
}

/// Whether a key that opened a door before would open it again. What cannot be looked up is told no.
pub fn still_works(services: &Services, id: &str) -> bool {
    let known = services.tokens.find(services, id).ok().flatten();
    let now = services.now();
    known.is_some_and(|it| it.token.revoked_at.is_none() && it.token.expires_at.is_none_or(|end| end > now))
}

/// Id and secret of a key.
fn parts(key: &str) -> Option<(&str, &str)> {
    let (id, secret) = key.strip_prefix("pnt_")?.split_once('_')?;
    let shaped = |it: &str| (1..=128).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphanumeric());
    (shaped(id) && shaped(secret)).then_some((id, secret))
}

fn hash(secret: &str) -> String {
    hash_digits(secret).iter().map(|it| char::from(*it)).collect()
}

/// The hash of a secret in hexadecimal, as the row has it.
fn hash_digits(secret: &str) -> [u8; 64] {
    let hash = Sha256::digest(secret.as_bytes());
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    digits
}

fn random_hex<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
