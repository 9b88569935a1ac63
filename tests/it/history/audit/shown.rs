//! What the server shows is what is there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::shown::Shown;
use super::{Case, Promise};

pub(super) fn check(case: &mut Case<'_>, shown: &Shown) {
    let there: Vec<(i64, String)> = case.record.events.iter().map(|it| (it.seq, it.id.clone())).collect();
    if shown.events != there {
        let (shown, there) = (shown.events.len(), there.len());
        case.breaks(Promise::Shown, format!("{shown} events are listed, {there} are there, or not in order"));
    }
    let mut states: BTreeMap<&str, i64> = BTreeMap::new();
    for it in &case.record.deliveries {
        *states.entry(it.state.as_str()).or_default() += 1;
    }
    let counted = &shown.stats["deliveries"];
    let told = |state: &str| match state {
        "done" => counted["delivered"].as_i64().unwrap_or_default(),
        _ => counted["states"][state].as_i64().unwrap_or_default(),
    };
    let wrong: Vec<String> =
        ["waiting", "ready", "suspect", "claimed", "delayed", "dead", "quarantined", "done"]
            .into_iter()
            .map(|state| (state, told(state), states.get(state).copied().unwrap_or_default()))
            .filter(|(_, told, there)| told != there)
            .map(|(state, told, there)| format!("{told} deliveries are said to be {state}, {there} are"))
            .collect();
    wrong.into_iter().for_each(|what| case.breaks(Promise::Shown, what));
    for event in &shown.details {
        let seq: i64 = event["sequence"].as_str().and_then(|it| it.parse().ok()).unwrap_or_default();
        let told = event["deliveries"].as_array().cloned().unwrap_or_default();
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let mut told: Vec<_> = told
            .iter()
            .map(|it| {
                (text(&it["subscriber"]), text(&it["state"]), it["attempts"].as_i64().unwrap_or_default())
            })
            .collect();
        let rows = case.record.deliveries.iter().filter(|it| it.seq == seq);
        let mut there: Vec<_> =
            rows.map(|it| (it.subscriber.clone(), it.state.clone(), it.attempts)).collect();
        told.sort();
        there.sort();
        if told != there {
            case.breaks(Promise::Shown, format!("event {seq} is shown with {told:?}, there is {there:?}"));
        }
    }
}
