//! What plugins say of their own health, asked at intervals (`health.every_s`).

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::hooks::{Answer, CallFailure, Reply};
use crate::model::plugin::PluginState;
use crate::model::time::Timestamp;

/// The most of a message that the history keeps.
const MESSAGE_CHARS: usize = 1000;

/// What a plugin's `health()` said.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HealthView {
    /// Whether all is well.
    pub ok: bool,
    /// A sentence.
    pub message: Option<String>,
    /// Anything else.
    #[schema(value_type = Object)]
    pub details: Value,
    /// When it was asked (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Milliseconds it took to answer.
    pub latency_ms: f64,
    /// The generation that was asked.
    pub generation: u64,
    /// How the call ended: `ok`, or what kept it from answering.
    pub outcome: &'static str,
}

/// One answer of the past.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HealthCheck {
    /// When it was asked (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whether all was well.
    pub ok: bool,
    /// How the call ended: `ok`, or what kept it from answering.
    pub outcome: &'static str,
    /// The sentence it said; cut after 1000 characters.
    pub message: Option<String>,
    /// Milliseconds it took to answer.
    pub latency_ms: f64,
    /// The generation that was asked.
    pub generation: u64,
}

/// The health of a plugin, now and before.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HealthReport {
    /// The plugin.
    pub plugin: String,
    /// What it is doing.
    pub state: PluginState,
    /// Whether what runs of it has a `health` hook.
    pub has_health: bool,
    /// Whether all was well when it was asked last; null when what runs was not asked yet, or cannot be.
    pub ok: Option<bool>,
    /// What it said then, or why there is nothing to say.
    pub message: Option<String>,
    /// What else it said then.
    #[schema(value_type = Option<Object>)]
    pub details: Value,
    /// When it was asked last (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// Milliseconds it took to answer then.
    pub latency_ms: Option<f64>,
    /// How often it was not well, without a good answer between.
    pub failures_in_a_row: u64,
    /// Since when (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// Seconds between two questions (`health.every_s`).
    pub every_s: u64,
    /// Milliseconds it may take to answer (`health.timeout_ms`).
    pub timeout_ms: u64,
    /// The last answers (`health.history`), newest first, also those of former generations.
    pub history: Vec<HealthCheck>,
}

/// What is known of a plugin's health; it outlives its generations.
#[derive(Debug, Clone, Default)]
pub struct Health {
    last: Option<HealthView>,
    history: VecDeque<HealthCheck>,
    failures: u64,
    failing_since: Option<Timestamp>,
}

impl Health {
    /// What the generation that runs said last.
    pub fn of(&self, generation: u64) -> Option<&HealthView> {
        self.last.as_ref().filter(|it| it.generation == generation)
    }

    /// How often it was not well, without a good answer between, and since when.
    pub fn failing(&self) -> (u64, Option<Timestamp>) {
        (self.failures, self.failing_since)
    }

    /// The last answers, newest first.
    pub fn history(&self) -> Vec<HealthCheck> {
        self.history.iter().rev().cloned().collect()
    }

    /// Takes an answer, of which `keep` are kept; whether that is worth telling: it was well before, or is now.
    pub fn note(&mut self, said: HealthView, keep: usize) -> bool {
        let is_news = said.ok != (self.failures == 0);
        match said.ok {
            true => (self.failures, self.failing_since) = (0, None),
            false => {
                self.failures += 1;
                self.failing_since.get_or_insert(said.at);
            }
        }
        self.history.push_back(HealthCheck {
            at: said.at,
            ok: said.ok,
            outcome: said.outcome,
            message: said.message.as_ref().map(|it| it.chars().take(MESSAGE_CHARS).collect()),
            latency_ms: said.latency_ms,
            generation: said.generation,
        });
        while self.history.len() > keep {
            self.history.pop_front();
        }
        self.last = Some(said);
        is_news
    }

    /// What runs of it has no health to tell; the past stays.
    pub fn has_none(&mut self) {
        (self.last, self.failures, self.failing_since) = (None, 0, None);
    }
}

/// When a plugin was asked, how long it took, and which generation it was.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// When (UTC).
    pub at: Timestamp,
    /// Milliseconds.
    pub latency_ms: f64,
    /// The generation.
    pub generation: u64,
}

/// What came of asking a plugin; nothing when it has no `health()`.
pub fn view(said: Result<Vec<Reply>, CallFailure>, asked: Asked) -> Option<HealthView> {
    let Asked { at, latency_ms, generation } = asked;
    let view = |ok, message, details, outcome| HealthView {
        ok,
        message,
        details,
        at,
        latency_ms,
        generation,
        outcome,
    };
    let replies = match said {
        Ok(replies) => replies,
        Err(failure) => {
            let message = Some(format!("health() failed: {}", failure.fault));
            return Some(view(false, message, Value::Null, failure.outcome.as_str()));
        }
    };
    // Several functions are one health: the first complaint is told, else what the first one said.
    let mut views = replies.into_iter().map(|reply| match reply.answer {
        Answer::Health { ok, message, details } => view(ok, message, details, reply.outcome.as_str()),
        _ => view(true, None, Value::Null, reply.outcome.as_str()),
    });
    let first = views.next()?;
    match first.ok {
        true => Some(views.find(|it| !it.ok).unwrap_or(first)),
        false => Some(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked { at: Timestamp(7), latency_ms: 1.5, generation: 3 };

    fn reply(ok: bool, message: &str) -> Reply {
        let answer = Answer::Health { ok, message: Some(message.to_owned()), details: Value::Null };
        Reply { answer, ..Reply::default() }
    }

    fn said(ok: bool) -> HealthView {
        view(Ok(vec![reply(ok, "x")]), ASKED).unwrap()
    }

    #[test]
    fn the_first_complaint_is_told() {
        let said = |replies| view(Ok(replies), ASKED);
        assert_eq!(said(Vec::new()), None);
        assert_eq!(said(vec![reply(true, "a"), reply(true, "b")]).unwrap().message.as_deref(), Some("a"));
        let complaint = said(vec![reply(true, "a"), reply(false, "b")]).unwrap();
        assert_eq!((complaint.ok, complaint.message.as_deref()), (false, Some("b")));
    }

    #[test]
    fn only_a_change_is_news_and_the_history_is_bounded_and_outlives_a_generation_without_health() {
        let mut health = Health::default();
        let news: Vec<bool> = [true, false, false, true, true].map(|ok| health.note(said(ok), 3)).to_vec();
        assert_eq!(news, [false, true, false, true, false]);
        assert_eq!(health.history().iter().map(|it| it.ok).collect::<Vec<_>>(), [true, true, false]);
        health.note(said(false), 3);
        assert_eq!(health.failing(), (1, Some(Timestamp(7))));
        assert!(health.of(3).is_some() && health.of(4).is_none());
        health.has_none();
        assert!(health.of(3).is_none() && health.failing() == (0, None) && health.history().len() == 3);
        assert!(health.note(said(false), 3), "a first complaint is news");
    }
}
