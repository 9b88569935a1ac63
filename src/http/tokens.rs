//! Keys: made, listed, given another secret, revoked.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};
use crate::model::token::{Scope, Token};
use crate::services::tokens;

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// Whether the last key of an admin goes, too.
pub(super) const FORCE: &[Param] =
    &[param("force", Kind::Flag, "Revokes it also when it is the last key that may do everything.")];

/// The keys, never their secrets.
pub(super) async fn list(call: Call<scope::TokensManage>) -> Result<HttpResponse> {
    let items = tokens::list(&call.state.services).await?;
    reply::hashed(&call.req, &json!({ "items": items, "total": items.len() }))
}

/// Makes a key; nothing may keep the answer, for it holds the secret.
pub(super) async fn create(mut call: Call<scope::TokensManage>) -> Result<HttpResponse> {
    let body = call.json().await?;
    if let Some(scope) = beyond(call.token.as_deref(), &body) {
        let detail =
            format!("A key cannot make another one that may do more: it has no scope `{}`.", scope.name());
        return Err(Error::new(Code::ScopeMissing, detail).with_member("scope", scope.name()));
    }
    let made = tokens::create(&call.state.services, &call.actor(), body).await?;
    shown_once(StatusCode::CREATED, &made)
}

/// Gives a key another secret; nothing may keep the answer.
pub(super) async fn rotate(mut call: Call<scope::TokensManage>) -> Result<HttpResponse> {
    let (body, _) = call.json_once().await?;
    let Some(by) = call.token.clone() else { return Err(Error::internal("a route without a key")) };
    let file = call.state.settings.data_dir.join("admin.token");
    let (services, actor) = (&call.state.services, call.actor());
    let made = tokens::rotate(services, &actor, &by, call.part("id"), body, &file).await?;
    shown_once(StatusCode::OK, &made)
}

/// A key with its secret.
fn shown_once(status: StatusCode, made: &tokens::Created) -> Result<HttpResponse> {
    let mut answer = serde_json::to_value(&made.token).map_err(Error::internal)?;
    if let Value::Object(answer) = &mut answer {
        answer.insert("token".to_owned(), made.key.as_str().into());
    }
    let mut response = reply::json(status, &answer)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let place = HeaderValue::from_str(&format!("/api/v1/tokens/{}", made.token.id));
    if let (StatusCode::CREATED, Ok(place)) = (status, place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// The first scope asked for that the asking key does not have itself.
fn beyond(own: Option<&Token>, body: &Map<String, Value>) -> Option<Scope> {
    let asked = body.get("scopes").and_then(Value::as_array).into_iter().flatten();
    let mut asked = asked.filter_map(|it| Scope::from_name(it.as_str()?));
    asked.find(|scope| !own.is_some_and(|own| own.allows(*scope)))
}

/// Changes a key. One that is limited cannot free itself, nor change one that may do more.
pub(super) async fn patch(mut call: Call<scope::TokensManage>) -> Result<HttpResponse> {
    let body = call.json().await?;
    let own = call.token.clone();
    let may = move |changed: &Token| {
        let Some(own) = own.filter(|it| !it.allows(Scope::Admin)) else { return Ok(()) };
        let missing = match changed.scopes.iter().find(|scope| !own.allows(**scope)) {
            Some(missing) => *missing,
            None if changed.id == own.id => Scope::Admin,
            None => return Ok(()),
        };
        let detail = format!("Changing this key needs the scope `{}`.", missing.name());
        Err(Error::new(Code::ScopeMissing, detail).with_member("scope", missing.name()))
    };
    let token = tokens::change(&call.state.services, &call.actor(), call.part("id"), body, may).await?;
    reply::ok(&token)
}

/// Revokes a key.
pub(super) async fn revoke(call: Call<scope::TokensManage>) -> Result<HttpResponse> {
    let force = call.query.flag("force").unwrap_or(false);
    tokens::revoke(&call.state.services, &call.actor(), call.part("id"), force).await?;
    Ok(reply::no_content())
}

#[cfg(test)]
mod tests {
    use crate::model::time::Timestamp;

    use super::*;

    #[test]
    fn a_key_makes_no_other_that_may_do_more() {
        let key = |scopes: &[Scope]| Token {
            id: "a".into(),
            name: "a".into(),
            scopes: scopes.to_vec(),
            created_at: Timestamp(0),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            rate_limit: None,
        };
        let body = json!({ "scopes": ["clips:read", "admin"] });
        let body = body.as_object().unwrap();
        let manager = key(&[Scope::TokensManage, Scope::ClipsRead]);
        assert_eq!(beyond(Some(&manager), body), Some(Scope::Admin));
        assert_eq!(beyond(Some(&key(&[Scope::Admin])), body), None);
        assert_eq!(beyond(None, body), Some(Scope::ClipsRead));
    }
}
