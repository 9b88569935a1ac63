//! Changes of a key: what it is called, how often it may be used.

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};
use crate::model::time::MissingOffset;
use crate::model::token::Token;
use crate::services::fields::{self, Reading, Rule};
use crate::services::{Services, audit};

use super::{NAME, RATE_LIMIT, rate_of};

/// What can be changed of a key.
pub const CHANGE: &[Rule] = &[NAME, RATE_LIMIT];

/// Changes a key, if `may` allows it; in force when this is answered. What the key has used up stays used up.
///
/// # Errors
/// `TokenNotFound`; `Invalid` with all faults of the body; what `may` says.
pub async fn change(
    services: &Services,
    actor: &str,
    id: &str,
    body: Map<String, Value>,
    may: impl FnOnce(&Token) -> Result<()> + Send + 'static,
) -> Result<Token> {
    let how = Reading {
        creates: false,
        ignores_unknown: false,
        offset: MissingOffset::Refused,
        metadata_max_bytes: services.settings.metadata_max_bytes,
    };
    let sent = fields::check(CHANGE, body, how)?;
    let (key, actor, now) = (id.to_owned(), actor.to_owned(), services.now());
    let changed = services.store.write(move |tx| {
        let missing =
            || Error::new(Code::TokenNotFound, format!("There is no key `{}`.", key.escape_debug()));
        let (mut token, _) = tx.token(&key)?.ok_or_else(missing)?;
        may(&token)?;
        token.name = sent.text("name").unwrap_or(token.name);
        if sent.has("rate_limit") {
            token.rate_limit = rate_of(&sent);
        }
        tx.update_token(&token)?;
        let detail = json!({ "name": token.name, "rate_limit": token.rate_limit });
        audit::note(tx, now, &actor, "token.update", Some(format!("token/{key}")), detail)?;
        Ok(token)
    });
    let token = changed.await?;
    services.tokens.forget(id);
    if token.rate_limit.is_some() {
        services.tokens.has_limits();
    }
    Ok(token)
}
