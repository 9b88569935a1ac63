//! The OpenAPI 3.1 document, made from the table of routes.

pub mod bodies;
mod headers;
mod parts;
pub mod plugins;
pub mod schema;

use std::collections::BTreeMap;

use actix_web::http::Method;
use serde_json::{Map, Value, json};

use crate::error::Code;

use super::query::{Kind, Param};
use super::route::{Gives, Route, Takes};
use super::tus;
use headers::{header_doc, header_schema, told_doc};
use schema::Components;

#[cfg(test)]
mod tests;

/// The document of some routes.
pub fn document(routes: &[Route]) -> Value {
    let mut components = Components::default();
    schema::problem(&mut components);
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operation = operation(route, &mut components);
        let item = paths.entry(open_path(route.path)).or_insert_with(|| json!({}));
        item[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "panotti",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A recording and clip server that its users extend with Lua plugins.",
            "description": DESCRIPTION,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/", "description": "This server." }],
        "tags": tags(routes),
        "paths": paths,
        "components": {
            "schemas": components.0,
            "securitySchemes": {
                "apiKey": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key `pnt_<id>_<secret>`; the first one lies in `<data_dir>/admin.token`." },
                "bearer": { "type": "http", "scheme": "bearer", "description": "The same key as a bearer token." },
            },
        },
    })
}

const DESCRIPTION: &str = "Everything under `/api/v1` takes and gives JSON. Errors are `application/problem+json`. \
    Times are RFC 3339 in UTC, durations seconds, sizes bytes. Lists take `page` and `page_size` (or `skip` and `limit`); \
    resources carry an ETag for If-None-Match and If-Match; a POST that creates takes an Idempotency-Key. \
    Every answer carries X-Request-Id; a W3C traceparent is kept. With `X-Panotti-Timing: 1` and a key of the scope `plugins:read` answers \
    carry Server-Timing: what each plugin, the database and the whole took. To a key that has a limit they tell it in \
    RateLimit-Policy and RateLimit; one request too many is answered 429 with Retry-After.";

fn operation(route: &Route, components: &mut Components) -> Value {
    let mut operation = json!({
        "operationId": route.operation,
        "tags": [tag_of(route.path)],
        "summary": route.summary,
        "description": describe(route),
        "parameters": parameters(route),
        "responses": responses(route, components),
    });
    if let Some(body) = request_body(route.takes, components) {
        operation["requestBody"] = body;
    }
    operation["security"] = match route.scope {
        Some(_) => json!([{ "apiKey": [] }, { "bearer": [] }]),
        None => json!([]),
    };
    operation
}

fn describe(route: &Route) -> String {
    match route.scope {
        Some(scope) => format!("{} Needs a key with the scope `{}`.", route.summary, scope.name()),
        None => format!("{} Needs no scope.", route.summary),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let mut parameters = Vec::new();
    for name in parts_of(route.path) {
        let schema = parts::schema(name, route.path);
        let doc = part_doc(name, route.path);
        parameters.push(
            json!({ "name": name, "in": "path", "required": true, "description": doc, "schema": schema }),
        );
    }
    for param in route.query.iter().flatten().copied().flatten() {
        parameters.push(query_parameter(param));
    }
    for name in &route.headers {
        parameters.push(json!({
            "name": name, "in": "header", "required": *name == "X-HTTP-Method-Override",
            "description": header_doc(name, &route.method), "schema": header_schema(name),
        }));
    }
    parameters
}

fn query_parameter(param: &Param) -> Value {
    let one = match param.kind {
        Kind::Text => json!({ "type": "string", "maxLength": 1000 }),
        Kind::Whole(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Time => json!({ "anyOf": [
            { "type": "string", "format": "date-time" },
            { "type": "integer", "format": "int64", "minimum": 0, "description": "Unix seconds." },
        ] }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::SomeOf(words) => {
            json!({ "type": "array", "minItems": 1, "items": { "type": "string", "enum": words } })
        }
    };
    let schema = if param.repeat { json!({ "type": "array", "items": one }) } else { one };
    let explode = !matches!(param.kind, Kind::SomeOf(_));
    json!({
        "name": param.name, "in": "query", "required": false, "description": param.doc,
        "schema": schema, "style": "form", "explode": explode,
    })
}

fn request_body(takes: Takes, components: &mut Components) -> Option<Value> {
    let (required, description, content) = match takes {
        Takes::Nothing => return None,
        Takes::Json(schema) => {
            (true, "A JSON object.", json!({ "application/json": { "schema": schema(components) } }))
        }
        Takes::JsonOf(kinds) => {
            let each = kinds
                .iter()
                .map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema(components) })));
            (true, "JSON of one of these kinds.", Value::Object(each.collect()))
        }
        Takes::JsonOrNothing(schema) => (
            false,
            "A JSON object, or nothing.",
            json!({ "application/json": { "schema": schema(components) } }),
        ),
        Takes::Anything => (false, "Whatever it takes, of any content type.", any_body()),
        Takes::Piece { required } => {
            let bytes = json!({ "type": "string", "format": "binary" });
            (required, "A piece of the file.", json!({ tus::OFFSET_STREAM: { "schema": bytes } }))
        }
        Takes::Media => {
            let bytes = json!({ "type": "string", "format": "binary" });
            (true, "The bytes of the file.", json!({ "application/octet-stream": { "schema": bytes } }))
        }
    };
    Some(json!({ "required": required, "description": description, "content": content }))
}

