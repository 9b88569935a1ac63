//! Administrative acts: which routes change something about the server itself, and what the audit log calls it. What a
//! service notes in the transaction of its change stands; whatever a request came to beside that is noted here, so that
//! no changing route can be without.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use parking_lot::Mutex;
use serde_json::json;

use crate::error::{Code, Error, Result};
use crate::model::asked::Asked;
use crate::services::audit;

use super::meta::{Identity, Meta};
use super::router::Parts;
use super::state::HttpState;

/// The same attempt of the same key that comes to nothing in the same way is told once in this time.
const EVERY: Duration = Duration::from_secs(60);

/// Attempts that are remembered: keys times routes times codes.
const MAX_KNOWN: usize = 1000;

/// What clients keep here is no administration: the journal tells of it.
const CONTENT: &[&str] = &["/api/v1/recordings", "/api/v1/clips", "/api/v1/uploads", "/api/v1/libraries"];

/// Operations that change nothing about the server, and why.
const NONE: &[(&str, &str)] = &[
    ("publishEvent", "the journal has it, with the key that told it"),
    ("postPluginRoute", "what it does is the plugin's own business"),
    ("putPluginRoute", "what it does is the plugin's own business"),
    ("patchPluginRoute", "what it does is the plugin's own business"),
    ("deletePluginRoute", "what it does is the plugin's own business"),
    ("previewPlugin", "it runs aside and is thrown away"),
    ("testPlugin", "it runs aside and is thrown away"),
    ("validatePlugin", "it runs aside and is thrown away"),
    ("checkPluginDraft", "it runs aside and is thrown away"),
    ("validatePluginConfig", "the values are tried and stay as they are"),
    ("replayCallTrace", "it runs aside and is thrown away"),
];

/// What the audit log calls an operation.
const ACTS: &[(&str, &str)] = &[
    ("cancelReplay", "events.replay_cancel"),
    ("changePluginConfig", "plugin.config.change"),
    ("changePlugins", "plugin.bulk"),
    ("createPluginConfig", "plugin.config.create"),
    ("createToken", "token.create"),
    ("createWebhook", "webhook.create"),
    ("deleteBackup", "backup.delete"),
    ("deleteEventSchema", "event_schema.delete"),
    ("deletePlugin", "plugin.delete"),
    ("deletePluginAsset", "plugin.asset.delete"),
    ("deletePluginConfig", "plugin.config.delete"),
    ("deletePluginDraft", "plugin.draft.drop"),
    ("deletePluginDraftFile", "plugin.draft.change"),
    ("deletePluginFile", "plugin.files.change"),
    ("deleteWebhook", "webhook.delete"),
    ("disablePlugin", "plugin.disable"),
    ("discardDeadDelivery", "events.dead_discard"),
    ("enablePlugin", "plugin.enable"),
    ("grantPlugin", "plugin.grant"),
    ("loadPlugin", "plugin.load"),
    ("pauseSchedule", "schedule.pause"),
    ("publishPluginDraft", "plugin.draft.publish"),
    ("redeliverWebhook", "webhook.redeliver"),
    ("registerPlugin", "plugin.register"),
    ("reloadPlugin", "plugin.reload"),
    ("renamePluginFile", "plugin.files.change"),
    ("replaceEventSchema", "event_schema.set"),
    ("replacePlugin", "plugin.update"),
    ("replacePluginGrants", "plugin.grant"),
    ("replayDeadDelivery", "events.replay"),
    ("replayEvents", "events.replay"),
    ("rescanPlugins", "plugins.rescan"),
    ("resetPluginBreaker", "plugin.breaker_reset"),
    ("revokePluginGrants", "plugin.grant"),
    ("revokeToken", "token.revoke"),
    ("rollBackPlugin", "plugin.rollback"),
    ("rollBackPluginMigrations", "plugin.migrations.rollback"),
    ("rotateToken", "token.rotate"),
    ("rotateWebhookSecret", "webhook.rotate_secret"),
    ("runSchedule", "schedule.run"),
    ("savePluginDraftFile", "plugin.draft.change"),
    ("savePluginFile", "plugin.files.change"),
    ("startBackup", "backup.start"),
    ("testWebhook", "webhook.test"),
    ("unloadPlugin", "plugin.unload"),
    ("updatePlugin", "plugin.update"),
    ("updatePluginConfig", "plugin.config.update"),
    ("updateToken", "token.update"),
    ("updateWebhook", "webhook.update"),
    ("uploadPlugin", "plugin.upload"),
];

/// Operations whose act no service notes: they leave nothing in the database that it could stand beside.
const NOTED_HERE: &[&str] = &[
    "deletePluginAsset",
    "reloadPlugin",
    "rescanPlugins",
    "resetPluginBreaker",
    "runSchedule",
    "testWebhook",
];

/// An administrative act, as a route does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// What generated clients call the route.
    operation: &'static str,
    /// What the audit log calls the act.
    action: &'static str,
}

/// The act of a route; none when it only reads, or changes what clients keep.
pub fn act_of(method: &Method, path: &str, operation: &'static str) -> Option<Act> {
    let is_content = !path.starts_with("/api/v1/") || CONTENT.iter().any(|it| path.starts_with(it));
    if *method == Method::GET || is_content || NONE.iter().any(|(it, _)| *it == operation) {
        return None;
    }
    let named = ACTS.iter().find(|(it, _)| *it == operation).map(|(_, action)| *action);
    Some(Act { operation, action: named.unwrap_or(operation) })
}

