//! From state to state: each plugin's way is told on the journal, in its order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::events::EventDraft;
use crate::model::plugin::PluginState;
use crate::model::time::Timestamp;

use super::Manager;
use super::registry::{Registry, draft};

/// The event that tells it.
const EVENT: &str = "plugin.state_changed";

/// So many are one transaction.
const BATCH: usize = 256;

/// While all plugins start, what is said is written when nothing more has come for so long, or somebody waits for it.
const GATHER: Duration = Duration::from_millis(10);

/// A plugin has come into another state.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moved {
    pub(super) plugin: Arc<str>,
    /// None = it is the first state since the server started.
    pub(super) from: Option<PluginState>,
    pub(super) to: PluginState,
    pub(super) reason: String,
    /// The generation that runs, else the last one tried.
    pub(super) generation: u64,
}

/// The state a plugin is in, since when and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub(super) state: PluginState,
    pub(super) since: Timestamp,
    pub(super) reason: String,
}

/// The way from the slots to the journal. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Moves(Arc<Inner>);

struct Inner {
    sender: UnboundedSender<Note>,
    /// Until the start: who listens.
    receiver: Mutex<Option<UnboundedReceiver<Note>>>,
    /// Whether something was said that may not be written yet.
    is_due: AtomicBool,
    /// Whether much is said at once.
    gathers: Arc<AtomicBool>,
}

enum Note {
    Moved(Moved),
    /// Answers when everything before it is written.
    Mark(oneshot::Sender<()>),
}

impl Default for Moves {
    fn default() -> Self {
        let (sender, receiver) = unbounded_channel();
        Moves(Arc::new(Inner {
            sender,
            receiver: Mutex::new(Some(receiver)),
            is_due: AtomicBool::new(false),
            gathers: Arc::default(),
        }))
    }
}

impl Moves {
    /// Says that a plugin has moved; it is written in the background.
    pub(super) fn tell(&self, moved: Moved) {
        self.0.is_due.store(true, Ordering::Release);
        // Nobody listens any more when the server ends.
        let _ = self.0.sender.send(Note::Moved(moved));
    }

    /// Says whether much will be said from now on: many small transactions would cost the others their time.
    pub(super) fn gather(&self, gathers: bool) {
        self.0.gathers.store(gathers, Ordering::Release);
    }

    /// Waits until all that was said before is on the journal.
    pub(super) async fn told(&self) {
        if !self.0.is_due.swap(false, Ordering::AcqRel) || self.0.receiver.lock().is_some() {
            return;
        }
        let (mark, written) = oneshot::channel();
        if self.0.sender.send(Note::Mark(mark)).is_ok() {
            let _ = written.await;
        }
    }
}

impl Manager {
    /// Begins to write what is said.
    pub(super) fn tell_moves(&self) {
        if let Some(notes) = self.0.moves.0.receiver.lock().take() {
            self.spawn(write(self.0.registry.clone(), notes, Arc::clone(&self.0.moves.0.gathers)));
        }
    }
}

/// Writes what is said, many at a time, until nobody can say anything any more.
async fn write(registry: Registry, mut notes: UnboundedReceiver<Note>, gathers: Arc<AtomicBool>) {
    let mut batch = Vec::new();
    while notes.recv_many(&mut batch, BATCH).await > 0 {
        while gathers.load(Ordering::Acquire)
            && batch.len() < BATCH
            && !batch.iter().any(|it| matches!(it, Note::Mark(_)))
        {
            let room = BATCH - batch.len();
            match tokio::time::timeout(GATHER, notes.recv_many(&mut batch, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        let (mut drafts, mut marks) = (Vec::new(), Vec::new());
        for note in batch.drain(..) {
            match note {
                Note::Moved(moved) => drafts.push(draft_of(&moved)),
                Note::Mark(mark) => marks.push(mark),
            }
        }
        if !drafts.is_empty() {
            registry.tell_all(drafts).await;
        }
        marks.into_iter().for_each(|mark| _ = mark.send(()));
    }
}

pub(super) fn draft_of(moved: &Moved) -> EventDraft {
    let detail = json!({
        "from": moved.from, "to": moved.to, "reason": moved.reason, "generation": moved.generation,
    });
    draft(EVENT, &moved.plugin, detail)
}
