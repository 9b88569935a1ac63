//! What all webhooks have in common: the client, turns, and how long a receiver asked to be left alone.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{MutexGuard, watch};

use crate::config::Settings;
use crate::net::{Client, FixedNames, HostRules, SystemResolver};

/// Pauses that are remembered; each is taken when its delivery is put off, so more are left by accident alone.
const MAX_PAUSES: usize = 10_000;

/// Shared by all webhooks; all clones are one.
#[derive(Clone, Default)]
pub(in crate::services) struct Shared(Arc<Inner>);

#[derive(Default)]
struct Inner {
    client: OnceLock<Result<Client, String>>,
    turn: tokio::sync::Mutex<()>,
    pauses: Mutex<HashMap<(String, String), i64>>,
    given_up: watch::Sender<bool>,
}

impl Shared {
    /// The client that reaches public hosts, and those that `webhook_hosts` names.
    pub(super) fn client(&self, settings: &Settings) -> Result<Client, String> {
        let made = self.0.client.get_or_init(|| {
            let hosts = settings.webhook_hosts.iter().map(String::as_str);
            let rules = HostRules::public_and("webhook_hosts", hosts);
            let fixed = FixedNames::read(&settings.http_hosts)?;
            Client::new(rules, Arc::new(SystemResolver), Arc::new(fixed))
        });
        made.clone().map_err(|why| format!("the HTTP client cannot be made: {why}"))
    }

    /// Of two who read the list of webhooks to put it in force, the one who reads later comes later.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Remembers that a receiver wants to be left alone for `us` microseconds.
    pub(super) fn pause(&self, webhook: &str, event: &str, us: i64) {
        let mut pauses = self.0.pauses.lock();
        if pauses.len() >= MAX_PAUSES {
            pauses.clear();
        }
        pauses.insert((webhook.to_owned(), event.to_owned()), us);
    }

    /// The pause that was asked for with the last answer about an event.
    pub(super) fn take_pause(&self, webhook: &str, event: &str) -> Option<i64> {
        self.0.pauses.lock().remove(&(webhook.to_owned(), event.to_owned()))
    }

    /// Ends all requests under way; none begins any more.
    pub(super) fn give_up(&self) {
        self.0.given_up.send_replace(true);
    }

    /// What `work` comes to, unless requests are given up.
    pub(super) async fn unless_given_up<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut given_up = self.0.given_up.subscribe();
        tokio::select! {
            done = work => Some(done),
            _ = given_up.wait_for(|it| *it) => None,
        }
    }
}
