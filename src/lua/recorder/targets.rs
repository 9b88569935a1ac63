//! Which of a plugin's functions stands in a slot, told so that it is found again in another version of the plugin.

use crate::hooks::Offer;
use crate::lua::registry::Registry;
use crate::model::trace::TraceTarget;

/// The name of each function with its slot, in the order of slots.
fn named(registry: &Registry) -> Vec<(u32, String)> {
    let hooks = registry.hooks().into_iter().map(|it| (it.slot, it.hook.name().to_owned()));
    let subscriptions = registry.subscriptions().into_iter().map(|it| (it.slot, it.pattern));
    let offers = registry.offers().into_iter().map(|it| match it {
        Offer::Route(it) => (it.slot, format!("{} {}", it.method, it.pattern)),
        Offer::Schedule(it) => (it.slot, it.name),
        Offer::Export(it) => (it.slot, it.name),
    });
    let mut all: Vec<(u32, String)> = hooks.chain(subscriptions).chain(offers).collect();
    all.sort_unstable();
    all
}

/// What stands in `slot`.
pub fn target_of(registry: &Registry, slot: u32) -> TraceTarget {
    let all = named(registry);
    let Some((_, name)) = all.iter().find(|(at, _)| *at == slot).cloned() else {
        return TraceTarget::default();
    };
    let nth = all.iter().filter(|(at, it)| *it == name && *at < slot).count();
    TraceTarget { name, nth }
}

/// The slot of `target`; none when nothing is registered so.
pub fn slot_of(registry: &Registry, target: &TraceTarget) -> Option<u32> {
    let all = named(registry);
    all.into_iter().filter(|(_, name)| *name == target.name).nth(target.nth).map(|(slot, _)| slot)
}
