//! The files of plugins: read, and changed while they run.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde_json::{Value, json};

use crate::error::{Code, Error, FieldError, Result};
use crate::model::plugin_version::Authorship;
use crate::plugins::manager::SourceChange;
use crate::plugins::sources;

use super::call::{Access, Call, scope};
use super::digest;
use super::query::{Kind, Param, param};
use super::reply;

/// Whether the draft is changed instead.
pub(super) const DRAFT: &[Param] =
    &[param("draft", Kind::Flag, "Changes the plugin's draft, which is not live, and answers it.")];

/// Why a file is changed.
pub(super) const NOTE: &[Param] = &[param("note", Kind::Text, "Why; kept with the version.")];

/// What a client believes a file to be.
pub(super) enum Believed {
    /// There, with this hash.
    Hash(Arc<str>),
    /// There.
    Existing,
    /// Not there.
    Absent,
}

/// Tries aside what lies in the folder.
pub(super) async fn validate(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.validate(call.part("id")).await?)
}

/// The files of a plugin by path.
pub(super) async fn list(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let items = call.state.manager.files(call.part("id")).await?;
    reply::hashed(&call.req, &json!({ "items": items, "total": items.len() }))
}

/// The bytes of one file.
pub(super) async fn get(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let content = call.state.manager.file(call.part("id"), &path_of(&call)).await?;
    answer(&call, &content)
}

/// Writes one file; the plugin runs with it when this is answered.
pub(super) async fn put(mut call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let (id, path) = (call.part("id").to_owned(), path_of(&call));
    sources::check(&path)?;
    let believed = believed(&call, &path)?;
    let draft = call.query.flag("draft").unwrap_or(false);
    let content: Arc<[u8]> = call.file().await?.to_vec().into();
    write(&call, &id, &path, content, believed, draft).await
}

/// Deletes one file; the plugin runs without it when this is answered.
pub(super) async fn delete(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let (id, path) = (call.part("id").to_owned(), path_of(&call));
    let draft = call.query.flag("draft").unwrap_or(false);
    remove(&call, &id, &path, draft).await
}

/// Gives a file another name.
pub(super) async fn rename(mut call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let mut body = call.json().await?;
    let mut faults = Vec::new();
    let fault = |pointer: String, message: &str| FieldError { pointer, message: message.to_owned() };
    let mut path = |name: &str| match body.shift_remove(name) {
        Some(Value::String(path)) => path,
        _ => {
            faults.push(fault(format!("/{name}"), "must be the path of a file"));
            String::new()
        }
    };
    let (from, to) = (path("from"), path("to"));
    faults.extend(body.keys().map(|it| fault(format!("/{it}"), "is not a field here; known are from, to")));
    if !faults.is_empty() {
        return Err(Error::fields(faults));
    }
    if from == to {
        return Err(Error::field("/to", "must be another path than `from`"));
    }
    sources::inside(&from)?;
    sources::check(&to)?;
    let id = call.part("id").to_owned();
    let draft = call.query.flag("draft").unwrap_or(false);
    let expected = expected(&call, &id, &from, believed(&call, &from)?, draft).await?;
    let content = current(&call, &id, &from, draft).await?;
    let change = SourceChange {
        put: [(to.clone(), Arc::clone(&content))].into(),
        delete: [from.clone()].into(),
        expects: vec![(from, expected), (to, None)],
    };
    let tag = sources::etag(&sources::hash(&content));
    save(&call, &id, change, draft, StatusCode::OK, Some(tag)).await
}

/// The whole plugin as a zip file.
pub(super) async fn archive(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let (name, bytes) = call.state.manager.archive(call.part("id")).await?;
    let tag = sources::etag(&sources::hash(&bytes));
    if reply::none_match(&call.req, &tag) {
        return Ok(reply::not_modified(&tag));
    }
    let mut response = HttpResponse::Ok();
    if let Some(digest) = digest::made(call.req.headers(), &bytes) {
        response.insert_header(("repr-digest", digest));
    }
    Ok(response
        .insert_header((header::CONTENT_TYPE, "application/zip"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.zip\"")))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::ETAG, tag))
        .body(bytes))
}

