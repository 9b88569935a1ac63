//! The journal as server-sent events: what a client missed, then what is told, as fast as the client takes it.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{Method, header};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::error::{Code, Error, Result};
use crate::events::{EventStream, StreamPlace, Streamed};
use crate::model::event::Event;
use crate::services::{Services, tokens};

use super::call::{Call, scope};
use super::events;
use super::query::{Kind, Param, param};

/// A stream with nothing to tell says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the key is looked at again.
const CHECK: Duration = Duration::from_secs(2);
/// A client that lost the connection waits so long.
const RETRY_MS: u64 = 2000;
/// Events are sent together up to so many bytes.
const PIECE: usize = 32 << 10;

/// Where a stream begins, and how its events are named.
pub(super) const STREAM: &[Param] = &[
    param(
        "last_event_id",
        Kind::Whole(0, i64::MAX),
        "Goes on after this sequence, for clients that cannot set the header Last-Event-ID; 0 = from the beginning. The header counts before it.",
    ),
    param(
        "event_name",
        Kind::OneOf(&["type", "message"]),
        "`type`: each event has its type as its name, as without it; `message`: none has a name, so that one listener hears all; `start` and `gap` keep theirs.",
    ),
];

/// Streams events until the client goes, the key ends or the server stops.
pub(super) async fn stream(call: Call<scope::EventsRead>) -> Result<HttpResponse> {
    let filter = events::filter(&call)?;
    let after = match call.header("Last-Event-ID")?.map(str::trim) {
        None | Some("") => call.query.whole("last_event_id"),
        Some(sent) => {
            let place = sent.parse::<i64>().ok().filter(|it| *it >= 0);
            let detail = "The header Last-Event-ID must be the sequence of an event: a whole number from 0.";
            Some(place.ok_or_else(|| Error::new(Code::BadHeader, detail))?)
        }
    };
    let services = call.state.services.clone();
    let place = services.streams.enter()?;
    let following = EventStream::open(&services.store, &services.journal, filter, after).await?;
    let live = Live {
        following,
        place,
        services,
        token: call.token.as_ref().map(|it| it.id.clone()).unwrap_or_default(),
        named: call.query.get("event_name") != Some("message"),
        waiting: Vec::new().into_iter(),
        told: None,
        spoke: Instant::now(),
        checked: Instant::now(),
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // A proxy that collects answers would hold the events back.
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

/// One stream. It is asked for a piece when the connection has room for one.
struct Live {
    following: EventStream,
    place: StreamPlace,
    services: Services,
    token: String,
    named: bool,
    /// Read, and not sent yet: one page at most.
    waiting: std::vec::IntoIter<(i64, Event)>,
    /// The last id the client was told.
    told: Option<i64>,
    spoke: Instant,
    checked: Instant,
}

impl Live {
    /// What is sent next; none = the stream ends.
    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if self.place.has_ended() || !self.key_works() {
                return None;
            }
            if self.told.is_none() {
                // Without an id, a client that loses the connection before the first event would miss some; and some
                // clients read an id only where there are data.
                let at = self.following.at();
                let data = json!({ "sequence": at.to_string() });
                return Some(
                    self.say(at, format!("retry: {RETRY_MS}\nevent: start\nid: {at}\ndata: {data}\n\n")),
                );
            }
            if let Some(piece) = self.events() {
                return Some(piece);
            }
            let next = tokio::select! {
                () = self.place.ended() => return None,
                next = timeout(CHECK, self.following.next()) => next,
            };
            match next {
                Ok(Ok(Streamed::Events(rows))) => self.waiting = rows.into_iter(),
                Ok(Ok(Streamed::Gap { from, to })) => {
                    let data = json!({ "from": from.to_string(), "to": to.to_string() });
                    let at = self.following.at();
                    return Some(self.say(at, format!("event: gap\nid: {at}\ndata: {data}\n\n")));
                }
                Ok(Err(error)) if error.code == Code::Overloaded => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Ok(Err(error)) => {
                    log::error!("a stream of events ends: {error} {:?}", error.source);
                    return None;
                }
                Err(_) if self.spoke.elapsed() >= HEARTBEAT => return Some(self.heartbeat()),
                Err(_) => {}
            }
        }
    }

    /// Events that were read, as many as go together.
    fn events(&mut self) -> Option<Bytes> {
        let (mut text, mut last) = (String::new(), None);
        while text.len() < PIECE
            && let Some((seq, event)) = self.waiting.next()
        {
            if self.named {
                text.push_str(&format!("event: {}\n", event.kind));
            }
            text.push_str(&format!("id: {seq}\ndata: {}\n\n", event.to_placed_cloud_event(seq)));
            last = Some(seq);
        }
        last.map(|seq| self.say(seq, text))
    }

    /// A comment; with the place as an id when the stream has moved past events that do not fit its filter.
    fn heartbeat(&mut self) -> Bytes {
        let at = self.following.at();
        let text = match self.told == Some(at) {
            true => ": heartbeat\n".to_owned(),
            false => format!(": heartbeat\nid: {at}\n\n"),
        };
        self.say(at, text)
    }

    fn say(&mut self, at: i64, text: String) -> Bytes {
        self.told = Some(at);
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
