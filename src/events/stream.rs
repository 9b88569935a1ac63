//! Follows the journal for one client: pages out of the database when the client is ready for more, then whatever is
//! committed. Nothing is queued for a client; where it stands is one number.
//!
//! One thread writes, so what is committed later has a higher place: to read on from the last place seen loses nothing
//! and doubles nothing, wherever the stored part ends and the live one begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Code, Error, Result};
use crate::model::event::Event;
use crate::store::{EventFilter, EventWindow, Store};

use super::Journal;

/// Events, and bytes of their data, that are read for one client at once.
const PAGE: usize = 100;
const PAGE_BYTES: i64 = 256 << 10;

/// A client that is up to date is looked after at most so often; what is committed meanwhile comes together.
const AT_MOST_EVERY: Duration = Duration::from_millis(20);

/// The streams that are open. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    max: usize,
    open: AtomicUsize,
    connections: AtomicUsize,
    ended: watch::Sender<bool>,
}

impl Streams {
    /// Room for `max` of them.
    pub fn new(max: usize) -> Self {
        let ended = watch::Sender::new(false);
        Streams(Arc::new(Inner { max, open: AtomicUsize::new(0), connections: AtomicUsize::new(0), ended }))
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }

    /// How many connections are open that have carried one: a stream may have ended before its client has read it.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Counts a connection that carries one.
    pub fn connection(&self) -> StreamConnection {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        StreamConnection(Arc::clone(&self.0))
    }

    /// A place for one more.
    ///
    /// # Errors
    /// `Overloaded` when all are taken, `Stopping` when the server ends.
    pub fn enter(&self) -> Result<StreamPlace> {
        if *self.0.ended.borrow() {
            return Err(Error::new(Code::Stopping, "The server is stopping."));
        }
        let before = self.0.open.fetch_add(1, Ordering::Relaxed);
        let place = StreamPlace { all: Arc::clone(&self.0), ended: self.0.ended.subscribe() };
        if before < self.0.max {
            return Ok(place);
        }
        let detail = format!("{} streams are open, the most there may be (`max_event_streams`).", self.0.max);
        Err(Error { retry_after: Some(5), ..Error::new(Code::Overloaded, detail) })
    }

    /// Ends all of them, and lets no other begin.
    pub fn end(&self) {
        self.0.ended.send_replace(true);
    }
}

/// The place of one stream, given back on drop.
pub struct StreamPlace {
    all: Arc<Inner>,
    ended: watch::Receiver<bool>,
}

impl StreamPlace {
    /// Whether all streams are to end.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until all streams are to end.
    pub async fn ended(&mut self) {
        // Its sender lives as long as the place.
        let _ = self.ended.wait_for(|it| *it).await;
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.all.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that has carried a stream; counted until it is dropped.
pub struct StreamConnection(Arc<Inner>);

impl Drop for StreamConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What comes next for a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Streamed {
    /// Events with their places, in their order.
    Events(Vec<(i64, Event)>),
    /// These places, both included, are not kept any more; or, when the journal has never come so far, not yet.
    Gap {
        /// The first one.
        from: i64,
        /// The last one.
        to: i64,
    },
}

/// One client's way along the journal.
pub struct EventStream {
    store: Store,
    committed: watch::Receiver<i64>,
    filter: EventFilter,
    at: i64,
    /// The place asked for, when the journal does not reach so far.
    beyond: Option<i64>,
    looked: Option<Instant>,
}

impl EventStream {
    /// Follows `journal` after a place; without one, from now on.
    ///
    /// # Errors
    /// The store's.
    pub async fn open(
        store: &Store,
        journal: &Journal,
        filter: EventFilter,
        after: Option<i64>,
    ) -> Result<Self> {
        let committed = journal.committed();
        let (_, last) = store.read_async(|r| r.journal_ends()).await?;
        let at = after.unwrap_or(last);
        Ok(EventStream {
            store: store.clone(),
            committed,
            filter,
            at: at.min(last),
            beyond: (at > last).then_some(at),
            looked: None,
        })
    }

    /// The place up to which everything was given.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Waits for what comes next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The store's; the stream may be asked again.
    pub async fn next(&mut self) -> Result<Streamed> {
        if let Some(to) = self.beyond.take() {
            return Ok(Streamed::Gap { from: self.at + 1, to });
        }
        loop {
            // Seen before it is read: what is committed during the read wakes the next wait.
            self.committed.mark_unchanged();
            let (filter, after) = (self.filter.clone(), self.at);
            let window = EventWindow {
                after,
                before: i64::MAX,
                newest_first: false,
                limit: PAGE,
                max_bytes: PAGE_BYTES,
            };
            let page = self.store.read_async(move |r| r.event_page(&filter, window)).await?;
            let kept_from = page.first.unwrap_or(page.last + 1);
            if kept_from > after + 1 {
                self.at = kept_from - 1;
                return Ok(Streamed::Gap { from: after + 1, to: self.at });
            }
            self.at = page.next.unwrap_or(page.last).max(after);
            if !page.rows.is_empty() {
                return Ok(Streamed::Events(page.rows));
            }
            if page.next.is_none() {
                self.wait().await;
            }
        }
    }

    /// Waits for a commit, and a moment more when the last look was just now.
    async fn wait(&mut self) {
        let looked = self.looked.replace(Instant::now());
        // The journal outlives its streams.
        let _ = self.committed.changed().await;
        if let Some(looked) = looked {
            tokio::time::sleep_until(looked + AT_MOST_EVERY).await;
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
