//! What becomes of a key after it was made: another secret, or its end.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};
use crate::model::time::{MissingOffset, Timestamp};
use crate::model::token::{Scope, Token};
use crate::services::fields::{self, Kind, Reading, Rule};
use crate::services::files::io_error;
use crate::services::{Services, audit};
use crate::store::Reader;

use super::admin::{wanted_file, write_secret};
use super::{Created, hash, parts, random_hex};

/// What gives a key another secret.
pub const ROTATE: &[Rule] = &[Rule {
    name: "expires_at",
    aliases: &[],
    kind: Kind::Time,
    required: false,
    doc: "When the key stops working with its new secret; as before, without it.",
}];

/// Revokes a key at once; a second time changes nothing. The last one that may do everything stays unless `force` is set.
///
/// # Errors
/// `TokenNotFound`; `Conflict` for the last key of an admin.
pub async fn revoke(services: &Services, actor: &str, id: &str, force: bool) -> Result<()> {
    let (key, actor, now) = (id.to_owned(), actor.to_owned(), services.now());
    services
        .store
        .write(move |tx| {
            let token = known(tx, &key)?;
            if token.revoked_at.is_some() {
                return Ok(());
            }
            if !force && is_last_admin(tx, &token, now)? {
                let detail = format!("`{}` is the last key that may do everything.", token.id);
                let hint = "Make another one with the scope `admin` first, or add ?force=true: the next start writes a \
                            new key to `admin.token` then.";
                return Err(Error::new(Code::Conflict, detail).with_hint(hint));
            }
            tx.revoke_token(&key, now)?;
            let detail = json!({ "name": token.name, "scopes": token.scopes });
            audit::note(tx, now, &actor, "token.revoke", Some(format!("token/{key}")), detail)
        })
        .await?;
    services.tokens.forget(id);
    Ok(())
}

/// Gives a key another secret; the former one opens nothing from now on. The key that lies in `admin_file` is written
/// there anew. `by` is the key that asks: it gets no secret of one that may do more.
///
/// # Errors
/// `TokenNotFound`; `Conflict` for one that was revoked or has expired; `ScopeMissing`; `Invalid`.
pub async fn rotate(
    services: &Services,
    actor: &str,
    by: &Token,
    id: &str,
    body: Map<String, Value>,
    admin_file: &Path,
) -> Result<Created> {
    let how = Reading {
        creates: false,
        ignores_unknown: false,
        offset: MissingOffset::Refused,
        metadata_max_bytes: services.settings.metadata_max_bytes,
    };
    let expires_at = fields::check(ROTATE, body, how)?.time("expires_at");
    let now = services.now();
    if expires_at.is_some_and(|it| it <= now) {
        return Err(Error::field("/expires_at", "lies in the past"));
    }
    let secret = random_hex::<32>()?;
    let key = format!("pnt_{id}_{secret}");
    let is_of_file = std::fs::read_to_string(admin_file)
        .is_ok_and(|kept| parts(kept.trim()).is_some_and(|(kept, _)| kept == id));
    let (own, actor, by, hash) = (id.to_owned(), actor.to_owned(), by.clone(), hash(&secret));
    let change = services.store.write(move |tx| {
        let mut token = known(tx, &own)?;
        if token.revoked_at.is_some() || token.expires_at.is_some_and(|it| it <= now) {
            let detail = format!("The key `{own}` was revoked or has expired.");
            return Err(Error::new(Code::Conflict, detail).with_hint("Make a new one."));
        }
        if let Some(scope) = token.scopes.iter().find(|it| !by.allows(**it)) {
            let detail =
                format!("A key gets no secret of one that may do more: it has no scope `{}`.", scope.name());
            return Err(Error::new(Code::ScopeMissing, detail).with_member("scope", scope.name()));
        }
        token.expires_at = expires_at.or(token.expires_at);
        tx.rotate_token(&own, &hash, token.expires_at)?;
        let detail = json!({ "name": token.name, "scopes": token.scopes, "expires_at": token.expires_at });
        audit::note(tx, now, &actor, "token.rotate", Some(format!("token/{own}")), detail)?;
        Ok(token)
    });
    // While the file and the row do not fit together, a start writes a new key.
    let wanted = wanted_file(admin_file);
    if is_of_file {
        std::fs::write(&wanted, "").map_err(io_error)?;
    }
    let changed = change.await;
    services.tokens.forget(id);
    if is_of_file {
        if changed.is_ok() {
            write_secret(admin_file, &key).map_err(io_error)?;
        }
        std::fs::remove_file(&wanted).map_err(io_error)?;
    }
    Ok(Created { token: changed?, key })
}

fn known(reader: &mut Reader, id: &str) -> Result<Token> {
    let found = reader.token(id)?.map(|(token, _)| token);
    found.ok_or_else(|| Error::new(Code::TokenNotFound, format!("There is no key `{}`.", id.escape_debug())))
}

/// Whether no other key could do everything once this one is gone.
fn is_last_admin(reader: &mut Reader, token: &Token, now: Timestamp) -> Result<bool> {
    let works = |it: &Token| {
        it.scopes.contains(&Scope::Admin)
            && it.revoked_at.is_none()
            && it.expires_at.is_none_or(|end| end > now)
    };
    Ok(works(token) && !reader.list_tokens()?.iter().any(|it| it.id != token.id && works(it)))
}
