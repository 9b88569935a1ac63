//! Makes a history happen: a real server, several clients at once, and what goes wrong.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::plan::{Door, Plan, Planned, SUBSCRIBERS, Trouble};
use super::prng::Prng;
use super::record::{Record, count_open};
use super::shown::Shown;
use crate::common::Server;
use crate::common::client::Client;
use crate::common::server::Builder;

/// How a history is made.
pub struct Way {
    /// Clients that publish at once.
    pub clients: usize,
    /// What is still open when it did not get less for so long stays open.
    pub patience: Duration,
    /// The promise the server is to break, if any.
    pub sabotage: Option<&'static str>,
}

impl Default for Way {
    fn default() -> Self {
        Way { clients: 4, patience: Duration::from_secs(60), sabotage: None }
    }
}

/// What came of it.
pub struct History {
    /// The numbers of the events whose publishers were told 201.
    pub acknowledged: BTreeSet<i64>,
    pub record: Record,
    pub shown: Shown,
}

/// Where clients are: all rounds go on with the next event.
struct Progress<'a> {
    events: &'a [Planned],
    next: AtomicUsize,
    /// Those whose answer was lost, and that are sent again.
    again: Mutex<Vec<usize>>,
    acknowledged: Mutex<BTreeSet<i64>>,
}

/// Publishes and troubles as planned, waits until nothing is open, and reads what is left.
pub fn make(plan: &Plan, way: &Way) -> History {
    let folder = Arc::new(folder());
    let mut server = server(way).in_folder(Arc::clone(&folder)).start();
    let data = folder.path().join("data");
    let progress = Progress {
        events: &plan.events,
        next: AtomicUsize::new(0),
        again: Mutex::default(),
        acknowledged: Mutex::default(),
    };
    let mut prng = Prng(plan.seed ^ 1);
    let mut troubles = plan.troubles.iter().copied().peekable();
    while progress.is_left() || troubles.peek().is_some() {
        // Clients publish until the server ends; what does not end it happens beside them.
        let stop = AtomicBool::new(false);
        let ending = thread::scope(|scope| {
            for _ in 0..way.clients {
                let (client, progress, stop) = (server.client(), &progress, &stop);
                scope.spawn(move || publish_until_gone(&client, progress, stop));
            }
            let mut ending = None;
            for (at, trouble) in troubles.by_ref() {
                wait_for_publications(&progress, at, &mut prng);
                match trouble {
                    Trouble::Reload(whom) => reload(&server, whom, prng.next()),
                    Trouble::Kill => server.kill(),
                    Trouble::Stop => assert!(server.stop().success()),
                }
                if !matches!(trouble, Trouble::Reload(_)) {
                    ending = Some(trouble);
                    break;
                }
            }
            stop.store(ending.is_some(), Ordering::Relaxed);
            ending
        });
        if ending.is_some() {
            server = server.restart_stopped();
        }
    }
    wait_until_settled(&data, way.patience);
    let shown = Shown::ask(&server);
    assert!(server.stop().success(), "{:?}", server.log_lines());
    History { shown, acknowledged: progress.acknowledged.into_inner().unwrap(), record: Record::read(&data) }
}

/// A folder in memory, where there is one: a killed process loses nothing there either, and commits cost less.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let chosen = std::env::var_os("HISTORY_DIR").map(PathBuf::from);
    let chosen = chosen.or_else(|| memory.is_dir().then(|| memory.to_owned()));
    chosen.map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap()
}

fn server(way: &Way) -> Builder {
    let mut server = Server::with().plugin("source", SOURCE).plugin_file("source", "plugin.yaml", MANIFEST);
    for name in SUBSCRIBERS {
        server = server.plugin(name, &script(name, 0));
    }
    match way.sabotage {
        Some(promise) => server.env("SABOTAGE_OF_PANOTTI", promise),
        None => server,
    }
}

const MANIFEST: &str = "permissions: { routes: true }";

const SOURCE: &str = r#"
panotti.route("POST", "/publish", function(request)
  local event = request.json
  panotti.events.publish(event.type, event.data, { subject = event.subject, priority = event.priority })
  return panotti.respond{ status = 201, json = {} }
end)
"#;

/// The whole script of a subscriber; another `version` is another script.
fn script(name: &str, version: u64) -> String {
    let work = match name {
        "echo" => {
            "function(event) panotti.events.publish('history.answer', { n = event.data.n }, { subject = event.subject }) end"
        }
        _ => "nil",
    };
    format!("local NAME = '{name}' -- {version}\n{}\nsubscribe({work})\n", include_str!("plugins/told.luau"))
}

impl Progress<'_> {
    fn is_left(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.events.len() || !self.again.lock().unwrap().is_empty()
    }

    /// The place of what is sent next.
    fn take(&self) -> Option<usize> {
        let again = self.again.lock().unwrap().pop();
        let place = again.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
        (place < self.events.len()).then_some(place)
    }
}

fn publish_until_gone(client: &Client, progress: &Progress<'_>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed)
        && let Some(place) = progress.take()
    {
        let event = &progress.events[place];
        let (path, media) = match event.door {
            Door::Script => ("/api/v1/plugins/source/x/publish", "application/json"),
            Door::Plain => ("/api/v1/events", "application/json"),
            Door::CloudEvent => ("/api/v1/events", "application/cloudevents+json"),
        };
        let body = event.body().to_string();
        match client.try_send("POST", path, &[("Content-Type", media)], Some(body.as_bytes())) {
            Ok(answer) if [200, 201].contains(&answer.status) => {
                progress.acknowledged.lock().unwrap().insert(event.n);
            }
            Ok(answer) if answer.status != 503 => {
                panic!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body))
            }
            // The server ends: whether this one is on the journal is open.
            _ => {
                if event.door == Door::CloudEvent {
                    progress.again.lock().unwrap().push(place);
                }
                return;
            }
        }
    }
}

/// Until `at` events were sent, and a moment of chance more. Past the last: until all were sent, and longer.
fn wait_for_publications(progress: &Progress<'_>, at: usize, prng: &mut Prng) {
    let all = progress.events.len();
    while progress.next.load(Ordering::Relaxed) < at.min(all) {
        thread::sleep(Duration::from_millis(1));
    }
    let moment = if at >= all { 2_000_000 } else { 100_000 };
    thread::sleep(Duration::from_micros(prng.below(moment)));
}

fn reload(server: &Server, whom: &str, version: u64) {
    let path = server.folder().join("plugins").join(whom).join("init.lua");
    std::fs::write(path, script(whom, version)).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
}

/// Until nothing is open, or less was not open for too long.
fn wait_until_settled(data: &Path, patience: Duration) {
    let (mut least, mut since) = (i64::MAX, Instant::now());
    loop {
        let open = count_open(data);
        if open == 0 || since.elapsed() > patience {
            return;
        }
        if open < least {
            (least, since) = (open, Instant::now());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
