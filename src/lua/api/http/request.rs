//! What a script wants to be sent.

use std::time::Duration;

use mlua::{Table, Value};
use url::Url;

use crate::lua::context::ApiContext;
use crate::lua::convert::{Budget, from_lua};

use super::super::args::Args;
use super::super::define::Raise;
use super::super::stubs::find_similar;
use super::super::url::append;

/// Bytes of an address.
const MAX_URL_BYTES: usize = 64 << 10;

/// What may stand beside the address.
const OPTIONS: &[&str] = &["headers", "query", "json", "body", "timeout"];

/// A request, checked as far as it can be without sending it.
pub(super) struct Wanted {
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) timeout: Option<Duration>,
}

impl Wanted {
    /// `get(url, options)` and the like.
    pub(super) fn at(method: &str, ctx: &ApiContext, args: &mut Args) -> Result<Wanted, Raise> {
        let url = args.text_up_to("url", MAX_URL_BYTES)?;
        let url = Url::parse(&url)
            .map_err(|error| args.wrong_because("url", &format!("is no address: {error}")))?;
        let mut wanted = Wanted::new(method, url);
        match args.any() {
            Value::Nil => {}
            Value::Table(options) => wanted.read(ctx, args, "options", &options, OPTIONS)?,
            other => {
                return Err(
                    args.wrong_because("options", &format!("must be a table, got {}", other.type_name()))
                );
            }
        }
        Ok(wanted)
    }

    /// `request{url, method, …}`.
    pub(super) fn whole(ctx: &ApiContext, args: &mut Args) -> Result<Wanted, Raise> {
        let table = args.table("request")?;
        let text = |key: &str| -> Result<Option<String>, Raise> {
            match table.raw_get::<Value>(key)? {
                Value::Nil => Ok(None),
                Value::String(it) if it.as_bytes().len() <= MAX_URL_BYTES => Ok(Some(it.to_string_lossy())),
                _ => Err(args.wrong_because("request", &format!("has no text as its {key}"))),
            }
        };
        let url = text("url")?.unwrap_or_default();
        let url = Url::parse(&url)
            .map_err(|error| args.wrong_because("request", &format!("has no address as its url: {error}")))?;
        let method = text("method")?.unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
        if method.is_empty()
            || method.len() > 32
            || !method.bytes().all(|it| it.is_ascii_uppercase())
            || method == "CONNECT"
        {
            return Err(args.wrong_because("request", "has a method that is not sent"));
        }
        let mut wanted = Wanted::new(&method, url);
        wanted.read(
            ctx,
            args,
            "request",
            &table,
            &["url", "method", "headers", "query", "json", "body", "timeout"],
        )?;
        Ok(wanted)
    }

    fn new(method: &str, url: Url) -> Wanted {
        Wanted { method: method.to_owned(), url, headers: Vec::new(), body: None, timeout: None }
    }

    fn read(
        &mut self,
        ctx: &ApiContext,
        args: &Args,
        name: &str,
        table: &Table,
        known: &[&str],
    ) -> Result<(), Raise> {
        let wrong = |key: &str, what: &str| args.wrong_because(&format!("{name}.{key}"), what);
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            let key = key.to_string()?;
            match (key.as_str(), value) {
                ("url" | "method", _) if known.contains(&key.as_str()) => {}
                ("headers", Value::Table(headers)) => {
                    for pair in headers.pairs::<String, String>() {
                        let (name, text) = pair.map_err(|_| wrong("headers", "must be names and texts"))?;
                        // What would end the line is the script's mistake, not the world's.
                        if text.bytes().any(|it| it < 32 && it != 9 || it == 127) || name.is_empty() {
                            return Err(wrong("headers", "has a name or text that HTTP does not allow"));
                        }
                        self.headers.push((name.to_ascii_lowercase(), text));
                    }
                }
                ("query", value) => {
                    let serde_json::Value::Object(fields) = self.json(args, name, "query", &value)? else {
                        return Err(wrong("query", "must be a table of named values"));
                    };
                    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
                    for (name, value) in &fields {
                        append(&mut pairs, name, value)?;
                    }
                    let mut query = self.url.query().map(|it| format!("{it}&")).unwrap_or_default();
                    query.push_str(&pairs.finish());
                    self.url.set_query(Some(query.as_str()).filter(|it| !it.is_empty()));
                }
                ("json", value) => {
                    if self.body.is_some() {
                        return Err(wrong("json", "must not stand beside body"));
                    }
                    self.body = Some(self.json(args, name, "json", &value)?.to_string().into_bytes());
                    if !self.headers.iter().any(|(it, _)| it == "content-type") {
                        self.headers.push(("content-type".to_owned(), "application/json".to_owned()));
                    }
                }
                ("body", Value::String(it)) => {
                    if self.body.is_some() {
                        return Err(wrong("body", "must not stand beside json"));
                    }
                    self.body = Some(it.as_bytes().to_vec());
                }
                ("timeout", Value::Integer(it)) if it > 0 => {
                    self.timeout = Some(Duration::from_secs(it.unsigned_abs()))
                }
                ("timeout", Value::Number(it)) if it > 0.0 && it.is_finite() => {
                    self.timeout = Some(Duration::try_from_secs_f64(it).unwrap_or(Duration::MAX));
                }
                ("headers", _) => return Err(wrong("headers", "must be a table of names and texts")),
                ("body", _) => return Err(wrong("body", "must be a string")),
                ("timeout", _) => return Err(wrong("timeout", "must be seconds above 0")),
                (other, _) => {
                    let near = find_similar(other, known.iter().copied());
                    let near = near.map(|it| format!(" (did you mean '{it}'?)")).unwrap_or_default();
                    let other = crate::lua::fault::clean(other, 64);
                    return Err(args.wrong_because(name, &format!("has an unknown key '{other}'{near}")));
                }
            }
        }
        // A content type of the script's own stands, wherever it came in the table.
        let own = self.headers.iter().filter(|(it, _)| it == "content-type").count();
        if own > 1 {
            let at = self
                .headers
                .iter()
                .position(|(name, text)| name == "content-type" && text == "application/json");
            at.map(|at| self.headers.remove(at));
        }
        let most = usize::try_from(ctx.limits.http_body_mib << 20).unwrap_or(usize::MAX);
        match &self.body {
            Some(body) if body.len() > most => Err(Raise::Limit(format!(
                "the body has {} bytes; {} MiB are sent at most (limits.http_body_mib)",
                body.len(),
                ctx.limits.http_body_mib
            ))),
            _ => Ok(()),
        }
    }

    fn json(&self, args: &Args, name: &str, key: &str, value: &Value) -> Result<serde_json::Value, Raise> {
        from_lua(args.shapes(), value, Budget::default()).map_err(|fault| {
            let text = format!("{name}.{key}: {fault}");
            if fault.is_limit { Raise::Limit(text) } else { Raise::Convert(text) }
        })
    }
}
