//! What a call of each module costs a script, waits included: `cargo bench --bench modules`. A plugin of the real server
//! takes the time around many calls; every figure is the median of rounds, in microseconds a call. The folder lies below
//! `PANOTTI_BENCH_DIR` (default: the build's folder), which should be a real disk.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

mod rig;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;

use rig::server::Server;
use rig::{is_long, spread};

/// Name, calls a round, one call.
const CASES: &[(&str, usize, &str)] = &[
    ("nothing", 100_000, ""),
    ("log.debug, not shown", 10_000, "panotti.log.debug('text', { a = 1 })"),
    ("json.encode 3 fields", 10_000, "panotti.json.encode({ a = 1, b = 'text', c = true })"),
    ("json.decode 3 fields", 10_000, "panotti.json.decode('{\"a\":1,\"b\":\"text\",\"c\":true}')"),
    ("regex.match", 10_000, "panotti.regex.match('(\\\\w+)@(\\\\w+)', 'mail to a@b now')"),
    ("hash.sha256 of 64 B", 10_000, "panotti.hash.sha256(text64)"),
    ("uuid", 10_000, "panotti.uuid()"),
    ("kv.set", 2_000, "panotti.kv.set('k', i)"),
    ("kv.get", 10_000, "panotti.kv.get('stored')"),
    ("events.publish", 500, "panotti.events.publish('bench.told', { n = i })"),
    ("db.query of a row", 1_000, "panotti.db.query('SELECT b FROM t WHERE a = ?', { 7 })"),
    ("db.execute an insert", 200, "panotti.db.execute('INSERT INTO t (b) VALUES (?)', { 'text' })"),
    ("fs.write 1 KiB", 100, "panotti.fs.write('a.txt', text1k)"),
    ("fs.read 1 KiB", 500, "panotti.fs.read('a.txt')"),
    ("assets.exists", 500, "panotti.assets.exists('a.txt')"),
    ("http.get on loopback", 300, "assert(panotti.http.get(url))"),
    ("process.run /bin/true", 50, "panotti.process.run('true')"),
    ("a function of another plugin", 1_000, "other.nothing(i)"),
    ("task.spawn and join", 2_000, "panotti.task.spawn(nothing):join()"),
    ("mutex:with", 5_000, "lock:with(nothing)"),
    ("recordings.list, empty", 300, "panotti.recordings.list({ page_size = 5 })"),
];

fn main() {
    let parent = std::env::var_os("PANOTTI_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let folder = tempfile::tempdir_in(parent).unwrap();
    let port = answering();
    let plugins = folder.path().join("plugins");
    for name in ["bench", "other"] {
        std::fs::create_dir_all(plugins.join(name)).unwrap();
    }
    std::fs::write(plugins.join("other/init.lua"), "panotti.export('nothing', function() end)").unwrap();
    std::fs::write(plugins.join("bench/init.lua"), script(port)).unwrap();
    let manifest = format!(
        "dependencies: [other]\npermissions: {{ routes: true, db: true, recordings: [read], assets: true, http: ['127.0.0.1:{port}'], process: ['true'] }}
limits: {{ cpu_ms: 60000, queue: 10000, emits_per_s: 1000000, emits_burst: 1000000 }}\n"
    );
    std::fs::write(plugins.join("bench/plugin.yaml"), manifest).unwrap();
    let server = Server::start_with(folder.path(), &[("PANOTTI_PROCESS_TOOLS", "true=/bin/true")]);
    let mut client = server.client();
    let granted = client.send("POST", "/api/v1/plugins/bench/grants", r#"{"all": true}"#);
    assert_eq!(granted.0, 200, "{}", String::from_utf8_lossy(&granted.1));
    println!("call                             us a call");
    for (number, (name, calls, _)) in CASES.iter().enumerate() {
        let (calls, rounds) = if is_long() { (*calls, 5) } else { (2, 1) };
        let took = (0..rounds).map(|_| {
            let path = format!("/api/v1/plugins/bench/x/run?case={}&calls={calls}", number + 1);
            let (status, body) = client.get(&path);
            assert_eq!(
                status,
                200,
                "{name}: see last_error in {:?}",
                client.get("/api/v1/plugins/bench/status")
            );
            let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
            told["us"].as_f64().unwrap()
        });
        println!("{name:<32} {}", spread(took.collect(), 2));
    }
}

fn script(port: u16) -> String {
    let mut script = format!(
        "local url = 'http://127.0.0.1:{port}/'
local text64, text1k = string.rep('x', 64), string.rep('x', 1024)
local other = panotti.import('other')
local lock = panotti.task.mutex()
local function nothing() end
local cases = {{}}
panotti.on.on_load(function()
  panotti.kv.set('stored', 1)
  panotti.db.execute('CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b)')
  panotti.db.execute('INSERT OR REPLACE INTO t VALUES (7, ?)', {{ 'text' }})
end)
panotti.route('GET', '/run', function(request)
  local case, calls = cases[tonumber(request.query.case)], tonumber(request.query.calls)
  local began = panotti.time.monotonic()
  for i = 1, calls do case(i) end
  return {{ us = (panotti.time.monotonic() - began) * 1e6 / calls }}
end)\n"
    );
    for (number, (_, _, call)) in CASES.iter().enumerate() {
        script.push_str(&format!("cases[{}] = function(i) {call} end\n", number + 1));
    }
    script
}

/// An HTTP server that answers everything with two bytes and keeps its connections.
fn answering() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut chunk) {
                    seen.extend_from_slice(&chunk[..read]);
                    while let Some(end) = seen.windows(4).position(|it| it == b"\r\n\r\n") {
                        seen.drain(..end + 4);
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
                    }
                }
            });
        }
    });
    port
}
