//! Healthy plugins and a client beside the hostile ones: they must not notice anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::client::Client;
use crate::common::server::{Builder, wait_for};

/// How many healthy plugins stand beside.
const HEALTHY: usize = 3;

/// Adds the healthy plugins, and the one that tells of an attack.
pub fn furnish(mut server: Builder) -> Builder {
    for number in 1..=HEALTHY {
        let source = format!(
            r#"panotti.on.on_clip_captured(function(clip)
                 local tags = clip.tags
                 table.insert(tags, "healthy_{number}")
                 return {{ tags = tags, metadata = {{ seen_{number} = panotti.kv.get("seen") or 0 }} }}
               end, {{ timeout = 2 }})
               panotti.events.subscribe("clip.created", function() panotti.kv.incr("seen") end)"#
        );
        server = server.plugin(&format!("healthy_{number}"), &source);
    }
    server.plugin(
        "keeper",
        r#"panotti.on.before_recording_start(function(recording)
             if recording.metadata.zoo then
               panotti.events.publish("zoo.attack", { id = recording.id, zoo = recording.metadata.zoo })
             end
           end)"#,
    )
}

/// What the client beside has seen.
#[derive(Default)]
pub struct Seen {
    /// Requests.
    pub requests: u64,
    /// Clips that were created.
    pub clips: u64,
    /// The slowest answer.
    pub slowest: Duration,
    /// What was not as it should be.
    pub faults: Vec<String>,
}

/// The client beside.
pub struct Probe {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    client: Client,
}

impl Probe {
    /// Begins to ask.
    pub fn start(client: Client) -> Self {
        let (seen, stop) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let (ask, told, ended) = (client.clone(), Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                ask_once(&ask, &told);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Probe { seen, stop, thread, client }
    }

    /// What was seen since the last time.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// Ends asking; `clips` were created in all, and every healthy plugin must come to have seen each.
    pub fn end(self, mut clips: u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        clips += std::mem::take(&mut *self.seen.lock().unwrap()).clips;
        wait_for("the healthy plugins have seen every clip", || {
            let clip =
                self.client.post("/api/v1/clips", json!({"title": "last", "file_path": "/x"})).expect(201);
            let all =
                (1..=HEALTHY).all(|it| clip["metadata"][format!("seen_{it}")].as_f64() == Some(clips as f64));
            clips += 1;
            // Facts come after the answer: ask again until none is under way.
            std::thread::sleep(Duration::from_millis(100));
            all.then_some(())
        });
    }
}

fn ask_once(client: &Client, seen: &Mutex<Seen>) {
    let requests: [(&str, &str, Option<Value>, u16); 3] = [
        ("POST", "/api/v1/clips", Some(json!({"title": "beside", "file_path": "/x"})), 201),
        ("GET", "/readyz", None, 200),
        ("GET", "/api/v1/clips?page_size=5", None, 200),
    ];
    for (method, path, body, wanted) in requests {
        let bytes = body.map(|it| it.to_string().into_bytes());
        let begun = Instant::now();
        let answer = client.try_send(method, path, &[("Content-Type", "application/json")], bytes.as_deref());
        let took = begun.elapsed();
        let mut seen = seen.lock().unwrap();
        seen.requests += 1;
        seen.slowest = seen.slowest.max(took);
        match answer {
            Ok(answer) if answer.status == wanted => {
                if method == "POST" {
                    seen.clips += 1;
                    let clip = answer.json();
                    let tags: Vec<&str> =
                        clip["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                    if tags.len() != HEALTHY {
                        seen.faults.push(format!("a healthy hook was missed: {tags:?}"));
                    }
                }
            }
            Ok(answer) => seen.faults.push(format!("{method} {path}: {}", answer.status)),
            Err(error) => seen.faults.push(format!("{method} {path}: {error}")),
        }
    }
}
