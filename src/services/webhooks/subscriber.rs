//! A webhook as the journal sees it: somebody who is told of events.

use std::sync::Arc;

use crate::error::{Result, ScriptFault};
use crate::events::{Subscriber, TellFuture};
use crate::hooks::CallFailure;
use crate::hooks::catalogue::Payload;
use crate::hooks::when::When;
use crate::model::call::Outcome;
use crate::model::event::{Event, pattern_matches};
use crate::model::webhook::{AttemptKind, subscriber};
use crate::services::Services;

use super::noting::note;
use super::send::{Target, send};

/// Requests to one webhook at once.
const AT_ONCE: usize = 4;

/// Seconds after the first, second, … failed attempt; then it is dead.
const DELAYS_S: &[i64] = &[5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// Share of the delay that is left to chance.
const JITTER: f64 = 0.2;

/// The longest pause that a receiver can ask for.
const MAX_PAUSE_US: i64 = 86_400_000_000;

/// Puts the webhooks in force as they are stored now.
///
/// # Errors
/// The store's.
pub async fn load(services: &Services) -> Result<()> {
    let _turn = services.webhooks.turn().await;
    let read = services.read_long(|r| {
        let mut targets = Vec::new();
        for webhook in r.list_webhooks()?.into_iter().filter(|it| it.enabled) {
            if let Some(secrets) = r.webhook_secrets(&webhook.id)? {
                targets.push(Target { webhook, secrets });
            }
        }
        Ok(targets)
    });
    let told = read.await?.into_iter().filter_map(|it| Told::new(services, it));
    let told = told.map(|it| Arc::new(it) as Arc<dyn Subscriber>);
    services.journal.subscribers().replace_others(told.collect());
    Ok(())
}

/// Ends all requests under way: their deliveries come again after the next start.
pub fn give_up(services: &Services) {
    services.webhooks.give_up();
}

/// Tells no webhook any more.
pub fn unload(services: &Services) {
    services.journal.subscribers().replace_others(Vec::new());
}

/// A webhook that is enabled.
struct Told {
    name: Arc<str>,
    target: Arc<Target>,
    when: Option<When>,
    services: Services,
}

impl Told {
    /// None when its filter was written for another version of the server: it would be told too much.
    fn new(services: &Services, target: Target) -> Option<Self> {
        let id = &*target.webhook.id;
        let when = match target.webhook.when.as_ref().map(|it| When::parse(it, Payload::Event)).transpose() {
            Ok(when) => when,
            Err(why) => {
                log::error!(webhook = id; "it is told nothing, its filter is not understood: {why}");
                return None;
            }
        };
        let name = subscriber(id).into();
        Some(Told { name, target: Arc::new(target), when, services: services.clone() })
    }
}

impl Subscriber for Told {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn wants(&self, event: &Event) -> bool {
        let fits = self.target.webhook.events.iter().any(|it| pattern_matches(it, &event.kind));
        // That it was switched off itself, it would hear when it is switched on again.
        fits && event.subject.as_deref() != Some(&*self.name)
            && self.when.as_ref().is_none_or(|when| when.holds(&event.to_handler_payload()))
    }

    fn patterns(&self) -> Vec<String> {
        self.target.webhook.events.clone()
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn tell(&self, event: &Event, attempt: i32, replay: bool) -> TellFuture {
        let (services, target, event) = (self.services.clone(), Arc::clone(&self.target), event.clone());
        let kind = if replay { AttemptKind::Again } else { AttemptKind::Delivery };
        Box::pin(async move {
            let work = send(&services, &target, &event);
            let Some(sent) = services.webhooks.unless_given_up(work).await else {
                return Err(failure(Outcome::Skipped, "the server stops".to_owned()));
            };
            let id = &target.webhook.id;
            if let Some(us) = sent.pause_us.filter(|_| sent.failure.is_some()) {
                services.webhooks.pause(id, &event.id, us);
            }
            let is_gone = sent.is_gone();
            note(&services, id, sent.attempt(&event, kind, attempt), is_gone).await;
            match sent.failure {
                None => Ok(Vec::new()),
                // It is switched off now; what it was to be told waits until somebody switches it on again.
                Some((_, why)) if is_gone => Err(failure(Outcome::Skipped, why)),
                Some((outcome, why)) => Err(failure(outcome, why)),
            }
        })
    }

    fn retry_us(&self, event: &Event, attempt: i32, chance: f64) -> Option<i64> {
        let pause = self.services.webhooks.take_pause(&self.target.webhook.id, &event.id);
        let delay = delay_us(attempt, chance)?;
        Some(delay.max(pause.unwrap_or(0).min(MAX_PAUSE_US)))
    }
}

#[cfg(test)]
pub(super) fn told_for_tests(services: &Services, target: Target) -> impl Subscriber + use<> {
    Told::new(services, target).unwrap()
}

/// Microseconds to wait after `attempt` (from 1) failed; none = give up.
fn delay_us(attempt: i32, chance: f64) -> Option<i64> {
    let step = usize::try_from(attempt.checked_sub(1)?).ok()?;
    let jitter = 1.0 + JITTER * (chance.clamp(0.0, 1.0) * 2.0 - 1.0);
    Some((*DELAYS_S.get(step)? as f64 * 1e6 * jitter) as i64)
}

fn failure(outcome: Outcome, message: String) -> CallFailure {
    let fault = ScriptFault { outcome: outcome.as_str().to_owned(), message, ..ScriptFault::default() };
    CallFailure { outcome, fault, generation: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_for_three_days() {
        assert_eq!(delay_us(1, 0.5), Some(5_000_000));
        assert_eq!(delay_us(2, 0.0), Some(240_000_000));
        let all: i64 = (1..).map_while(|it| delay_us(it, 0.5)).sum();
        assert_eq!(all / 3_600_000_000, 75);
        assert_eq!(delay_us(10, 0.5), None);
    }
}
