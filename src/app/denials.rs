//! Doors that plugins found shut: each is a line in the log and a row in the audit log, repeated ones now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;

use crate::lua::permission::{Denied, DeniedSink};
use crate::services::{Services, audit};

/// A door that is tried again and again is told once in this time.
const EVERY: Duration = Duration::from_secs(60);

/// Doors that are remembered; a script could try any number.
const MAX_KNOWN: usize = 1000;

/// When a door was told last, and how often it was tried since.
struct Told {
    at: Instant,
    since: u64,
}

/// Takes note of doors that were shut.
pub(super) fn sink(services: &Services, runtime: tokio::runtime::Handle) -> DeniedSink {
    let (services, known) = (services.clone(), Mutex::new(HashMap::new()));
    Arc::new(move |denied| {
        let Some(times) = due(&mut known.lock(), &denied) else { return };
        let place = denied.file.as_deref().map(|file| format!("{file}:{}", denied.line.unwrap_or_default()));
        log::warn!(
            plugin = &*denied.plugin, generation = denied.generation, outcome = "denied", hook = denied.hook,
            schedule = denied.schedule.as_deref(), permission = denied.permission.as_str(), place = place.as_deref(), times = times;
            "{} needs the permission '{}'", denied.function, denied.permission
        );
        let services = services.clone();
        runtime.spawn(async move {
            let plugin = format!("plugin/{}", denied.plugin);
            let detail = json!({
                "permission": denied.permission, "function": denied.function, "file": denied.file, "line": denied.line,
                "hook": denied.hook, "generation": denied.generation, "times": times,
            });
            let subject = Some(plugin.clone());
            let outcome = Some(audit::DENIED);
            let written = audit::note_outcome(&services, &plugin, "plugin.denied", subject, outcome, detail);
            if let Err(fault) = written.await {
                log::error!("a denial could not be noted: {fault}");
            }
        });
    })
}

/// How often the door was tried since it was told last, when it is to be told now.
fn due(known: &mut HashMap<String, Told>, denied: &Denied) -> Option<u64> {
    let now = Instant::now();
    let key = format!("{}\0{}\0{:?}\0{:?}", denied.plugin, denied.permission, denied.file, denied.line);
    if known.len() >= MAX_KNOWN && !known.contains_key(&key) {
        known.retain(|_, it| now.duration_since(it.at) < EVERY);
        if known.len() >= MAX_KNOWN {
            return None;
        }
    }
    match known.get_mut(&key) {
        Some(told) if now.duration_since(told.at) < EVERY => {
            told.since += 1;
            None
        }
        former => {
            let times = former.map_or(1, |it| it.since + 1);
            known.insert(key, Told { at: now, since: 0 });
            Some(times)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_tried_in_a_loop_is_told_once_and_the_number_of_doors_is_bounded() {
        let denied = |line| Denied {
            plugin: "p".into(),
            generation: 1,
            permission: "http:a".into(),
            function: "panotti.http.get".into(),
            file: Some("init.lua".into()),
            line: Some(line),
            hook: None,
            schedule: None,
        };
        let mut known = HashMap::new();
        assert_eq!(due(&mut known, &denied(1)), Some(1));
        assert_eq!(due(&mut known, &denied(1)), None);
        (0..5_000).for_each(|line| _ = due(&mut known, &denied(line)));
        assert_eq!(known.len(), MAX_KNOWN);
    }
}
