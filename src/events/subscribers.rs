//! Who is told of events: the plugins of the hook table, and others that are not plugins.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::hooks::{CallFailure, Dispatcher};
use crate::model::call::PluginEffects;
use crate::model::event::Event;

use super::retry::{MAX_ATTEMPTS, delay_us};

/// A subscriber at work; what its handlers left behind is committed with the acknowledgement.
pub type TellFuture = Pin<Box<dyn Future<Output = Result<Vec<PluginEffects>, CallFailure>> + Send>>;

/// Somebody who is told of events and is no plugin.
pub trait Subscriber: Send + Sync + 'static {
    /// What its deliveries are noted under, such as `webhook/<id>`: never the name of a plugin.
    fn name(&self) -> &Arc<str>;
    /// Whether it is to be told of `event`.
    fn wants(&self, event: &Event) -> bool;
    /// The patterns of types it is told of, to be shown.
    fn patterns(&self) -> Vec<String> {
        vec!["**".to_owned()]
    }
    /// Deliveries it takes at once.
    fn at_once(&self) -> usize;
    /// Tells it. An outcome of `Skipped` is no failure of its own: it is tried again, and the attempt does not count.
    fn tell(&self, event: &Event, attempt: i32, replay: bool) -> TellFuture;
    /// Microseconds until `event`, whose `attempt` (from 1) failed, is told again; none = never. `chance` is
    /// in 0..1.
    fn retry_us(&self, _event: &Event, attempt: i32, chance: f64) -> Option<i64> {
        delay_us(attempt, MAX_ATTEMPTS, chance)
    }
}

/// All who are told of events, at one moment. Cheap to clone; all clones share one list.
#[derive(Clone)]
pub struct Subscribers {
    hooks: Dispatcher,
    others: Arc<ArcSwap<Vec<Arc<dyn Subscriber>>>>,
}

impl Subscribers {
    /// The plugins of `hooks`, and nobody else yet.
    pub(super) fn new(hooks: Dispatcher) -> Self {
        Subscribers { hooks, others: Arc::default() }
    }

    /// Swaps in a whole new list of those that are no plugins.
    pub fn replace_others(&self, others: Vec<Arc<dyn Subscriber>>) {
        self.others.store(Arc::new(others));
    }

    /// Those that are no plugins, with the patterns they are told of.
    pub fn others_patterns(&self) -> Vec<(Arc<str>, Vec<String>)> {
        self.others.load().iter().map(|it| (Arc::clone(it.name()), it.patterns())).collect()
    }

    /// The names of those who want to be told of `event`, each once.
    pub fn of(&self, event: &Event) -> Vec<Arc<str>> {
        let mut names = self.hooks.table().subscribers(event);
        let others = self.others.load();
        names.extend(others.iter().filter(|it| it.wants(event)).map(|it| Arc::clone(it.name())));
        names
    }

    /// The names of all of them.
    pub fn names(&self) -> Vec<Arc<str>> {
        let table = self.hooks.table();
        let plugins = table.members().iter().map(|it| Arc::clone(it.handler.plugin()));
        let others = self.others.load();
        plugins.chain(others.iter().map(|it| Arc::clone(it.name()))).collect()
    }

    /// What one of them takes at once; none when there is no such subscriber.
    pub(super) fn at_once(&self, name: &str, per_plugin: usize) -> Option<usize> {
        if let Some(other) = self.other(name) {
            return Some(other.at_once());
        }
        let table = self.hooks.table();
        table.member(name).map(|it| it.handler.at_once().unwrap_or(per_plugin))
    }

    /// Tells one of them.
    pub(super) async fn tell(
        &self,
        name: &str,
        event: &Event,
        attempt: i32,
        replay: bool,
    ) -> Result<Vec<PluginEffects>, CallFailure> {
        match self.other(name) {
            Some(other) => other.tell(event, attempt, replay).await,
            None => self.hooks.tell(name, event, attempt, replay).await,
        }
    }

    /// Microseconds until a failed delivery comes again; none = never.
    pub(super) fn retry_us(&self, name: &str, event: &Event, attempt: i32, chance: f64) -> Option<i64> {
        match self.other(name) {
            Some(other) => other.retry_us(event, attempt, chance),
            None => {
                let wanted = self.hooks.table().max_attempts(name, event);
                delay_us(attempt, wanted.unwrap_or(MAX_ATTEMPTS), chance)
            }
        }
    }

    fn other(&self, name: &str) -> Option<Arc<dyn Subscriber>> {
        self.others.load().iter().find(|it| &**it.name() == name).cloned()
    }
}