/// Does what a route does, and sees to it that the audit log tells of it: exactly once when it was done, and at a bounded
/// rate when it came to nothing.
pub async fn watched(
    act: Act,
    req: &HttpRequest,
    parts: &Parts,
    work: impl Future<Output = Result<HttpResponse>>,
) -> Result<HttpResponse> {
    let asked = Asked::new(Meta::of(req).request_id());
    let done = asked.clone().scope(work).await;
    if asked.acts() == 0 {
        asked.scope(note(act, req, parts, &done)).await;
    }
    done
}

/// Notes what no service has noted: an attempt that came to nothing, or one after which everything was as before.
async fn note(act: Act, req: &HttpRequest, parts: &Parts, done: &Result<HttpResponse>) {
    let Some(state) = req.app_data::<Data<HttpState>>() else { return };
    // Whoever has no key is nobody the log could name.
    let Some(Identity::Key(token)) = Meta::of(req).identity().cloned() else { return };
    let actor = format!("key/{}", token.id);
    let (outcome, mut detail) = match done {
        Ok(_) if NOTED_HERE.contains(&act.operation) => (None, json!({})),
        Ok(_) => (None, json!({ "changed": false })),
        Err(error) if error.code == Code::ScopeMissing => (Some(audit::DENIED), why(error)),
        Err(error) => (Some(audit::FAILED), why(error)),
    };
    if let Err(error) = done {
        let Some(times) = state.attempts.due((actor.clone(), act.operation, error.code)) else { return };
        if times > 1 {
            detail["times"] = times.into();
        }
    }
    let written =
        audit::note_outcome(&state.services, &actor, act.action, subject(state, req, parts), outcome, detail)
            .await;
    if let Err(error) = written {
        log::error!(request_id = &*Meta::of(req).request_id(); "{} is not in the audit log: {error}", act.action);
    }
}

fn why(error: &Error) -> serde_json::Value {
    let mut why = json!({ "code": error.code.name(), "status": error.status() });
    if let Some((_, scope)) = error.members.iter().find(|(name, _)| *name == "scope") {
        why["scope"] = scope.clone();
    }
    why
}

/// Whom the path names, as the services name it.
fn subject(state: &HttpState, req: &HttpRequest, parts: &Parts) -> Option<String> {
    let noun = req.path().split('/').nth(3).unwrap_or_default();
    let (part, id) = parts.first(req)?;
    let plugin = if noun == "plugins" { state.manager.get(id).ok() } else { None };
    if let Some(plugin) = plugin {
        return Some(format!("plugin/{}", plugin.name));
    }
    let noun = match part {
        "type" => "event",
        "replay_id" => "replay",
        "delivery_id" => "delivery",
        _ => noun.trim_end_matches('s'),
    };
    let id: String = id.chars().take(128).collect();
    Some(format!("{noun}/{}", id.escape_debug()))
}

type Attempt = (String, &'static str, Code);

/// When an attempt was told last, and how often it was made since.
struct Told {
    at: Instant,
    since: u64,
}

/// Attempts that came to nothing.
#[derive(Default)]
pub struct Attempts(Mutex<HashMap<Attempt, Told>>);

impl Attempts {
    /// How often it was tried since it was told last, when it is to be told now.
    fn due(&self, attempt: Attempt) -> Option<u64> {
        due(&mut self.0.lock(), attempt)
    }
}

fn due(known: &mut HashMap<Attempt, Told>, attempt: Attempt) -> Option<u64> {
    let now = Instant::now();
    if known.len() >= MAX_KNOWN && !known.contains_key(&attempt) {
        known.retain(|_, it| now.duration_since(it.at) < EVERY);
        if known.len() >= MAX_KNOWN {
            return None;
        }
    }
    match known.get_mut(&attempt) {
        Some(told) if now.duration_since(told.at) < EVERY => {
            told.since += 1;
            None
        }
        former => {
            let times = former.map_or(1, |it| it.since + 1);
            known.insert(attempt, Told { at: now, since: 0 });
            Some(times)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::http::routes;

    #[test]
    fn every_changing_route_is_content_or_an_act_with_a_name_or_told_to_be_none() {
        let named = |operation: &str| ACTS.iter().chain(NONE).filter(|(it, _)| *it == operation).count();
        for route in routes() {
            let is_changing = route.method != Method::GET && route.path.starts_with("/api/v1/");
            let is_content = CONTENT.iter().any(|it| route.path.starts_with(it));
            let wanted = usize::from(is_changing && !is_content);
            let told = named(route.operation);
            assert_eq!(
                told, wanted,
                "{} {}: a row in ACTS or NONE of http/acts.rs",
                route.method, route.operation
            );
        }
    }

    #[test]
    fn every_row_is_of_a_route() {
        let known: HashSet<&str> = routes().iter().map(|it| it.operation).collect();
        for (operation, _) in ACTS.iter().chain(NONE) {
            assert!(known.contains(operation), "{operation}");
        }
    }

    #[test]
    fn an_attempt_made_in_a_loop_is_told_once_and_the_number_of_attempts_is_bounded() {
        let attempt = |key: u32| (key.to_string(), "createToken", Code::ScopeMissing);
        let mut known = HashMap::new();
        assert_eq!(due(&mut known, attempt(1)), Some(1));
        assert_eq!(due(&mut known, attempt(1)), None);
        (0..5_000).for_each(|key| _ = due(&mut known, attempt(key)));
        assert_eq!(known.len(), MAX_KNOWN);
    }
}
