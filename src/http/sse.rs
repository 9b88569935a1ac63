//! What all streams of server-sent events share: where a client goes on, how one is answered, and whether it goes on.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{Method, header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use crate::error::{Code, Error, Result};
use crate::events::{StreamConnection, StreamPlace};
use crate::services::{Services, tokens};

use super::call::{Access, Call};

/// How often a stream looks after itself: whether its key still works, and whether it has been silent for too long.
pub(super) const CHECK: Duration = Duration::from_secs(2);
/// A client that lost the connection waits so long.
pub(super) const RETRY_MS: u64 = 2000;
/// A stream with nothing to tell says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a connection keeps until it ends: whether it has carried a stream, which its client may have yet to read.
#[derive(Default)]
pub(super) struct Carried(OnceCell<StreamConnection>);

/// One client that listens.
pub(super) struct Listener {
    /// Its place among all streams, which end when the server stops.
    pub(super) place: StreamPlace,
    services: Services,
    token: String,
    spoke: Instant,
    checked: Instant,
}

impl Listener {
    /// Takes a place for the caller.
    ///
    /// # Errors
    /// There are as many streams as there may be.
    pub(super) fn of<A: Access>(call: &Call<A>) -> Result<Self> {
        let services = call.state.services.clone();
        let token = call.token.as_ref().map(|it| it.id.clone()).unwrap_or_default();
        let now = Instant::now();
        let place = services.streams.enter()?;
        if let Some(Carried(connection)) = call.req.conn_data() {
            connection.get_or_init(|| services.streams.connection());
        }
        Ok(Listener { place, services, token, spoke: now, checked: now })
    }

    /// What is sent to it.
    pub(super) fn say(&mut self, text: String) -> Bytes {
        self.spoke = Instant::now();
        Bytes::from(text)
    }

    /// Whether it is time to say that the stream is there.
    pub(super) fn wants_heartbeat(&self) -> bool {
        self.spoke.elapsed() >= HEARTBEAT
    }

    /// Whether the key the stream was opened with still works; looked up now and then.
    pub(super) fn key_works(&mut self) -> bool {
        if self.checked.elapsed() < CHECK {
            return true;
        }
        self.checked = Instant::now();
        tokens::still_works(&self.services, &self.token)
    }
}

/// The place after which the client wants to go on; `of` says what it is the place of (`the sequence of an event`).
///
/// # Errors
/// [`Code::BadHeader`].
pub(super) fn goes_on_after<A: Access>(call: &Call<A>, of: &str) -> Result<Option<i64>> {
    match call.header("Last-Event-ID")?.map(str::trim) {
        None | Some("") => Ok(call.query.whole("last_event_id")),
        Some(sent) => {
            let place = sent.parse::<i64>().ok().filter(|it| *it >= 0);
            let detail = || format!("The header Last-Event-ID must be {of}: a whole number from 0.");
            place.map(Some).ok_or_else(|| Error::new(Code::BadHeader, detail()))
        }
    }
}

/// Answers with what `pieces` brings, until it ends or the client goes.
pub(super) fn answer(method: &Method, pieces: impl Stream<Item = Bytes> + 'static) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // A proxy that collects answers would hold them back.
        .insert_header(("x-accel-buffering", "no"));
    match *method == Method::HEAD {
        true => response.finish(),
        false => response.streaming(pieces.map(Ok::<_, Infallible>).boxed_local()),
    }
}
