//! What a call carries for the flight recorder, and what all calls of one VM have in common.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde_json::Value;

use crate::error::ScriptFault;
use crate::hooks::Given;
use crate::lua::context::{ApiContext, CallKind, CallState};
use crate::lua::generation::PluginSource;
use crate::lua::secrets::Secrets;
use crate::model::call::{Effects, Outcome};
use crate::model::trace::{Step, TraceTarget};
use crate::services::traces::{PluginTraces, Traces};

use super::returned::Returned;
use super::tape::Tape;
use super::targets;

/// What the calls of one VM have in common.
pub struct Origin {
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// Counts up with every load.
    pub generation: u64,
    /// The version of the manifest.
    pub version: String,
    /// The hash of its files.
    pub hash: Arc<str>,
    /// What is taken out of everything that is written.
    pub secrets: Arc<Secrets>,
    /// A fingerprint of the config.
    pub config: Mutex<String>,
    /// What the plugin's files asked of the host when they were loaded.
    pub load: OnceLock<Loaded>,
    /// Bytes that one call may hold.
    pub call_bytes: usize,
    /// Of a thousand calls that ended well, so many are stored.
    per_mille: u64,
    calls: Arc<PluginTraces>,
    targets: Mutex<BTreeMap<u32, TraceTarget>>,
}

impl Origin {
    /// Of the VMs of `source`; none when nothing is recorded.
    pub fn of(
        source: &PluginSource,
        secrets: &Arc<Secrets>,
        config: &Value,
        traces: &Traces,
    ) -> Option<Arc<Self>> {
        Some(Arc::new(Origin {
            plugin: Arc::clone(&source.name),
            generation: source.generation,
            version: source.version.clone(),
            hash: Arc::clone(&source.hash),
            secrets: Arc::clone(secrets),
            config: Mutex::new(fingerprint(config, secrets.keys())),
            load: OnceLock::new(),
            call_bytes: traces.call_bytes(),
            per_mille: source.limits.trace_per_mille,
            calls: traces.plugin(&source.name)?,
            targets: Mutex::default(),
        }))
    }

    /// The number of `call`, which has ended.
    pub fn number_of(&self, call: &CallState) -> i64 {
        let took_us = i64::try_from(call.left_ns.load(Ordering::Relaxed) / 1_000).unwrap_or_default();
        self.calls.number_at(self.at_us(call).saturating_add(took_us))
    }

    /// When `call` began, in microseconds since 1970 UTC.
    pub fn at_us(&self, call: &CallState) -> i64 {
        self.calls.at_us(call.began)
    }

    /// The config has changed.
    pub fn new_config(&self, config: &Value) {
        *self.config.lock() = fingerprint(config, self.secrets.keys());
    }

    /// The function in a slot, once it was called.
    pub fn target(&self, slot: u32) -> TraceTarget {
        self.targets.lock().get(&slot).cloned().unwrap_or_default()
    }

    /// Learns what the function in a slot is; asked again only until it is known.
    pub fn learn_target(&self, ctx: &ApiContext, slot: u32) {
        let mut targets = self.targets.lock();
        if let std::collections::btree_map::Entry::Vacant(entry) = targets.entry(slot) {
            entry.insert(targets::target_of(&ctx.registry, slot));
        }
    }
}

/// What of the loading of a plugin's files matters to its calls.
pub struct Loaded {
    /// The state of the random numbers when it began.
    pub random: u64,
    /// What the files asked of the host.
    pub steps: Vec<Step>,
    /// What of that was not kept.
    pub cut: Option<String>,
}

/// A short text that differs between configs. It is stored: what is secret has no part in it, or a short secret could be
/// guessed from it.
pub fn fingerprint(config: &Value, secret_keys: &[String]) -> String {
    let mut open = config.clone();
    if let Value::Object(fields) = &mut open {
        fields.retain(|key, _| !secret_keys.contains(key));
    }
    blake3::hash(open.to_string().as_bytes()).to_hex()[..16].to_owned()
}

