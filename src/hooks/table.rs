//! Who listens to what, at one moment, in which order: built once, swapped whole, read without a lock.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::model::call::EVENT;
use crate::model::event::{Event, pattern_matches};

use super::catalogue::Hook;
use super::chain::{self, Place};
use super::handler::{HookHandler, Registration, Subscription};
use super::pair::Pairing;

/// A plugin's part of the table.
#[derive(Clone)]
pub struct Member {
    /// Who is called.
    pub handler: Arc<dyn HookHandler>,
    /// Names of plugins that come first.
    pub dependencies: Vec<String>,
    /// Its hooks.
    pub registrations: Vec<Registration>,
    /// Its event subscriptions.
    pub subscriptions: Vec<Subscription>,
}

/// One handler in its place.
pub struct Entry {
    /// Who is called.
    pub handler: Arc<dyn HookHandler>,
    /// What it registered.
    pub registration: Registration,
    /// Why it stands here.
    pub why: String,
    /// Whether asking it two questions at once is of any use.
    pub(super) pairing: Pairing,
}

/// Who listens to what, at one moment; immutable.
#[derive(Default)]
pub struct Table {
    chains: Vec<Vec<Entry>>,
    members: Vec<Member>,
}

impl Table {
    /// Orders all hooks of `members`.
    pub fn new(members: Vec<Member>) -> Self {
        let chains = Hook::ALL.iter().map(|hook| build_chain(*hook, &members)).collect();
        Table { chains, members }
    }

    /// The handlers of a hook, in order.
    pub fn chain(&self, hook: Hook) -> &[Entry] {
        self.chains.get(hook as usize).map_or(&[], Vec::as_slice)
    }

    /// The plugins that want to be told of an event, each once.
    pub fn subscribers(&self, event: &Event) -> Vec<Arc<str>> {
        let mut payload = None;
        let wanted = self.members.iter().filter(|member| !member.facts(event, &mut payload).is_empty());
        wanted.map(|member| Arc::clone(member.handler.plugin())).collect()
    }

    /// The plugin of a name.
    pub fn member(&self, plugin: &str) -> Option<&Member> {
        self.members.iter().find(|it| **it.handler.plugin() == *plugin)
    }

    /// How often `plugin` wants an event to be tried, when its subscriptions say.
    pub fn max_attempts(&self, plugin: &str, event: &Event) -> Option<i32> {
        let facts = self.member(plugin)?.facts(event, &mut None);
        facts.iter().filter_map(|it| it.max_attempts).max()
    }

    /// All plugins of the table.
    pub fn members(&self) -> &[Member] {
        &self.members
    }
}

/// One function that is told of an event.
pub(super) struct Fact {
    pub(super) slot: u32,
    pub(super) hook: &'static str,
    pub(super) priority: i32,
    pub(super) timeout: Option<Duration>,
    pub(super) whole_event: bool,
    max_attempts: Option<i32>,
}

impl Member {
    /// The functions to call for `event`, in order; `payload` caches the handler's view of it.
    pub(super) fn facts(&self, event: &Event, payload: &mut Option<Arc<Value>>) -> Vec<Fact> {
        let hook = Hook::of_event(&event.kind);
        let mut facts: Vec<Fact> = self
            .registrations
            .iter()
            .filter(|it| Some(it.hook) == hook && it.when.as_ref().is_none_or(|when| when.holds(&event.data)))
            .map(|it| Fact {
                slot: it.slot,
                hook: it.hook.name(),
                priority: it.priority,
                timeout: it.timeout,
                whole_event: false,
                max_attempts: None,
            })
            .collect();
        for it in self.subscriptions.iter().filter(|it| pattern_matches(&it.pattern, &event.kind)) {
            let wanted = it.when.as_ref().is_none_or(|when| {
                when.holds(payload.get_or_insert_with(|| Arc::new(event.to_handler_payload())))
            });
            if wanted {
                facts.push(Fact {
                    slot: it.slot,
                    hook: EVENT,
                    priority: it.priority,
                    timeout: it.timeout,
                    whole_event: true,
                    max_attempts: it.max_attempts,
                });
            }
        }
        facts.sort_by_key(|it| Reverse(it.priority));
        facts
    }
}

fn build_chain(hook: Hook, members: &[Member]) -> Vec<Entry> {
    let wanted: Vec<(&Member, &Registration)> = members
        .iter()
        .flat_map(|member| member.registrations.iter().map(move |it| (member, it)))
        .filter(|(_, registration)| registration.hook == hook)
        .collect();
    let places: Vec<Place<'_>> = wanted
        .iter()
        .map(|(member, it)| Place {
            plugin: member.handler.plugin(),
            dependencies: member.dependencies.iter().map(String::as_str).collect(),
            after: it.after.iter().map(String::as_str).collect(),
            before: it.before.iter().map(String::as_str).collect(),
            priority: it.priority,
        })
        .collect();
    let order = chain::order(&places);
    if !order.cycle.is_empty() {
        log::warn!(hook = hook.name(); "before/after contradict each other and are ignored: {}", order.cycle.join(" -> "));
    }
    let entries = order.sequence.iter().zip(order.why).map(|(index, why)| Entry {
        handler: Arc::clone(&wanted[*index].0.handler),
        registration: wanted[*index].1.clone(),
        why,
        pairing: Pairing::default(),
    });
    entries.collect()
}
