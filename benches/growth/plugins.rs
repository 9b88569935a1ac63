//! What a request costs with more plugins: with ones that are not asked and with ones that are.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::SETTINGS;
use super::asked::{Group, Route, Sent, new_clip};
use super::library;
use super::measure::{Series, ask};
use super::rig::server::Server;
use super::words::Chance;

pub const LISTENS: &str = "panotti.events.subscribe('bench.told', function(event) end)\n";
const ELSEWHERE: &str = "panotti.on.before_recording_start(function() end)
panotti.events.subscribe('bench.other', function(event) end)\n";
const ASKED: &str = "panotti.on.on_clip_captured(function(clip) return { metadata = { seen = true } } end)\n";

/// Clips that are there, in all of it.
const CLIPS: usize = 100;

/// Writes a plugin of one file.
pub fn write(folder: &Path, source: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("init.lua"), source).unwrap();
    std::fs::write(folder.join("plugin.yaml"), "version: 1.0.0\n").unwrap();
}

/// The costs over these numbers of plugins.
pub fn grown(counts: &[usize], time: Duration) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for (group, script) in [(Group::Apart, ELSEWHERE), (Group::Asked, "")] {
        for &count in counts {
            for (route, script) in routes(group, script) {
                // A server of its own for each: what one script asks for is not to be seen in what another one costs.
                let folder = tempfile::TempDir::new().unwrap();
                library::fill(folder.path(), CLIPS);
                for number in 0..count {
                    write(&folder.path().join(format!("plugins/p{number:03}")), script);
                }
                let server = Server::start_with(folder.path(), SETTINGS);
                let cost = ask(&server, &route, CLIPS, time);
                match all.iter_mut().find(|it| it.group == group && it.name == route.name) {
                    Some(series) => series.add(count, cost),
                    None => {
                        let mut series = Series::new(group, route.name);
                        series.add(count, cost);
                        all.push(series);
                    }
                }
            }
        }
    }
    all
}

/// What is asked, and of which plugins.
fn routes(group: Group, script: &'static str) -> Vec<(Route, &'static str)> {
    match group {
        Group::Apart => vec![
            (route(group, "a clip", |_| ("GET", "/api/v1/clips/7".to_owned(), String::new())), script),
            (route(group, "a new clip", creates), script),
            (route(group, "an event that nobody wants", |_| publishes("bench.unheard", "")), script),
        ],
        _ => vec![
            (route(group, "a new clip that each is asked about", creates), ASKED),
            (
                route(group, "an event until all have acknowledged it", |_| {
                    publishes("bench.told", "?wait=10")
                }),
                LISTENS,
            ),
        ],
    }
}

fn creates(chance: &mut Chance) -> Sent {
    ("POST", "/api/v1/clips".to_owned(), new_clip(chance))
}

fn publishes(kind: &str, query: &str) -> Sent {
    let body = json!({ "type": kind, "subject": "thing/1", "data": { "n": 1 } }).to_string();
    ("POST", format!("/api/v1/events{query}"), body)
}

fn route(group: Group, name: &'static str, request: fn(&mut Chance) -> Sent) -> Route {
    Route {
        group,
        name,
        prepare: |_, _| String::new(),
        request: Box::new(move |chance: &mut Chance, _: usize, _: &mut String| request(chance)),
    }
}