/// What one call carries.
pub struct Record {
    /// Where it was.
    pub origin: Arc<Origin>,
    /// The first argument.
    pub input: Given,
    /// The function, unless it is the chunk or a task.
    pub slot: Option<u32>,
    /// The state of the random numbers when it began.
    pub random: u64,
    /// What it asked of the host.
    pub tape: Mutex<Tape>,
    /// Whether it had to give way in the middle of what it did.
    pub sliced: AtomicBool,
    /// Whether parts of it ran side by side.
    pub in_parts: AtomicBool,
    /// `ctx.deadline` as the script saw it; the bits of a number, 0 = it did not look.
    pub deadline: AtomicU64,
    /// What it came to.
    pub ended: OnceLock<Ended>,
}

/// What a call came to.
pub struct Ended {
    /// Its number.
    pub number: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// What it returned.
    pub returned: Returned,
    /// What is committed with it.
    pub effects: Option<Box<Effects>>,
    /// What went wrong.
    pub fault: Option<Box<ScriptFault>>,
    /// Microseconds, waits included.
    pub took_us: u64,
    /// Why it is kept.
    pub kept: &'static str,
}

impl Record {
    /// Of a call that begins.
    pub fn new(origin: &Arc<Origin>, input: Given, slot: Option<u32>, random: u64) -> Self {
        Record {
            input,
            slot,
            random,
            tape: Mutex::new(Tape::new(origin.call_bytes)),
            sliced: AtomicBool::new(false),
            in_parts: AtomicBool::new(false),
            deadline: AtomicU64::new(0),
            ended: OnceLock::new(),
            origin: Arc::clone(origin),
        }
    }

    /// The call had to give way in the middle of what it did: other parts of it may have gone on meanwhile.
    pub fn note_cut(&self) {
        self.sliced.store(true, Ordering::Relaxed);
    }

    /// A part of the call begins beside the rest of it.
    pub fn note_part(&self) {
        self.in_parts.store(true, Ordering::Relaxed);
    }

    /// Notes the deadline that the script was shown.
    pub fn note_deadline(&self, seconds: f64) {
        self.deadline.store(seconds.to_bits(), Ordering::Relaxed);
    }

    /// The call has ended: it goes to the calls of its plugin.
    pub fn end(
        call: &Arc<CallState>,
        number: i64,
        outcome: Outcome,
        make: impl FnOnce(&'static str) -> Ended,
    ) {
        let Some(record) = &call.record else { return };
        let origin = &record.origin;
        let is_sample = || mixed(number) % 1_000 < origin.per_mille && origin.calls.takes_sample(number);
        let kept = match outcome {
            Outcome::Ok if is_sample() => "sample",
            Outcome::Ok | Outcome::Skipped => "recent",
            _ if origin.calls.takes_failure(number) => "failure",
            _ => "recent",
        };
        if record.ended.set(make(kept)).is_err() {
            return;
        }
        if call.kind == CallKind::Load {
            let (steps, cut) = record.tape.lock().read();
            let _ = origin.load.set(Loaded { random: record.random, steps, cut });
        }
        if !matches!(outcome, Outcome::Skipped) {
            origin.calls.note(call.ctx.hook, Arc::clone(call) as _, kept != "recent");
        }
    }
}

/// Numbers that follow each other, far from each other.
fn mixed(number: i64) -> u64 {
    number.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_cannot_be_guessed_from_the_fingerprint_of_a_config() {
        let of = |config: Value| fingerprint(&config, &["pin".to_owned()]);
        assert_eq!(of(json!({ "level": 1, "pin": "1234" })), of(json!({ "level": 1, "pin": "5678" })));
        assert_ne!(of(json!({ "level": 1, "pin": "1234" })), of(json!({ "level": 2, "pin": "1234" })));
    }
}
