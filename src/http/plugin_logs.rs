//! What plugins say, and what the server says of them: the last lines, and lines as they come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{Method, header};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::error::{Code, Error, Result};
use crate::events::StreamPlace;
use crate::model::log_line::LogLevel;
use crate::services::plugin_logs::{PluginLog, WantedLines};
use crate::services::{Services, tokens};

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// Lines an answer holds when nobody says how many, and at most.
const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1000;
/// A stream with nothing to tell says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the key is looked at again.
const CHECK: Duration = Duration::from_secs(2);
/// Lines that come together are sent together.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines that are sent at once.
const PIECE: usize = 200;
/// A client that lost the connection waits so long.
const RETRY_MS: u64 = 2000;

/// Which lines.
pub(super) const FILTERS: &[Param] = &[
    param(
        "level",
        Kind::OneOf(&["debug", "info", "warn", "error"]),
        "Of this level and those that matter more; all without. Lines below the level of the server's log (`log`) are kept only when the plugin itself said them.",
    ),
    param("q", Kind::Text, "With this text in message, hook or fields, whatever its case."),
];

/// Which plugin, where the path names none.
pub(super) const PLUGIN: &[Param] =
    &[param("plugin", Kind::Text, "Of this plugin, by name or number; of all without.")];

/// The part of the lines.
pub(super) const WINDOW: &[Param] = &[
    param(
        "after",
        Kind::Whole(0, i64::MAX),
        "Lines behind the one with this id; the `next` of the answer before. The last lines without.",
    ),
    param("limit", Kind::Whole(1, MAX_LIMIT), "The most lines; 100 without."),
];

/// Where a stream begins.
pub(super) const STREAM: &[Param] = &[
    param("tail", Kind::Whole(0, MAX_LIMIT), "So many of the last lines come first; none without."),
    param(
        "last_event_id",
        Kind::Whole(0, i64::MAX),
        "Goes on behind the line with this id, for clients that cannot set the header Last-Event-ID; 0 = from the first one that is kept. The header counts before it.",
    ),
];

/// The last lines of a plugin or of all, or those behind a place; the oldest first.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let limit = call.query.whole("limit").unwrap_or(DEFAULT_LIMIT);
    let wanted = WantedLines {
        after: call.query.whole("after"),
        limit: usize::try_from(limit).unwrap_or(1),
        ..wanted(&call)?
    };
    reply::ok(&call.state.services.plugin_logs.read(&wanted))
}

