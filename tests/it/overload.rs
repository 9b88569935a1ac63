//! More requests than plugins can be asked about: some are sent away at once, the others do not wait long.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::Server;
use crate::common::client::Answer;
use crate::common::server::wait_for;

/// Computes for 10 ms whatever it is asked.
const BUSY: &str = r#"
local function compute()
  local began = os.clock()
  while os.clock() - began < 0.01 do end
end
panotti.on.on_clip_captured(function() compute() return { tags = { "asked" } } end)
panotti.on.before_recording_start(function() compute() return { title = "asked" } end)
panotti.route("GET", "/busy", function() compute() return "done" end)
"#;
const ROUTES: &str = "permissions: { routes: true }\nlimits: { question_wall_ms: 30000 }\n";

/// As many clients as are too many, each with a few requests.
fn crowd(server: &Server, ask: impl Fn(usize) -> Answer + Sync) -> Vec<(Answer, Duration)> {
    let ask = &ask;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..100)
            .map(|client| {
                scope.spawn(move || {
                    let one = |number: usize| {
                        let began = Instant::now();
                        (ask(client * 4 + number), began.elapsed())
                    };
                    (0..4).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        // Whoever looks after the server is let in meanwhile.
        while !clients.iter().all(|it| it.is_finished()) {
            server.get("/api/v1/plugins").expect(200);
            server.get("/healthz").expect(200);
            server.get("/metrics").expect_bytes(200);
        }
        clients.into_iter().flat_map(|it| it.join().unwrap()).collect()
    })
}

#[test]
fn clips_that_a_busy_plugin_cannot_be_asked_about_soon_are_to_be_sent_again() {
    let server = Server::with().plugin("busy", BUSY).plugin_file("busy", "plugin.yaml", ROUTES).start();
    let client = server.client();
    let clip = json!({"title": "t", "file_path": "/x"});
    let answers = crowd(&server, |_| client.post("/api/v1/clips", clip.clone()));
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|(it, _)| it.status == 201);
    assert!(made.len() >= 32 && !refused.is_empty(), "{} of {} were made", made.len(), answers.len());
    for (answer, _) in &made {
        assert_eq!(answer.json()["tags"], json!(["asked"]), "nobody is admitted who is not asked about");
    }
    for (answer, _) in &refused {
        let problem = answer.problem(503, "overloaded");
        assert!(problem["detail"].as_str().unwrap().contains("`busy`"), "{problem}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let total = server.get("/api/v1/clips?limit=1").expect(200)["total"].as_u64().unwrap();
    assert_eq!(total, made.len() as u64, "who was sent away has left nothing");
    wait_for("room again", || (client.post("/api/v1/clips", clip.clone()).status == 201).then_some(()));
}

#[test]
fn routes_of_a_busy_plugin_send_away_whom_they_cannot_answer_soon() {
    let server = Server::with().plugin("busy", BUSY).plugin_file("busy", "plugin.yaml", ROUTES).start();
    let client = server.client();
    let answers = crowd(&server, |_| client.get("/api/v1/plugins/busy/x/busy"));
    let refused: Vec<_> = answers.iter().filter(|(it, _)| it.status != 200).collect();
    assert!(!refused.is_empty() && refused.len() < answers.len());
    for (answer, _) in refused {
        answer.problem(503, "overloaded");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[test]
fn no_recording_is_sent_away_because_a_plugin_is_busy() {
    let server = Server::with().plugin("busy", BUSY).plugin_file("busy", "plugin.yaml", ROUTES).start();
    let client = server.client();
    let answers = crowd(&server, |it| client.post("/api/v1/recordings", json!({"id": format!("r{it}")})));
    for (answer, _) in answers {
        answer.expect(201);
    }
}

#[test]
fn an_admin_gets_in_when_all_places_are_taken() {
    let server = Server::with()
        .plugin("slow", "panotti.on.on_clip_captured(function() panotti.sleep(20) end)")
        .plugin_file("slow", "plugin.yaml", "limits: { question_wall_ms: 30000 }")
        .env("PANOTTI_MAX_REQUESTS", 2)
        .env("PANOTTI_CHAIN_WALL_MS", 20_000)
        .start();
    let client = server.client();
    let key = json!({"name": "reader", "scopes": ["plugins:read", "clips:read"]});
    let key = server.post("/api/v1/tokens", key).expect(201)["token"].as_str().unwrap().to_owned();
    let reader = server.client().with_key(Some(&key));
    for _ in 0..2 {
        let client = client.clone();
        // Ended with the server. It is sent away, and comes again, if it meets those who look whether all is full.
        std::thread::spawn(move || {
            let (kind, body) =
                ([("content-type", "application/json")], br#"{"title": "t", "file_path": "/x"}"#);
            while client
                .try_send("POST", "/api/v1/clips", &kind, Some(body))
                .is_ok_and(|answer| answer.status == 503)
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
    let full =
        wait_for("all places taken", || Some(client.get("/api/v1/clips")).filter(|it| it.status == 503));
    full.problem(503, "overloaded");
    assert_eq!(full.header("retry-after"), Some("1"));
    reader.get("/api/v1/plugins").problem(503, "overloaded");
    server.get("/api/v1/plugins").expect(200);
    server.get("/metrics").expect_bytes(200);
    server.get("/healthz").expect(200);
}
