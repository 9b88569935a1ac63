//! What a generation has registered: its functions by slot, its hooks, its subscriptions.

use mlua::Function;
use parking_lot::Mutex;

use crate::hooks::{Offer, Registration, Subscription};

use super::known::Known;

/// Everything a VM's script has registered. Unloading the VM is dropping this.
#[derive(Default)]
pub struct Registry {
    inner: Mutex<Inner>,
    /// Whether those who tell of events know the subscriptions.
    pub known: Known,
}

#[derive(Default)]
struct Inner {
    functions: Vec<Option<Function>>,
    hooks: Vec<Registration>,
    subscriptions: Vec<Subscription>,
    offers: Vec<Offer>,
}

impl Registry {
    /// Keeps `function` as a handler of a hook; `make` is given its slot.
    pub fn add_hook(&self, function: Function, make: impl FnOnce(u32) -> Registration) -> u32 {
        let mut inner = self.inner.lock();
        let slot = inner.keep(function);
        inner.hooks.push(make(slot));
        slot
    }

    /// Keeps `function` as a handler of events; `make` is given its slot.
    pub fn subscribe(&self, function: Function, make: impl FnOnce(u32) -> Subscription) -> u32 {
        let mut inner = self.inner.lock();
        let slot = inner.keep(function);
        inner.subscriptions.push(make(slot));
        drop(inner);
        self.known.changed();
        slot
    }

    /// Keeps `function` behind something the plugin offers; `make` is given its slot.
    pub fn offer(&self, function: Function, make: impl FnOnce(u32) -> Offer) -> u32 {
        let mut inner = self.inner.lock();
        let slot = inner.keep(function);
        inner.offers.push(make(slot));
        slot
    }

    /// Takes a handler back; calls under way end as they would. False when it was taken back before.
    pub fn off(&self, slot: u32) -> bool {
        let mut inner = self.inner.lock();
        let Some(function) = inner.functions.get_mut(slot as usize).and_then(Option::take) else {
            return false;
        };
        inner.hooks.retain(|it| it.slot != slot);
        inner.subscriptions.retain(|it| it.slot != slot);
        inner.offers.retain(|it| it.slot() != slot);
        drop(inner);
        drop(function);
        self.known.changed();
        true
    }

    /// The function in a slot.
    pub fn function(&self, slot: u32) -> Option<Function> {
        self.inner.lock().functions.get(slot as usize).cloned().flatten()
    }

    /// All handlers of hooks.
    pub fn hooks(&self) -> Vec<Registration> {
        self.inner.lock().hooks.clone()
    }

    /// All handlers of events.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.inner.lock().subscriptions.clone()
    }

    /// All that is offered besides.
    pub fn offers(&self) -> Vec<Offer> {
        self.inner.lock().offers.clone()
    }

    /// How many handlers there are.
    pub fn len(&self) -> usize {
        let inner = self.inner.lock();
        inner.hooks.len() + inner.subscriptions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn keep(&mut self, function: Function) -> u32 {
        self.functions.push(Some(function));
        (self.functions.len() - 1) as u32
    }
}
