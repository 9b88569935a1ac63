//! Every example of the API's table runs, with real doors: a database, files, a server, a program, a neighbour.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use futures_util::future::BoxFuture;

use crate::hooks::{Offer, RouteOffer};
use crate::lua::api::DOCS;
use crate::lua::api::stubs::Entry;
use crate::lua::exports::{Exported, Exports};
use crate::lua::permission::Permissions;
use crate::model::call::{EVENT, EXPORT, Outcome, ROUTE, TIMER};

use super::*;

/// What is there before an example runs.
const SETUP: &str = r#"panotti.on.after_recording_end(function(recording)
    panotti.recordings.create({ id = recording.id, title = recording.title })
    assert(panotti.clips.create({ title = "Ace", file_path = "/elsewhere/ace.mp4", tags = { "ace" } }))
    assert(panotti.db.execute("CREATE TABLE words (word TEXT PRIMARY KEY, times INTEGER)"))
    assert(panotti.db.execute("INSERT INTO words VALUES ('goal', 3)"))
    assert(panotti.fs.write("notes/today.txt", "It went well."))
    assert(panotti.assets.save(recording.id .. ".txt", "the transcript"))
end)"#;

/// What an example calls to be called itself.
const REGISTERS: &[&str] =
    &["panotti.on.", "panotti.route(", "panotti.schedule.", "panotti.export(", "panotti.events.subscribe("];

struct Calendar;

impl Exports for Calendar {
    fn call(
        &self,
        _: (&str, u64),
        _: &str,
        name: &str,
        _: Vec<Value>,
        _: Caller,
    ) -> BoxFuture<'static, Exported> {
        let answer = match name {
            "next_meeting" => Exported::Value(json!({ "title": "Standup" })),
            _ => Exported::NoFunction(vec!["next_meeting".to_owned()]),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// Answers every request with an empty list.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // Enough of any request: the bodies of the examples come in one piece with their heads or are not waited for.
                let _ = stream.read(&mut [0; 16 << 10]);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]");
            });
        }
    });
    address
}

struct Stage {
    bench: Bench,
    recording: Value,
}

impl Stage {
    fn new() -> Self {
        let api = server();
        let bench = Bench::with(|it| {
            let mut settings = crate::config::Settings::clone(&it.services.settings);
            settings.http_hosts = vec![format!("api.example={api}")];
            settings.process_tools = vec!["ffmpeg=/bin/echo".to_owned()];
            it.services.settings = Arc::new(settings);
            it.exports = Arc::new(Calendar);
        });
        let folder = bench._world.recordings_dir();
        let track = |name: &str| {
            let path = folder.join(name);
            sounds::quiet_wav(&path, 2);
            json!({ "path": path, "origin": "client", "size": 1, "duration": 2 })
        };
        let recording = json!({
            "id": "standup", "title": "Private", "status": "completed", "started_at": "2026-01-01T09:00:00Z",
            "tracks": { "system": track("system.wav"), "microphone": track("microphone.wav") }, "metadata": {},
        });
        let stage = Stage { bench, recording };
        stage.run("the setup", SETUP);
        stage
    }

    fn source(&self, text: &str) -> PluginSource {
        let permissions =
            ["recordings", "clips", "db", "media", "events", "process", "routes", "assets", "notify"]
                .iter()
                .map(|it| ((*it).to_owned(), json!(true)))
                .chain([("http".to_owned(), json!(["api.example"]))])
                .collect::<serde_json::Map<_, _>>();
        let words = "return { count = function(text) return #panotti.regex.split(' ', text) end }";
        PluginSource {
            permissions: serde_json::from_value::<Permissions>(Value::Object(permissions)).unwrap(),
            dependencies: Arc::new(["calendar".to_owned()]),
            ..plugin(&[("init.lua", text), ("lib/words.lua", words)], json!({}))
        }
    }

    /// Loads a plugin and calls all it registers.
    fn run(&self, what: &str, text: &str) {
        let loaded = self.bench.runtime.block_on(self.bench.host.load(self.source(text)));
        let generation = loaded.unwrap_or_else(|it| panic!("{what}: {}\n{text}", it.fault));
        let calls = self.calls(&generation);
        assert!(!calls.is_empty(), "{what} is never called:\n{text}");
        for call in calls {
            let reply = self.bench.runtime.block_on(generation.call(call));
            let reply = reply.unwrap_or_else(|it| panic!("{what}: {}\n{text}", it.fault));
            let fine = matches!(reply.outcome, Outcome::Ok | Outcome::Refused);
            assert!(fine, "{what}: {:?}\n{text}", reply.outcome);
        }
        self.bench.runtime.block_on(generation.retire(Duration::from_secs(5)));
    }

    fn calls(&self, generation: &Generation) -> Vec<HookCall> {
        let base = |slot, hook: &'static str, payload: Value, is_question| HookCall {
            target: Target::Slot(slot),
            payload: payload.into(),
            ctx: CallContext::new(hook, Caller::server()).into(),
            asked_at: Instant::now(),
            timeout: None,
            deadline: None,
            is_question,
            then: None,
        };
        let hooks = generation.registrations().into_iter().map(|it| {
            let payload = match it.hook.info().payload {
                crate::hooks::catalogue::Payload::Request => json!({ "path": "/ping" }),
                _ => self.recording.clone(),
            };
            let is_question = it.hook.info().kind == crate::hooks::HookKind::Question;
            base(it.slot, it.hook.name(), payload, is_question)
        });
        let event = json!({ "type": "notes.written", "data": { "id": "standup" } });
        let events =
            generation.subscriptions().into_iter().map(|it| base(it.slot, EVENT, event.clone(), false));
        let offers = generation.offers().into_iter().map(|it| match it {
            Offer::Route(RouteOffer { slot, .. }) => {
                base(slot, ROUTE, json!({ "params": { "name": "monday" } }), true)
            }
            Offer::Schedule(it) => base(it.slot, TIMER, json!({ "missed_count": 0 }), false),
            Offer::Export(it) => base(it.slot, EXPORT, json!(["monday"]), true),
        });
        hooks.chain(events).chain(offers).collect()
    }

    fn example(&self, path: &str, entry: &Entry) {
        // The server of the test speaks no TLS.
        let text = entry.example.clone().unwrap_or_default().replace("https://", "http://");
        let text = match REGISTERS.iter().any(|it| text.contains(it)) {
            true => text,
            false => format!("panotti.on.after_recording_end(function(recording, ctx)\n{text}\nend)"),
        };
        self.run(path, &text);
    }
}

#[test]
fn every_example_of_the_table_runs() {
    if !std::path::Path::new("/bin/echo").is_file() {
        return;
    }
    let stage = Stage::new();
    for (path, entry) in DOCS.iter().flat_map(|it| it.entries()) {
        stage.example(&path, entry);
    }
}