/// A body of any kind. Not `*/*`: generators of clients leave out a route that takes that.
fn any_body() -> Value {
    let bytes = json!({ "type": "string", "format": "binary" });
    json!({ "application/json": { "schema": {} }, "application/octet-stream": { "schema": bytes } })
}

/// An answer of any kind: generators of clients take the first one, which they know.
fn any_bytes(first: &str) -> Value {
    let bytes = json!({ "schema": { "type": "string", "format": "binary" } });
    let mut content = Map::new();
    content.insert(first.to_owned(), bytes);
    content.insert("*/*".to_owned(), json!({ "schema": {} }));
    Value::Object(content)
}

fn responses(route: &Route, components: &mut Components) -> Value {
    let mut responses = Map::new();
    for (status, gives) in &route.gives {
        let mut response = responses
            .remove(&status.to_string())
            .unwrap_or_else(|| json!({ "description": success_doc(*status, *gives) }));
        response["headers"] = json!({ "X-Request-Id": { "description": "The id of the request in the log.", "schema": { "type": "string" } } });
        for name in &route.tells {
            response["headers"][*name] =
                json!({ "description": told_doc(name), "schema": { "type": "string" } });
        }
        match gives {
            Gives::Nothing => {}
            Gives::Json(schema) => {
                response["content"] = json!({ "application/json": { "schema": schema(components) } });
            }
            Gives::Media => {
                response["content"] = any_bytes("application/octet-stream");
            }
            Gives::Text => {
                response["content"] = json!({ "text/plain": { "schema": { "type": "string" } } });
            }
            Gives::Diff => response["content"]["text/x-diff"] = json!({ "schema": { "type": "string" } }),
            Gives::Events => {
                response["content"] = json!({ "text/event-stream": { "schema": { "type": "string" } } });
            }
            Gives::Static => {
                response["content"] = any_bytes("text/html");
            }
        }
        responses.insert(status.to_string(), response);
    }
    if route.method == Method::GET && route.headers.contains(&"If-None-Match") {
        let same = json!({ "description": success_doc(304, Gives::Nothing) });
        responses.entry("304").or_insert(same);
    }
    for (status, codes) in failures(route) {
        let told: Vec<String> = codes.iter().map(|it| format!("`{}`: {}.", it.name(), it.title())).collect();
        let problem = schema::problem(components);
        let content = json!({ "application/problem+json": { "schema": problem } });
        responses.insert(status.to_string(), json!({ "description": told.join(" "), "content": content }));
    }
    Value::Object(responses)
}

