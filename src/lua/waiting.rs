//! Who waits for a call from outside, and what is called for them right after it.

use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::hooks::{HookCall, NextCall, Reply, Then};

use super::strand::{Done, Failed};

/// Who waits for a call. Whatever it comes to is told once.
pub struct Waiting {
    sender: oneshot::Sender<Result<Done, Failed>>,
    turn: Turn,
}

/// Which of two calls in one go is waited for.
enum Turn {
    /// The only one.
    Only,
    /// The first; the other one comes next, if this one lets it.
    First(Box<NextCall>),
    /// The second, after the first has let pass what it was asked about, in this generation and at that time.
    Second(u64, Instant),
}

impl Waiting {
    /// Someone who waits for a call, and for `then`, which is to be called right after it.
    pub fn of(then: Option<Box<NextCall>>) -> (Self, oneshot::Receiver<Result<Done, Failed>>) {
        let (sender, answer) = oneshot::channel();
        let turn = then.map_or(Turn::Only, Turn::First);
        (Waiting { sender, turn }, answer)
    }

    /// Tells what the call came to; of a second one together with the first.
    pub fn send(self, result: Result<Done, Failed>) {
        let result = match self.turn {
            Turn::Only | Turn::First(_) => result,
            Turn::Second(generation, at) => {
                let result = result.map(Done::into_reply).map_err(|failed| *failed);
                let then = Some(Box::new(Then { at, result }));
                Ok(Done::Hook(Reply { generation, then, ..Reply::default() }))
            }
        };
        let _ = self.sender.send(result);
    }

    /// What is to be called next, now that the first has come to `reply` and the store has this stamp: who waits for that.
    ///
    /// # Errors
    /// Nothing comes next.
    pub fn go_on(
        self,
        reply: Reply,
        at: Instant,
        stamp: Option<u64>,
    ) -> Result<(HookCall, Waiting), (Waiting, Reply)> {
        match self.turn {
            Turn::First(next) if reply.lets_pass() && stamp == Some(next.stamp) => {
                let turn = Turn::Second(reply.generation, at);
                Ok((next.begin(at), Waiting { sender: self.sender, turn }))
            }
            turn => Err((Waiting { sender: self.sender, turn }, reply)),
        }
    }

    /// Of a second call that does not begin: tells what the first came to, as if nothing came next. Else it waits on.
    pub fn let_go(self) -> Option<Self> {
        let Turn::Second(generation, _) = self.turn else { return Some(self) };
        let _ = self.sender.send(Ok(Done::Hook(Reply { generation, ..Reply::default() })));
        None
    }

    /// The first call gave way: what it is followed by was made before others did something meanwhile, and comes no more.
    pub fn gave_way(&mut self) {
        if matches!(self.turn, Turn::First(_)) {
            self.turn = Turn::Only;
        }
    }

    /// Whether something may come next: what comes to it is not told before that is known.
    pub fn may_go_on(&self) -> bool {
        matches!(self.turn, Turn::First(_))
    }

    /// Whether nobody waits any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Ready once nobody waits any more.
    pub fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.sender.poll_closed(context)
    }
}
