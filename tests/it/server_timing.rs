//! Where the time of a request went, for those who ask and may know.

use serde_json::json;

use crate::common::Server;
use crate::common::client::{Answer, Client};

const ASKS: (&str, &str) = ("X-Panotti-Timing", "1");

fn clip(client: &Client, headers: &[(&str, &str)]) -> Answer {
    let answer =
        client.json_with("POST", "/api/v1/clips", headers, json!({ "title": "a", "file_path": "b" }));
    answer.expect(201);
    answer
}

/// Name, milliseconds and description of each entry.
fn entries(answer: &Answer) -> Vec<(String, f64, String)> {
    let header = answer.header("server-timing").unwrap_or_else(|| panic!("{answer:?}"));
    let parts = header.split(", ").map(|it| {
        let mut parts = it.split(';');
        let name = parts.next().unwrap().to_owned();
        let (mut dur, mut desc) = (f64::NAN, String::new());
        for part in parts {
            match part.split_once('=').unwrap() {
                ("dur", text) => dur = text.parse().unwrap(),
                ("desc", text) => desc = text.trim_matches('"').to_owned(),
                (name, _) => assert_eq!(name, "gen"),
            }
        }
        (name, dur, desc)
    });
    parts.collect()
}

#[test]
fn plugins_database_and_total_are_told_to_a_key_that_may_see_plugins() {
    let slow = "panotti.on.on_clip_captured(function() panotti.sleep(0.05) end)";
    let around = "panotti.on.before_request(function() end) panotti.on.on_clip_captured(function() return { tags = { 'x' } } end)";
    let server = Server::with().plugin("slow", slow).plugin("around", around).start();
    let told = entries(&clip(&server, &[ASKS]));
    let names: Vec<(&str, &str)> =
        told.iter().map(|(name, _, desc)| (name.as_str(), desc.as_str())).collect();
    assert_eq!(
        names,
        [
            ("around", "before_request"),
            ("around", "on_clip_captured"),
            ("slow", "on_clip_captured"),
            ("db", ""),
            ("total", "")
        ]
    );
    let of = |index: usize| told[index].1;
    assert!(of(2) >= 50.0 && of(3) > 0.0 && of(4) >= of(2), "{told:?}");
    // Not asked, asked otherwise, or not allowed to know.
    let limited =
        server.post("/api/v1/tokens", json!({ "name": "k", "scopes": ["clips:write"] })).expect(201);
    let limited = server.with_key(limited["token"].as_str());
    for answer in [clip(&server, &[]), clip(&server, &[("X-Panotti-Timing", "0")]), clip(&limited, &[ASKS])] {
        assert_eq!(answer.header("server-timing"), None);
    }
    let nobody = server.with_key(None).send("GET", "/api/v1/clips", &[ASKS], None);
    assert_eq!((nobody.status, nobody.header("server-timing")), (401, None));
}

#[test]
fn refusals_and_routes_of_plugins_are_measured_too() {
    let source = r#"
        panotti.on.before_recording_start(function() return panotti.deny("closed") end)
        panotti.route("GET", "/hello", function() return { hello = true } end)"#;
    let server = Server::with()
        .plugin("gate", source)
        .plugin_file("gate", "plugin.yaml", "permissions: { routes: true }\n")
        .start();
    let refused = server.json_with("POST", "/api/v1/recordings", &[ASKS], json!({}));
    refused.problem(422, "hook_denied");
    assert_eq!(entries(&refused)[0].2, "before_recording_start");
    let route = server.send("GET", "/api/v1/plugins/gate/x/hello", &[ASKS], None);
    route.expect(200);
    assert_eq!((entries(&route)[0].0.as_str(), entries(&route)[0].2.as_str()), ("gate", "route"));
}
