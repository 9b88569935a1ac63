//! One request as a handler sees it: whose it is, what it asks, with everything checked that the route declares.

use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::model::asked::Asked;
use crate::model::call::Caller;
use crate::model::id::{check_id, check_track_name};
use crate::model::token::{Scope, Token};
use crate::services::idempotency::{self, Idempotency};

use super::body::{self, Upload};
use super::digest;
use super::meta::{Identity, Meta};
use super::query::{Param, Query};
use super::reply;
use super::router::Parts;
use super::state::HttpState;

/// Tells a client that the answer is one it was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Who may call a route; part of the type of its handler, so that no route can be without.
pub trait Access: 'static {
    /// The scope the key needs; none = no key is needed.
    const SCOPE: Option<Scope>;
}

/// Anybody may call: written out, never by omission.
pub struct Open;

impl Access for Open {
    const SCOPE: Option<Scope> = None;
}

/// One type for each scope, for the argument of a handler.
pub mod scope {
    use super::{Access, Scope};

    macro_rules! types {
        ($($name:ident)*) => {$(
            #[doc = concat!("The key needs [`Scope::", stringify!($name), "`].")]
            pub struct $name;

            impl Access for $name {
                const SCOPE: Option<Scope> = Some(Scope::$name);
            }
        )*};
    }

    types!(RecordingsRead RecordingsWrite ClipsRead ClipsWrite EventsRead EventsWrite PluginsRead PluginsManage
        PluginsCode TokensManage Admin);
}

/// A request whose key opens the route and whose query is in order.
pub struct Call<A> {
    /// The request.
    pub req: HttpRequest,
    /// The pieces of the server.
    pub state: Data<HttpState>,
    /// Its query, as the route declares it.
    pub query: Query,
    /// The key; none on open routes.
    pub token: Option<Arc<Token>>,
    payload: Payload,
    parts: Parts,
    access: PhantomData<A>,
}