/// Writes one file, live or into the draft.
pub(super) async fn write<A: Access>(
    call: &Call<A>,
    id: &str,
    path: &str,
    content: Arc<[u8]>,
    believed: Believed,
    draft: bool,
) -> Result<HttpResponse> {
    let is_new = matches!(believed, Believed::Absent);
    let tag = sources::etag(&sources::hash(&content));
    let expected = expected(call, id, path, believed, draft).await?;
    let change = SourceChange {
        put: [(path.to_owned(), content)].into(),
        expects: vec![(path.to_owned(), expected)],
        ..SourceChange::default()
    };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = save(call, id, change, draft, status, Some(tag)).await?;
    if let (true, Ok(place)) = (is_new, HeaderValue::from_str(call.req.path().trim_end_matches('/'))) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Deletes one file, live or in the draft.
pub(super) async fn remove<A: Access>(
    call: &Call<A>,
    id: &str,
    path: &str,
    draft: bool,
) -> Result<HttpResponse> {
    sources::inside(path)?;
    let expected = expected(call, id, path, believed(call, path)?, draft).await?;
    if expected.is_none() {
        return Err(Error::new(Code::BadHeader, "The header If-None-Match says that the file is not there."));
    }
    let change = SourceChange {
        delete: [path.to_owned()].into(),
        expects: vec![(path.to_owned(), expected)],
        ..SourceChange::default()
    };
    save(call, id, change, draft, StatusCode::OK, None).await
}

/// The path of a file in the request; also one whose `/` came escaped, as generated clients send it.
pub(super) fn path_of<A: Access>(call: &Call<A>) -> String {
    let mut path = call.part("path").to_owned();
    // These three are left as they are by the router.
    for (escaped, plain) in [("%2F", "/"), ("%2f", "/"), ("%2B", "+"), ("%2b", "+"), ("%25", "%")] {
        path = path.replace(escaped, plain);
    }
    path
}

/// Answers with the bytes of a file, as nothing that a browser would run.
pub(super) fn answer<A: Access>(call: &Call<A>, content: &[u8]) -> Result<HttpResponse> {
    let tag = sources::etag(&sources::hash(content));
    if reply::none_match(&call.req, &tag) {
        return Ok(reply::not_modified(&tag));
    }
    let kind = match std::str::from_utf8(content) {
        Ok(_) => "text/plain; charset=utf-8",
        Err(_) => "application/octet-stream",
    };
    let mut response = HttpResponse::Ok();
    if let Some(digest) = digest::made(call.req.headers(), content) {
        response.insert_header(("repr-digest", digest));
    }
    Ok(response
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::ETAG, tag))
        .body(content.to_vec()))
}

/// What the headers say that a file is; nobody overwrites what they have not seen.
pub(super) fn believed<A: Access>(call: &Call<A>, path: &str) -> Result<Believed> {
    let matching = call.header(header::IF_MATCH.as_str())?.map(str::trim);
    let none = call.header(header::IF_NONE_MATCH.as_str())?.map(str::trim);
    match (matching, none) {
        (Some("*"), None) => Ok(Believed::Existing),
        (Some(tag), None) => {
            let hash = tag.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            let hash = hash.filter(|it| it.len() == 64 && it.bytes().all(|it| it.is_ascii_hexdigit()));
            // A tag that is none of ours fits no file.
            Ok(Believed::Hash(hash.unwrap_or("-").into()))
        }
        (None, Some("*")) => Ok(Believed::Absent),
        (None, Some(_)) => Err(Error::new(Code::BadHeader, "The header If-None-Match must be `*` here.")),
        (Some(_), Some(_)) => {
            Err(Error::new(Code::BadHeader, "Send either If-Match or If-None-Match, not both."))
        }
        (None, None) => {
            let shown: String = path.chars().take(120).collect();
            let detail = format!(
                "Whether `{}` is changed or made must be said, so that nobody overwrites what somebody else has saved.",
                shown.escape_debug()
            );
            Err(Error::new(Code::PreconditionRequired, detail).with_hint(
                "For a file that is there send If-Match with its ETag, for a new one If-None-Match: *.",
            ))
        }
    }
}

/// Who changes a plugin's files, and why.
pub(super) fn authorship<A: Access>(call: &Call<A>) -> Authorship {
    Authorship { note: call.query.text("note"), ..Authorship::api(&call.actor()) }
}

/// The hash that a file must have when the change is made; none = it must not be there.
async fn expected<A: Access>(
    call: &Call<A>,
    id: &str,
    path: &str,
    believed: Believed,
    draft: bool,
) -> Result<Option<Arc<str>>> {
    match believed {
        Believed::Hash(hash) => Ok(Some(hash)),
        Believed::Absent => Ok(None),
        Believed::Existing => Ok(Some(sources::hash(&current(call, id, path, draft).await?).into())),
    }
}

async fn current<A: Access>(call: &Call<A>, id: &str, path: &str, draft: bool) -> Result<Arc<[u8]>> {
    match draft {
        true => call.state.manager.draft_file(id, path).await,
        false => call.state.manager.file(id, path).await,
    }
}

async fn save<A: Access>(
    call: &Call<A>,
    id: &str,
    change: SourceChange,
    draft: bool,
    status: StatusCode,
    tag: Option<String>,
) -> Result<HttpResponse> {
    let manager = &call.state.manager;
    let mut response = match draft {
        true => reply::json(status, &manager.change_draft(id, change, &call.actor()).await?)?,
        false => reply::json(status, &manager.save_files(id, change, authorship(call)).await?)?,
    };
    if let Some(Ok(tag)) = tag.map(|it| HeaderValue::from_str(&it)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}
