//! The plugin that is saved again and again, and the clients that must not notice.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::Server;
use crate::common::client::Client;

use super::verdict::{Seen, Told, Verdict};

/// Requests in a second, by all clients.
const RATE: u64 = 1_000;
const CLIENTS: u64 = 8;
/// One request in so many is an event.
const EVENTS: u64 = 10;
/// One save in so many is broken.
const BROKEN: u64 = 5;

/// How long, and what the server does wrong on purpose.
pub struct Load {
    pub time: Duration,
    pub sabotage: Option<&'static str>,
}

/// What a version of the plugin is called by in each of its answers: its number as it stands at the top and at the
/// bottom of the file, and its generation.
const PLUGIN: &str = r#"
local TOP = @
local bottom
local function own(ctx) return TOP .. "/" .. bottom .. "/" .. ctx.generation end

panotti.on.before_request(function(request, ctx)
  return { headers = { ["x-before"] = own(ctx) } }
end)
panotti.on.after_request(function(response, ctx)
  return { headers = { ["x-before"] = response.request.headers["x-before"], ["x-after"] = own(ctx) } }
end)
panotti.events.subscribe("tick.*", function(event, ctx)
  panotti.kv.incr("count")
  panotti.kv.incr("sum", event.data.n)
  panotti.kv.incr("squares", event.data.n * event.data.n)
end)
panotti.on.on_unload(function() return { version = TOP, handed = 1 } end)
panotti.on.on_load(function(state) STATE = state end)
panotti.route("GET", "/told", function()
  return { count = panotti.kv.get("count"), sum = panotti.kv.get("sum"), squares = panotti.kv.get("squares"), state = STATE }
end)
bottom = @
"#;

/// What a save may have wrong: each keeps the version before it.
fn breakage(number: u64) -> &'static str {
    match number / BROKEN % 4 {
        0 => "local = 1",
        1 => "error('it does not like this')",
        2 => "panotti.on.on_load(function() error('nor this') end)",
        _ => "while true do end",
    }
}

fn source(number: u64) -> String {
    let text = PLUGIN.replace('@', &number.to_string());
    if is_broken(number) { format!("{text}\n{}\n", breakage(number)) } else { text }
}

fn is_broken(number: u64) -> bool {
    number % BROKEN == BROKEN - 1
}

/// Saves the file as editors do that care: a new one takes the place of the old one.
fn save(folder: &Path, number: u64) {
    let aside = folder.join(".init.lua.new");
    std::fs::write(&aside, source(number)).unwrap();
    std::fs::rename(aside, folder.join("init.lua")).unwrap();
}

/// Runs the load to its end and answers what was seen.
pub fn run(load: &Load) -> Verdict {
    let mut server = Server::with().env("PANOTTI_WATCH", "auto").plugin("saved", &source(0)).plugin_file(
        "saved",
        "plugin.yaml",
        "permissions: { routes: true }\nlimits: { load_cpu_ms: 200, load_wall_ms: 2000 }\n",
    );
    if let Some(promise) = load.sabotage {
        server = server.env("SABOTAGE_OF_PANOTTI", promise);
    }
    let server = server.start();
    let folder = server.folder().join("plugins/saved");
    let (stop, next, verdict) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(Verdict::default()));
    let began = Instant::now();
    let saves = std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| ask(&server.client(), &stop, &next, &verdict, began));
        }
        let mut number = 0;
        while began.elapsed() < load.time {
            std::thread::sleep(Duration::from_secs(1));
            number += 1;
            save(&folder, number);
        }
        stop.store(true, Ordering::Relaxed);
        number
    });
    let took = began.elapsed();
    let mut verdict = verdict.into_inner().unwrap();
    verdict.allowed = (0..=saves).filter(|it| !is_broken(*it)).collect();
    verdict.told = told(&server, verdict.sent.len() as u64);
    verdict.print(saves, took);
    verdict
}

/// One client, which keeps its share of the rate whatever the answers take.
fn ask(client: &Client, stop: &AtomicBool, next: &AtomicU64, verdict: &Mutex<Verdict>, began: Instant) {
    while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let at = Duration::from_micros(number * 1_000_000 / RATE);
        std::thread::sleep(at.saturating_sub(began.elapsed()));
        let answer = match number % EVENTS {
            0 => {
                let event = json!({ "type": "tick.one", "data": { "n": number } });
                client.try_send(
                    "POST",
                    "/api/v1/events",
                    &[("Content-Type", "application/json")],
                    Some(event.to_string().as_bytes()),
                )
            }
            _ => client.try_send("GET", "/api/v1/recordings?limit=1", &[], None),
        };
        let mut verdict = verdict.lock().unwrap();
        match answer {
            Ok(answer) if answer.status < 300 => {
                let header = |name: &str| answer.header(name).map(str::to_owned);
                verdict.seen.push(Seen { before: header("x-before"), after: header("x-after") });
                if number.is_multiple_of(EVENTS) {
                    verdict.sent.push(number);
                }
            }
            Ok(answer) => {
                verdict.failed.push(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
            }
            Err(fault) => verdict.failed.push(fault.to_string()),
        }
    }
}

/// What the plugin was told of, once that is all, or nothing more comes.
fn told(server: &Server, count: u64) -> Told {
    let (mut last, mut since) = (Told::default(), Instant::now());
    while last.count < count as f64 && since.elapsed() < Duration::from_secs(8) {
        std::thread::sleep(Duration::from_millis(100));
        let told = server.get("/api/v1/plugins/saved/x/told");
        if told.status != 200 {
            // A swap with a gap may fall on this moment.
            continue;
        }
        let told = told.json();
        let number = |key: &str| told[key].as_f64().unwrap_or(0.0);
        let now = Told { count: number("count"), sum: number("sum"), squares: number("squares") };
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}