impl<A: Access> Call<A> {
    /// Checks key and query; `known` = none when the route ignores its query.
    ///
    /// # Errors
    /// 401, 403, [`Code::BadQuery`].
    pub async fn open(
        req: HttpRequest,
        payload: Payload,
        parts: Parts,
        known: Option<&[&'static [Param]]>,
    ) -> Result<Self> {
        let state =
            Data::<HttpState>::extract(&req).await.map_err(|fault| Error::internal(fault.to_string()))?;
        let token = match A::SCOPE {
            None => None,
            Some(scope) => Some(authorise(&state, &req, scope).await?),
        };
        let query = match known {
            Some(known) => Query::read(req.query_string(), known)?,
            None => Query::default(),
        };
        Ok(Call { req, state, query, token, payload, parts, access: PhantomData })
    }

    /// Who sets the operation off.
    pub fn caller(&self) -> Caller {
        Meta::of(&self.req).caller()
    }

    /// Who is named in the audit log.
    pub fn actor(&self) -> String {
        self.token.as_ref().map_or_else(|| "http".to_owned(), |it| format!("key/{}", it.id))
    }

    /// A part of the path, as sent but for its escapes.
    pub fn part(&self, name: &str) -> &str {
        self.parts.get(&self.req, name).unwrap_or_default()
    }

    /// A number in the path.
    ///
    /// # Errors
    /// [`Code::BadPath`].
    pub fn number(&self, name: &str) -> Result<i64> {
        let part = self.part(name);
        let number = part.parse::<i64>().ok().filter(|it| *it > 0);
        number.ok_or_else(|| bad_path(name, part, "must be a whole number from 1"))
    }

    /// The id of a recording in the path.
    ///
    /// # Errors
    /// [`Code::BadPath`].
    pub fn recording_id(&self) -> Result<String> {
        let id = self.part("id");
        check_id(id).map_err(|message| bad_path("id", id, &message))?;
        Ok(id.to_owned())
    }

    /// The name of a track in the path.
    ///
    /// # Errors
    /// [`Code::BadPath`].
    pub fn track(&self) -> Result<String> {
        let name = self.part("track");
        check_track_name(name).map_err(|message| bad_path("track", name, &message))?;
        Ok(name.to_owned())
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// 400, 408, 413, 415, or 422 when it is JSON of another shape.
    pub async fn json(&mut self) -> Result<Map<String, Value>> {
        body::require_json(self.req.headers())?;
        body::parse_object(&self.bytes().await?)
    }

    /// The whole of a small body.
    ///
    /// # Errors
    /// 408, 413, 415.
    pub async fn bytes(&mut self) -> Result<bytes::Bytes> {
        body::read(&mut self.payload, self.req.headers(), &self.state.settings).await
    }

    /// The whole of a small file, which is what its `Repr-Digest` says.
    ///
    /// # Errors
    /// As [`Call::bytes`]; [`Code::BadHeader`], [`Code::DigestMismatch`].
    pub async fn file(&mut self) -> Result<bytes::Bytes> {
        let bytes = self.bytes().await?;
        digest::check(self.req.headers(), &bytes)?;
        Ok(bytes)
    }

    /// The body of an upload, piece by piece.
    ///
    /// # Errors
    /// 413, 415.
    pub fn upload(&mut self) -> Result<Upload> {
        let payload = std::mem::replace(&mut self.payload, Payload::None);
        Upload::new(payload, self.req.headers(), &self.state.settings)
    }

    /// A header as text.
    ///
    /// # Errors
    /// [`Code::BadHeader`] when it is not plain text.
    pub fn header(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.req.headers().get(name) else { return Ok(None) };
        value.to_str().map(Some).map_err(|_| bad_header(name, "must be plain ASCII"))
    }

    /// A header as a whole number.
    ///
    /// # Errors
    /// [`Code::BadHeader`].
    pub fn header_number(&self, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.header(name)? else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| bad_header(name, "must be a whole number"))
    }

    /// The version that If-Match demands; `-1`, which no row has, when the tag is none of ours.
    ///
    /// # Errors
    /// [`Code::BadHeader`] when several tags are named.
    pub fn if_match(&self) -> Result<Option<i64>> {
        let Some(text) = self.header(header::IF_MATCH.as_str())? else { return Ok(None) };
        match text.trim() {
            "*" => Ok(None),
            several if several.contains(',') => Err(bad_header("If-Match", "must be one ETag, or *")),
            tag => {
                let version = tag.strip_prefix("\"v").and_then(|it| it.strip_suffix('"'));
                Ok(Some(version.and_then(|it| it.parse().ok()).unwrap_or(-1)))
            }
        }
    }

    /// Holds If-Match against the ETag of what has no version of its own.
    ///
    /// # Errors
    /// [`Code::PreconditionFailed`].
    pub fn require_match(&self, tag: &str) -> Result<()> {
        match self.header(header::IF_MATCH.as_str())? {
            Some(sent) if !sent.split(',').map(str::trim).any(|it| it == "*" || it == tag) => {
                Err(Error::new(Code::PreconditionFailed, "It was changed after you read it."))
            }
            _ => Ok(()),
        }
    }

    /// The body as a JSON object (nothing = an empty one), and the key under which its answer is kept for a retry.
    ///
    /// # Errors
    /// As [`Call::json`]; [`Code::BadHeader`] for a wrong Idempotency-Key.
    pub async fn json_once(&mut self) -> Result<(Map<String, Value>, Option<Idempotency>)> {
        let bytes = self.bytes().await?;
        let once = self.once(&bytes)?;
        if bytes.is_empty() {
            return Ok((Map::new(), once));
        }
        body::require_json(self.req.headers())?;
        Ok((body::parse_object(&bytes)?, once))
    }

    /// The key under which the answer to a body is kept for a retry.
    ///
    /// # Errors
    /// [`Code::BadHeader`] for a wrong Idempotency-Key.
    pub fn once(&self, bytes: &[u8]) -> Result<Option<Idempotency>> {
        let (Some(key), Some(token)) = (self.header("Idempotency-Key")?, &self.token) else {
            return Ok(None);
        };
        let (method, path) = (self.req.method().as_str(), self.req.path());
        let parts = [method.as_bytes(), path.as_bytes(), bytes];
        Idempotency::new(&self.state.services, &token.id, key, &parts).map(Some)
    }

    /// The answer this very request was given before.
    ///
    /// # Errors
    /// [`Code::IdempotencyKeyReused`].
    pub fn recalled(&self, once: Option<&Idempotency>) -> Result<Option<HttpResponse>> {
        let Some(once) = once else { return Ok(None) };
        let Some(kept) = idempotency::recall(&self.state.services, once)? else { return Ok(None) };
        let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
        let mut response = reply::json(status, &kept.body)?;
        let id = &kept.body["id"];
        let id = id.as_str().map(str::to_owned).or_else(|| id.as_i64().map(|it| it.to_string()));
        if let (StatusCode::CREATED, Some(id)) = (status, id)
            && let Ok(place) =
                HeaderValue::from_str(&format!("{}/{id}", self.req.path().trim_end_matches('/')))
        {
            response.headers_mut().insert(header::LOCATION, place);
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(Some(response))
    }
}

/// The key of a request, when it opens a door that asks for `scope`.
async fn authorise(state: &HttpState, req: &HttpRequest, scope: Scope) -> Result<Arc<Token>> {
    let identity = state.identify(req)?;
    if let (Some(asked), Identity::Key(token)) = (Asked::current(), &identity) {
        asked.set_key_name(&token.name);
    }
    match identity {
        Identity::Key(token) if token.allows(scope) => Ok(token),
        Identity::Key(_) => {
            let detail = format!("This needs the scope `{}`.", scope.name());
            Err(Error::new(Code::ScopeMissing, detail).with_member("scope", scope.name()))
        }
        Identity::Nobody(code) => Err(Error::new(code, format!("{}.", code.title()))),
    }
}

fn bad_path(name: &str, part: &str, message: &str) -> Error {
    let shown: String = part.chars().take(64).collect();
    Error::new(Code::BadPath, format!("`{name}` in the path {message}; it is `{}`.", shown.escape_debug()))
}

fn bad_header(name: &str, message: &str) -> Error {
    Error::new(Code::BadHeader, format!("The header {name} {message}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_access_asks_for_its_own_scope() {
        assert_eq!(scope::ClipsRead::SCOPE, Some(Scope::ClipsRead));
        assert_eq!(scope::TokensManage::SCOPE, Some(Scope::TokensManage));
        assert_eq!(Open::SCOPE, None);
    }
}