/// What a route can answer beside success, by status.
fn failures(route: &Route) -> BTreeMap<u16, Vec<Code>> {
    let mut codes: Vec<Code> = route.fails.to_vec();
    if route.query.iter().flatten().next().is_some() {
        codes.push(Code::BadQuery);
    }
    if parts_of(route.path).next().is_some() && route.scope.is_some() {
        codes.push(Code::BadPath);
    }
    if !route.headers.is_empty() {
        codes.push(Code::BadHeader);
    }
    if route.headers.contains(&"Repr-Digest") {
        codes.push(Code::DigestMismatch);
    }
    if route.scope.is_some() {
        codes.extend([Code::KeyMissing, Code::KeyInvalid, Code::ScopeMissing, Code::TooManyRequests]);
    }
    match route.takes {
        Takes::Nothing => {}
        Takes::Json(_) | Takes::JsonOf(_) | Takes::JsonOrNothing(_) => codes.extend([
            Code::NotJson,
            Code::BodyTimeout,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::Invalid,
        ]),
        Takes::Anything => codes.extend([Code::NotJson, Code::BodyTimeout, Code::TooLarge]),
        Takes::Piece { .. } => codes.extend([
            Code::IncompleteBody,
            Code::BodyTimeout,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::DiskFull,
        ]),
        Takes::Media => {
            codes.extend([Code::IncompleteBody, Code::BodyTimeout, Code::TooLarge, Code::DiskFull])
        }
    }
    if route.headers.contains(&"If-Match") {
        codes.push(Code::PreconditionFailed);
    }
    if route.headers.contains(&"Idempotency-Key") {
        codes.push(Code::IdempotencyKeyReused);
    }
    codes.extend([Code::Misdirected, Code::TooManyRequests, Code::Internal, Code::Overloaded]);
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let here = by_status.entry(code.status()).or_default();
        if !here.contains(&code) {
            here.push(code);
        }
    }
    by_status
}

fn success_doc(status: u16, gives: Gives) -> &'static str {
    match (status, gives) {
        (201, _) => "Made; Location says where.",
        (204, _) => "Done.",
        (206, _) => "The range that was asked for.",
        (304, _) => "The client has this version already.",
        (_, Gives::Media) => "The whole file.",
        (_, Gives::Static) => "The page.",
        _ => "All went well.",
    }
}

fn tags(routes: &[Route]) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for route in routes {
        if !names.contains(&tag_of(route.path)) {
            names.push(tag_of(route.path));
        }
    }
    names.into_iter().map(|it| json!({ "name": it })).collect()
}

/// The noun of a path: clips, recordings, …; the older clients' routes stand together.
fn tag_of(path: &'static str) -> &'static str {
    match path.strip_prefix("/api/v1/") {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None if path.starts_with("/api/docs") || path == "/api/openapi.json" => "documents",
        None if path.ends_with('z') => "health",
        None => "older clients",
    }
}

/// A path as OpenAPI writes it: without the patterns of its parts.
fn open_path(path: &str) -> String {
    let mut open = String::with_capacity(path.len());
    let mut pattern = false;
    for c in path.chars() {
        pattern = (pattern || c == ':') && c != '}';
        if !pattern {
            open.push(c);
        }
    }
    open
}

fn parts_of(path: &'static str) -> impl Iterator<Item = &'static str> {
    let inner = path.split('{').skip(1).filter_map(|it| it.split('}').next());
    inner.map(|it| it.split(':').next().unwrap_or(it))
}

fn part_doc(name: &str, path: &str) -> &'static str {
    match name {
        "id" if path.contains("/plugins/") => "The plugin's number or name.",
        "id" if path.contains("/clips/") => "The clip's number.",
        "id" if path.contains("/schedules/") => "The schedule's number.",
        "id" if path.contains("/tokens/") => "The key's id: the middle part of `pnt_<id>_<secret>`.",
        "id" if path.contains("/events/") => "The event's id.",
        "id" if path.contains("/recordings/") => "The recording's id.",
        "id" if path.contains("/webhooks/") => "The webhook's id.",
        "replay_id" => "The replay's number.",
        "delivery_id" => "The number of the delivery.",
        "correlation_id" => "The id that the events share: of a request, or of the first event.",
        "event_id" => "The event's id.",
        "trace_id" => "The id of a recorded call.",
        "type" => "The type of the events.",
        "upload_id" => "The upload's id, the last part of its Location.",
        "track" => "The track's name: 1 to 64 of a-z 0-9 _ -.",
        "config_id" => "The number of the config row.",
        "hook" => "The hook's name.",
        "name" => "The name of the asset.",
        "version" => "The number of the version.",
        "backup_id" => "The backup's id, as the list tells it.",
        "path" if path.contains("/files/") => {
            "The file's path in the plugin's folder, such as `lib/words.lua`."
        }
        "path" => "What the plugin's route takes.",
        "file" => "A file of the page.",
        _ => "",
    }
}
