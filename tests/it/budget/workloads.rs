//! What is measured: plugins, requests, and how many of them.

use crate::common::Server;
use crate::common::server::Builder;

use super::connection::Connection;

const CLIP: &str = r#"{"title":"Epic Victory","file_path":"/clips/epic_victory.mp4","game_name":"Counter-Strike 2","duration":45,"resolution":"1920x1080","fps":60,"tags":["ace","clutch"]}"#;

const AROUND_REQUESTS: &str = r#"
local n, last = 0, nil
panotti.on.before_request(function(request)
  last = request.method .. " " .. request.path .. " " .. (request.headers["x-bench"] or "-")
  n = n + 1
end)
panotti.on.after_request(function(response)
  return { headers = { ["x-hook"] = tostring(n) } }
end)"#;

const TAGS: &str = r#"
panotti.on.on_clip_captured(function(clip)
  local tags = clip.tags or {}
  tags[#tags + 1] = "highlight"
  return {
    tags = tags,
    metadata = { highlights = { processed_by = "bench", score = 0.93, count = 3, first_at = clip.duration / 3, kind = "multi-kill" } },
  }
end)"#;

const COMPUTES: &str = r#"
panotti.on.on_clip_captured(function(clip)
  local x = 1
  for i = 1, 1000 do x = (x * 1664525 + 1013904223) % 4294967296 end
  return { metadata = { x = x } }
end)"#;

const PUBLISHES: &str = r#"
panotti.on.before_recording_start(function(recording)
  panotti.events.publish("bench.started", { recording_id = recording.id }, { subject = recording.id })
end)
panotti.on.after_recording_end(function(recording)
  panotti.events.publish("bench.ended", { recording_id = recording.id }, { subject = recording.id })
end)"#;

const COUNTS_STARTS: &str = r#"
local started = 0
panotti.on.before_recording_start(function(recording) started = started + 1 end)"#;

const LISTENS: &str = r#"
local seen = 0
panotti.events.subscribe("bench.told", function(event) seen = seen + event.data.n end)"#;

/// Sends one request, or the few that belong together.
type Step = fn(&mut Connection);

/// One thing that is measured.
pub struct Workload {
    pub name: &'static str,
    plugins: Vec<(String, &'static str)>,
    step: Step,
    /// Before the count, so that caches are filled and growing memory has grown.
    pub warm_up: usize,
    /// That are counted.
    pub requests: usize,
}

impl Workload {
    fn of(name: &'static str, plugin: Option<&'static str>, step: Step) -> Self {
        let plugins = plugin.map(|it| ("bench".to_owned(), it)).into_iter().collect();
        Workload { name, plugins, step, warm_up: 100, requests: 200 }
    }

    /// Reads are cheap, and the more of them, the less what goes by the clock weighs.
    fn reading(name: &'static str, plugin: Option<&'static str>) -> Self {
        Workload { requests: 400, ..Workload::of(name, plugin, get) }
    }

    /// The server: one thread of each kind, nothing by the clock that can be switched off, each request in the log.
    pub fn server(&self) -> Builder {
        let mut server = Server::with()
            .env("PANOTTI_HTTP_WORKERS", 1)
            .env("PANOTTI_LUA_THREADS", 1)
            .env("PANOTTI_LOG", "info")
            .env("PANOTTI_LOG_FORMAT", "text")
            .env("PANOTTI_HEALTH_EVERY_S", 86_400);
        for (name, source) in &self.plugins {
            server = server.plugin(name, source);
        }
        server
    }

    /// Makes what the requests need.
    pub fn prepare(&self, connection: &mut Connection) {
        connection.send("POST", "/api/v1/clips", CLIP);
    }

    /// Sends so many.
    pub fn run(&self, connection: &mut Connection, count: usize) {
        for _ in 0..count {
            (self.step)(connection);
        }
    }
}

fn get(connection: &mut Connection) {
    connection.send("GET", "/api/v1/clips/1", "");
}

fn post(connection: &mut Connection) {
    connection.send("POST", "/api/v1/clips", CLIP);
}

pub fn read(name: &'static str) -> Workload {
    Workload::reading(name, None)
}

pub fn read_with_hooks(name: &'static str) -> Workload {
    Workload::reading(name, Some(AROUND_REQUESTS))
}

pub fn read_beside_plugins(name: &'static str) -> Workload {
    let plugins = (0..100).map(|it| (format!("idle_{it}"), COUNTS_STARTS)).collect();
    Workload { plugins, ..Workload::reading(name, None) }
}

pub fn post_with_hook(name: &'static str) -> Workload {
    Workload::of(name, Some(TAGS), post)
}

pub fn post_with_computing_hook(name: &'static str) -> Workload {
    Workload::of(name, Some(COMPUTES), post)
}

/// Both requests, what both hooks publish, and the delivery of the second.
pub fn record_with_hooks(name: &'static str) -> Workload {
    Workload::of(name, Some(PUBLISHES), |connection| {
        let made = connection.send("POST", "/api/v1/recordings", "{}");
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        let id = made["id"].as_str().unwrap();
        connection.send("POST", &format!("/api/v1/recordings/{id}/end"), "{}");
    })
}

/// From the request that publishes it to the acknowledgement, for which its answer waits.
pub fn deliver(name: &'static str) -> Workload {
    Workload::of(name, Some(LISTENS), |connection| {
        let event = r#"{"type":"bench.told","subject":"one","data":{"n":1}}"#;
        let told = connection.send("POST", "/api/v1/events?wait=10", event);
        assert!(told.contains(r#""done""#), "{told}");
    })
}
