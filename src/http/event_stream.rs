//! The journal as server-sent events: what a client missed, then what is told, as fast as the client takes it.

use std::time::Duration;

use actix_web::HttpResponse;
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::time::timeout;

use crate::error::{Code, Result};
use crate::events::{EventStream, Streamed};
use crate::model::event::Event;

use super::call::{Call, scope};
use super::events;
use super::query::{Kind, Param, param};
use super::sse::{self, CHECK, Listener, RETRY_MS};

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
    let after = sse::goes_on_after(&call, "the sequence of an event")?;
    let listener = Listener::of(&call)?;
    let services = &call.state.services;
    let following = EventStream::open(&services.store, &services.journal, filter, after).await?;
    let live = Live {
        following,
        listener,
        named: call.query.get("event_name") != Some("message"),
        waiting: Vec::new().into_iter(),
        told: None,
    };
    let pieces = stream::unfold(live, |mut live| async move { Some((live.piece().await?, live)) });
    Ok(sse::answer(call.req.method(), pieces))
}

/// One stream. It is asked for a piece when the connection has room for one.
struct Live {
    following: EventStream,
    listener: Listener,
    named: bool,
    /// Read, and not sent yet: one page at most.
    waiting: std::vec::IntoIter<(i64, Event)>,
    /// The last id the client was told.
    told: Option<i64>,
}

impl Live {
    /// What is sent next; none = the stream ends.
    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if self.listener.place.has_ended() || !self.listener.key_works() {
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
                () = self.listener.place.ended() => return None,
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
                Err(_) if self.listener.wants_heartbeat() => return Some(self.heartbeat()),
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
        self.listener.say(text)
    }
}