/// Lines as they come, until the client goes, the plugin is deleted, the key ends or the server stops.
pub(super) async fn stream(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let wanted = WantedLines { limit: PIECE, ..wanted(&call)? };
    let after = match call.header("Last-Event-ID")?.map(str::trim) {
        None | Some("") => call.query.whole("last_event_id"),
        Some(sent) => {
            let place = sent.parse::<i64>().ok().filter(|it| *it >= 0);
            let detail = "The header Last-Event-ID must be the id of a line: a whole number from 0.";
            Some(place.ok_or_else(|| Error::new(Code::BadHeader, detail))?)
        }
    };
    let services = call.state.services.clone();
    let place = services.streams.enter()?;
    let logs = &services.plugin_logs;
    let followed = wanted.plugin.as_ref().map(|it| logs.of(&it.as_str().into()));
    let news = logs.news();
    let tail = call.query.whole("tail").and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
    let last = logs.last();
    let begin = match after {
        // A place that was never given is of another clock.
        Some(after) => after.min(last),
        None if tail == 0 => last,
        // One line before the first of the tail.
        None => {
            let tail = logs.read(&WantedLines { limit: tail, ..wanted.clone() });
            tail.items.first().map_or(last, |it| it.id - 1)
        }
    };
    let live = Live {
        wanted: WantedLines { after: Some(begin), ..wanted },
        followed,
        news,
        place,
        token: call.token.as_ref().map(|it| it.id.clone()).unwrap_or_default(),
        services,
        began: false,
        ended: false,
        spoke: Instant::now(),
        checked: Instant::now(),
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // A proxy that collects answers would hold the lines back.
        .insert_header(("x-accel-buffering", "no"));
    if call.req.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let pieces = stream::unfold(live, |mut live| async move {
        let piece = live.piece().await?;
        Some((Ok::<_, Infallible>(piece), live))
    });
    Ok(response.streaming(Box::pin(pieces)))
}

/// The lines that a query means.
fn wanted(call: &Call<scope::PluginsRead>) -> Result<WantedLines> {
    let named = Some(call.part("id")).filter(|it| !it.is_empty()).or_else(|| call.query.get("plugin"));
    // By its number, too; and nobody is told of a plugin that is not there that it says nothing.
    let plugin = named.map(|it| call.state.manager.get(it).map(|it| it.name)).transpose()?;
    let level = call.query.get("level").and_then(LogLevel::from_name);
    let q = call.query.text("q").filter(|it| !it.is_empty());
    Ok(WantedLines { level: level.unwrap_or(LogLevel::Debug), q, ..WantedLines::of(plugin) })
}

/// One stream. It is asked for a piece when the connection has room for one.
struct Live {
    wanted: WantedLines,
    /// The lines of the one plugin that is followed; they are closed when it is deleted.
    followed: Option<Arc<PluginLog>>,
    news: watch::Receiver<i64>,
    place: StreamPlace,
    services: Services,
    token: String,
    began: bool,
    ended: bool,
    spoke: Instant,
    checked: Instant,
}

impl Live {
    /// What is sent next; none = the stream ends.
    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if self.ended {
                return None;
            }
            if self.place.has_ended() {
                return Some(self.end("server_stopping"));
            }
            if !self.key_works() {
                return Some(self.end("key_ended"));
            }
            let after = self.wanted.after.unwrap_or(0);
            if !self.began {
                self.began = true;
                let data = json!({ "after": after });
                return Some(
                    self.say(format!("retry: {RETRY_MS}\nevent: start\nid: {after}\ndata: {data}\n\n")),
                );
            }
            // Seen before they are read: what is said during that wakes the next wait.
            self.news.mark_unchanged();
            let is_closed = self.followed.as_ref().is_some_and(|it| it.is_closed());
            let page = self.services.plugin_logs.read(&self.wanted);
            self.wanted.after = Some(page.next);
            let mut text = String::new();
            if page.gap {
                let data = json!({ "after": after, "first": page.items.first().map(|it| it.id) });
                text.push_str(&format!("event: gap\nid: {after}\ndata: {data}\n\n"));
            }
            for line in &page.items {
                let data = serde_json::to_string(&**line).unwrap_or_default();
                text.push_str(&format!("id: {}\ndata: {data}\n\n", line.id));
            }
            if !text.is_empty() {
                return Some(self.say(text));
            }
            if is_closed {
                return Some(self.end("plugin_deleted"));
            }
            tokio::select! {
                () = self.place.ended() => {}
                told = timeout(CHECK, self.news.changed()) => match told {
                    // Its sender lives as long as the services.
                    Ok(_) => tokio::time::sleep(PAUSE).await,
                    Err(_) if self.spoke.elapsed() >= HEARTBEAT => {
                        return Some(self.say(format!(": heartbeat\nid: {}\n\n", page.next)));
                    }
                    Err(_) => {}
                },
            }
        }
    }

    /// The last words: why nothing comes any more.
    fn end(&mut self, reason: &str) -> Bytes {
        self.ended = true;
        self.say(format!("event: end\ndata: {}\n\n", json!({ "reason": reason })))
    }

    fn say(&mut self, text: String) -> Bytes {
        self.spoke = Instant::now();
        Bytes::from(text)
    }

    /// Whether the key the stream was opened with still works; looked up now and then.
    fn key_works(&mut self) -> bool {
        if self.checked.elapsed() < CHECK {
            return true;
        }
        self.checked = Instant::now();
        tokens::still_works(&self.services, &self.token)
    }
}
