//! What the measured hooks are given: recorded calls where a server has some, else a made-up one.

use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::hooks::catalogue::Payload;

/// Recorded calls that are taken up.
const MOST: usize = 50;

/// The inputs of recorded calls of a plugin's hook; none when no server tells of any.
pub fn recorded(client: Option<&Client>, plugin: &str, hook: &str) -> Vec<Value> {
    let Some(client) = client else { return Vec::new() };
    let list = client.call("GET", &format!("/traces?plugin={plugin}&hook={hook}&limit={MOST}"), None);
    let ids = list.ok().and_then(|it| {
        let items = it["items"].as_array()?.iter().filter_map(|it| it["id"].as_str().map(str::to_owned));
        Some(items.collect::<Vec<_>>())
    });
    let one = |id: String| client.call("GET", &format!("/traces/{id}"), None).ok();
    let inputs = ids.unwrap_or_default().into_iter().filter_map(one).map(|it| it["input"].clone());
    inputs.filter(Value::is_object).collect()
}

/// A payload with something in every field.
pub fn made_up(payload: Payload) -> Value {
    let request = || {
        json!({ "id": "019bf2e6d1a77e2f8a8a3f3b7c1d2e4f", "method": "GET", "path": "/api/v1/clips", "query": "page=1",
            "headers": { "accept": "application/json", "user-agent": "panotti-bench" }, "remote": "127.0.0.1" })
    };
    match payload {
        Payload::Recording => json!({
            "id": "20260101090000_4AFEA8B6", "title": "Weekly planning", "status": "completed",
            "started_at": "2026-01-01T09:00:00Z", "ended_at": "2026-01-01T09:30:00Z", "duration": 1800.0,
            "tracks": { "system": { "path": "20260101090000_4AFEA8B6/system.wav", "size": 57_600_044, "duration": 1800.0,
                "codec": "pcm_s16le", "sample_rate": 16_000, "channels": 1 } },
            "metadata": { "eventTitle": "Weekly planning", "eventAttendees": ["ada", "bob", "cleo"] },
            "start_missing": false, "created_at": "2026-01-01T09:00:00Z", "updated_at": "2026-01-01T09:30:00Z",
        }),
        Payload::Clip => json!({
            "id": 1, "title": "Epic GOAL in the last minute", "file_path": "clips/1.mp4", "recording_id": null,
            "description": "The winner", "game_name": "Rocket League", "game_id": "rl", "tags": ["ace", "clutch"],
            "metadata": { "map": "mirage", "score": 9 }, "file_size": 123_456_789, "duration": 45.5,
            "resolution": "1920x1080", "fps": 60, "codec": "h264", "recorded_at": "2026-01-01T09:00:00Z",
            "processed": false, "processing_status": "pending", "provenance": {},
            "created_at": "2026-01-01T09:00:00Z", "updated_at": "2026-01-01T09:00:00Z",
        }),
        Payload::Request => request(),
        Payload::Response => json!({
            "status": 200, "headers": { "content-type": "application/json" }, "duration": 0.004, "request": request(),
        }),
        Payload::Event => json!({
            "id": "019bf2e6-d1a7-7e2f-8a8a-3f3b7c1d2e4f", "type": "clip.created", "source": "panotti", "subject": "clip/1",
            "time": "2026-01-01T09:00:00Z", "data": made_up(Payload::Clip), "correlation_id": "c", "priority": "normal",
        }),
        Payload::App => json!({ "version": env!("CARGO_PKG_VERSION"), "data_dir": "data", "plugins": [] }),
        Payload::None | Payload::Config | Payload::State => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_payload_has_the_fields_that_hooks_are_given() {
        for payload in [Payload::Recording, Payload::Clip, Payload::Request, Payload::Response] {
            let made = made_up(payload);
            let made: Vec<&String> = made.as_object().expect("an object").keys().collect();
            let told: Vec<&str> = payload.fields().iter().map(|(name, ..)| *name).collect();
            assert_eq!(made, told, "{payload:?}");
        }
    }
}
