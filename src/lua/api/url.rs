//! `panotti.url`: addresses, taken apart and put together.

use mlua::Table;
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use super::define::{Build, Raise, Reply};

/// Bytes of text that are worked through at once.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// Bytes of an address.
const MAX_URL_BYTES: usize = 64 << 10;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let parse = build.function("panotti.url.parse", |_, _, args| {
        Ok(answer(Url::parse(&args.text_up_to("url", MAX_URL_BYTES)?).map(|url| parts(&url))))
    })?;
    module.raw_set("parse", parse)?;
    let join = build.function("panotti.url.join", |_, _, args| {
        let (base, path) = (args.text_up_to("base", MAX_URL_BYTES)?, args.text_up_to("path", MAX_URL_BYTES)?);
        let joined = Url::parse(&base).and_then(|base| base.join(&path));
        Ok(answer(joined.map(|url| Value::String(url.into()))))
    })?;
    module.raw_set("join", join)?;
    let encode = build.function("panotti.url.encode", |_, _, args| {
        let bytes = args.bytes_up_to("text", MAX_TEXT_BYTES)?;
        Ok(Reply::Bytes(percent_encode(&bytes.as_bytes())))
    })?;
    module.raw_set("encode", encode)?;
    let decode = build.function("panotti.url.decode", |_, _, args| {
        let bytes = args.bytes_up_to("text", MAX_TEXT_BYTES)?;
        Ok(Reply::Bytes(percent_encoding::percent_decode(&bytes.as_bytes()).collect()))
    })?;
    module.raw_set("decode", decode)?;
    let query = build.function("panotti.url.query", |_, _, args| {
        let Value::Object(fields) = args.json("fields")? else {
            return Err(args.wrong_because("fields", "must be a table of named values"));
        };
        let mut text = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &fields {
            append(&mut text, name, value)?;
        }
        Ok(Reply::Bytes(text.finish().into_bytes()))
    })?;
    module.raw_set("query", query)?;
    let parse_query = build.function("panotti.url.parse_query", |_, _, args| {
        let text = args.bytes_up_to("text", MAX_TEXT_BYTES)?;
        let bytes = text.as_bytes();
        let pairs = form_urlencoded::parse(&bytes).into_owned();
        Ok(Reply::Json(Value::Object(pairs.map(|(name, value)| (name, Value::String(value))).collect())))
    })?;
    module.raw_set("parse_query", parse_query)?;
    Ok(module)
}

fn answer(result: Result<Value, url::ParseError>) -> Reply {
    match result {
        Ok(value) => Reply::Json(value),
        Err(err) => Reply::Failed { code: "not_url", message: err.to_string() },
    }
}

fn parts(url: &Url) -> Value {
    let mut parts = Map::new();
    let mut put = |name: &str, value: Option<Value>| value.map(|it| parts.insert(name.to_owned(), it));
    put("scheme", Some(url.scheme().into()));
    put("username", Some(url.username()).filter(|it| !it.is_empty()).map(Value::from));
    put("password", url.password().map(Value::from));
    put("host", url.host_str().map(Value::from));
    put("port", url.port_or_known_default().map(Value::from));
    put("path", Some(url.path().into()));
    put("query", url.query().map(Value::from));
    put("fragment", url.fragment().map(Value::from));
    put("href", Some(url.as_str().into()));
    json!(parts)
}

pub(super) fn append(
    text: &mut form_urlencoded::Serializer<'_, String>,
    name: &str,
    value: &Value,
) -> Result<(), Raise> {
    match value {
        Value::Null => {}
        // A script's empty table may be a list.
        Value::Object(it) if it.is_empty() => {}
        Value::String(it) => {
            text.append_pair(name, it);
        }
        Value::Bool(_) | Value::Number(_) => {
            text.append_pair(name, &value.to_string());
        }
        Value::Array(items) => {
            for item in items {
                append(text, name, item)?;
            }
        }
        Value::Object(_) => {
            return Err(Raise::Wrong(format!(
                "fields.{name} must be a string, number, boolean or a list of these"
            )));
        }
    }
    Ok(())
}

fn percent_encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}
