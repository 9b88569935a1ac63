//! SQLite: reads on the thread that asks, writes in groups on one thread of their own.

use std::cell::RefCell;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value as Json;
use tokio::sync::oneshot;

/// The most writes of one group.
const GROUP: usize = 512;
const SCHEMA: &str = r#"
CREATE TABLE IF NOT EXISTS clips(id INTEGER PRIMARY KEY, title TEXT NOT NULL, file_path TEXT NOT NULL,
  game_name TEXT, duration INTEGER, resolution TEXT, fps INTEGER, tags TEXT, clip_metadata TEXT,
  status TEXT NOT NULL DEFAULT 'pending', created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')));
CREATE TABLE IF NOT EXISTS recordings(id TEXT PRIMARY KEY, status TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT);
CREATE TABLE IF NOT EXISTS events(id INTEGER PRIMARY KEY, type TEXT NOT NULL, timestamp TEXT NOT NULL, data TEXT);
INSERT OR IGNORE INTO clips(id,title,file_path,game_name,duration,resolution,fps,tags,clip_metadata) VALUES
 (1,'Epic Victory','/clips/epic_victory.mp4','Counter-Strike 2',45,'1920x1080',60,'["ace","clutch"]','{}');"#;

pub enum Write {
    Clip(Json),
    Start(String),
    End(String),
    Event(String, String),
}

/// Called with the row's number when its group is on the disk.
pub type Done = Box<dyn FnOnce(i64) + Send>;

#[derive(Clone)]
pub struct Store(crossbeam_channel::Sender<(Write, Done)>);

impl Store {
    pub fn open() -> Store {
        connect().execute_batch(SCHEMA).unwrap();
        let (sender, queue) = crossbeam_channel::unbounded::<(Write, Done)>();
        std::thread::spawn(move || {
            let db = connect();
            let mut written: Vec<(Done, i64)> = Vec::new();
            while let Ok(first) = queue.recv() {
                db.execute_batch("BEGIN IMMEDIATE").unwrap();
                let mut next = Some(first);
                while let Some((write, done)) = next {
                    written.push((done, apply(&db, &write).unwrap()));
                    next = if written.len() < GROUP { queue.try_recv().ok() } else { None };
                }
                db.execute_batch("COMMIT").unwrap();
                written.drain(..).for_each(|(done, id)| done(id));
            }
        });
        Store(sender)
    }

    pub fn queue(&self, write: Write, done: Done) {
        self.0.send((write, done)).unwrap();
    }

    pub async fn write(&self, write: Write) -> i64 {
        let (sender, receiver) = oneshot::channel();
        self.queue(write, Box::new(move |id| _ = sender.send(id)));
        receiver.await.unwrap()
    }
}

fn connect() -> Connection {
    let db = Connection::open(std::env::var("DB").unwrap()).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    let _: String = db.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)).unwrap();
    db.execute_batch("PRAGMA synchronous=FULL").unwrap();
    db
}

fn apply(db: &Connection, write: &Write) -> rusqlite::Result<i64> {
    let run = |text: &str, values: &[&dyn rusqlite::ToSql]| db.prepare_cached(text)?.execute(values);
    match write {
        Write::Clip(clip) => run(
            "INSERT INTO clips(title,file_path,game_name,duration,resolution,fps,tags,clip_metadata) VALUES(?,?,?,?,?,?,?,?)",
            params![
                clip["title"].as_str(),
                clip["file_path"].as_str(),
                clip["game_name"].as_str(),
                clip["duration"].as_f64(),
                clip["resolution"].as_str(),
                clip["fps"].as_f64(),
                clip["tags"].to_string(),
                clip["metadata"].to_string()
            ],
        )?,
        Write::Start(id) => run(
            "INSERT INTO recordings(id,status,started_at) VALUES(?,'active',strftime('%Y-%m-%dT%H:%M:%fZ'))",
            params![id],
        )?,
        Write::End(id) => run(
            "UPDATE recordings SET status='completed', ended_at=strftime('%Y-%m-%dT%H:%M:%fZ') WHERE id=?",
            params![id],
        )?,
        Write::Event(what, data) => run(
            "INSERT INTO events(type,timestamp,data) VALUES(?,strftime('%Y-%m-%dT%H:%M:%fZ'),?)",
            params![what, data],
        )?,
    };
    Ok(db.last_insert_rowid())
}

#[derive(serde::Serialize)]
struct Clip<'a> {
    id: i64,
    title: &'a str,
    file_path: &'a str,
    game_name: &'a str,
    duration: f64,
    resolution: &'a str,
    fps: f64,
    tags: Json,
    metadata: Json,
    status: &'a str,
    created_at: &'a str,
}

thread_local! {
    static DB: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// A clip as JSON.
pub fn clip(id: i64) -> Option<String> {
    const CLIP: &str = "SELECT id,title,file_path,game_name,duration,resolution,fps,tags,clip_metadata,status,created_at FROM clips WHERE id=?";
    DB.with_borrow_mut(|db| {
        let mut statement = db.get_or_insert_with(connect).prepare_cached(CLIP).unwrap();
        let row = statement.query_row([id], |row| {
            let text = |at| row.get_ref(at).unwrap().as_str().unwrap_or("");
            let clip = Clip {
                id: row.get(0)?,
                title: text(1),
                file_path: text(2),
                game_name: text(3),
                duration: row.get(4)?,
                resolution: text(5),
                fps: row.get(6)?,
                tags: serde_json::from_str(text(7)).unwrap(),
                metadata: serde_json::from_str(text(8)).unwrap(),
                status: text(9),
                created_at: text(10),
            };
            Ok(serde_json::to_string(&clip).unwrap())
        });
        row.optional().unwrap()
    })
}
