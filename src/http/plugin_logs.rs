//! What plugins say, and what the server says of them: the last lines, and lines as they come.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::Result;
use crate::model::log_line::LogLevel;
use crate::services::Services;
use crate::services::plugin_logs::{PluginLog, WantedLines};

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;
use super::sse::{self, CHECK, Listener, RETRY_MS};

/// Lines an answer holds when nobody says how many, and at most.
const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1000;
/// Lines that come together are sent together.
const PAUSE: Duration = Duration::from_millis(50);
/// Lines that are sent at once.
const PIECE: usize = 200;

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
    let after = sse::goes_on_after(&call, "the id of a line")?;
    let listener = Listener::of(&call)?;
    let services = call.state.services.clone();
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
        listener,
        services,
        began: false,
        ended: false,
    };
    let pieces = stream::unfold(live, |mut live| async move { Some((live.piece().await?, live)) });
    Ok(sse::answer(call.req.method(), pieces))
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
    listener: Listener,
    services: Services,
    began: bool,
    ended: bool,
}

impl Live {
    /// What is sent next; none = the stream ends.
    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if self.ended {
                return None;
            }
            if self.listener.place.has_ended() {
                return Some(self.end("server_stopping"));
            }
            if !self.listener.key_works() {
                return Some(self.end("key_ended"));
            }
            let after = self.wanted.after.unwrap_or(0);
            if !self.began {
                self.began = true;
                let data = json!({ "after": after });
                return Some(
                    self.listener
                        .say(format!("retry: {RETRY_MS}\nevent: start\nid: {after}\ndata: {data}\n\n")),
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
                return Some(self.listener.say(text));
            }
            if is_closed {
                return Some(self.end("plugin_deleted"));
            }
            tokio::select! {
                () = self.listener.place.ended() => {}
                told = timeout(CHECK, self.news.changed()) => match told {
                    // Its sender lives as long as the services.
                    Ok(_) => tokio::time::sleep(PAUSE).await,
                    Err(_) if self.listener.wants_heartbeat() => {
                        return Some(self.listener.say(format!(": heartbeat\nid: {}\n\n", page.next)));
                    }
                    Err(_) => {}
                },
            }
        }
    }

    /// The last words: why nothing comes any more.
    fn end(&mut self, reason: &str) -> Bytes {
        self.ended = true;
        self.listener.say(format!("event: end\ndata: {}\n\n", json!({ "reason": reason })))
    }
}
