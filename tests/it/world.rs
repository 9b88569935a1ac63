//! One plugin that reaches for everything outside: refused cleanly each time before the grant, at work after it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::audio;
use crate::common::server::wait_for;

const COLLECTOR: &str = r#"
local function attempt(fn)
  local ok, value, err = pcall(fn)
  if not ok then return { raised = value } end
  if value == nil and err then return { failed = err.code, message = err.message } end
  return { value = value }
end

local function collect(source)
  local note = attempt(function() return panotti.http.get("http://notes.example/today") end)
  local text = note.value and panotti.json.decode(note.value.body).text or (note.raised or note.message)
  panotti.db.execute("INSERT INTO notes (source, text) VALUES (?, ?)", { source, text })
end

panotti.schedule.every(1, "collect", function() collect("timer") end)

panotti.on.after_recording_end(function(recording)
  local track = recording.tracks.microphone
  local made = attempt(function()
    return panotti.process.run("ffmpeg", { "-nostdin", "-loglevel", "error", "-y", "-i", assert(panotti.media.locate(track.path)), "-ac", "1", "-ar", "8000", "small.wav" })
  end)
  panotti.kv.set("made", { code = made.value and made.value.code, said = made.value and made.value.stderr, failed = made.message, raised = made.raised, size = (panotti.fs.stat("small.wav") or {}).size })
end)

panotti.route("GET", "/notes", function()
  return { notes = panotti.db.query("SELECT source, text FROM notes ORDER BY id"), made = panotti.kv.get("made") }
end)
"#;

const MANIFEST: &str = "permissions: { http: [notes.example], process: [ffmpeg], db: true, routes: true }\n";

/// A server that answers every request with one note.
fn notes() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"text":"stand-up at ten"}"#;
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n";
            let _ =
                stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    address
}

fn ffmpeg() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|it| it.join("ffmpeg")).find(|it| it.is_file())
}

#[test]
fn a_plugin_that_reaches_for_everything_is_refused_until_it_is_granted_and_works_then() {
    let tool = ffmpeg();
    let named = tool.as_ref().map(|it| format!("ffmpeg={}", it.display())).unwrap_or_default();
    let server = Server::with()
        .plugin("collector", COLLECTOR)
        .plugin_file("collector", "plugin.yaml", MANIFEST)
        .plugin_file(
            "collector",
            "migrations/0001_notes/up.sql",
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, source TEXT NOT NULL, text TEXT NOT NULL);",
        )
        .plugin_file("collector", "migrations/0001_notes/down.sql", "DROP TABLE notes;")
        .env("PANOTTI_HTTP_HOSTS", format!("notes.example={}", notes()))
        .env("PANOTTI_PROCESS_TOOLS", named)
        .start();
    let told = |server: &Server| server.get("/api/v1/plugins/collector/x/notes").expect(200);
    let last =
        |told: &Value| told["notes"].as_array().and_then(|it| it.last()).map(|it| it["text"].to_string());
    let record = |server: &Server, id: &str| {
        server.post("/api/v1/recordings", json!({"id": id})).expect(201);
        server.put_track(id, "microphone", &audio::wav(16_000, 1.0, audio::tone(440.0, 0.5))).expect(201);
        server.post(&format!("/api/v1/recordings/{id}/end"), json!({})).expect(200);
        wait_for("the hook", || Some(told(server)["made"].clone()).filter(|it| !it.is_null()))
    };

    let refused = wait_for("a refusal", || last(&told(&server)));
    assert!(refused.contains("needs the permission 'http', which waits for the admin's grant"), "{refused}");
    let made = record(&server, "before");
    assert!(made["raised"].as_str().unwrap().contains("needs the permission 'process'"), "{made}");
    let audit = server.get("/api/v1/audit?action=plugin.denied").expect(200);
    let denied: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|it| it["detail"]["permission"].clone()).collect();
    assert!(denied.contains(&json!("http")) && denied.contains(&json!("process")), "{audit}");

    server.post("/api/v1/plugins/collector/grants", json!({"all": true})).expect(200);
    wait_for("a note", || last(&told(&server)).filter(|it| it.contains("stand-up at ten")));
    if tool.is_some() {
        record(&server, "after");
        let made = wait_for("the program", || {
            Some(told(&server)["made"].clone()).filter(|it| it["raised"].is_null())
        });
        assert_eq!(made["code"], 0, "{made}");
        assert!(made["size"].as_u64() > Some(44), "{made}");
    }
    let server = server.restart();
    wait_for("more notes", || last(&told(&server)).filter(|it| it.contains("stand-up at ten")));
}
