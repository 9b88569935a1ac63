//! A library and a journal of some size, written by the store's own functions: rows, indexes, search entries, totals and
//! events are what the product would have written.

use std::path::Path;
use std::sync::Arc;

use panotti::model::clip::{Clip, ProcessingStatus};
use panotti::model::event::{Event, Priority};
use panotti::model::id::new_event_id;
use panotti::model::page::Window;
use panotti::model::recording::{Recording, RecordingStatus};
use panotti::model::time::Timestamp;
use panotti::store::{RecordingFilter, Store, StoreOptions, Tx};
use serde_json::{Map, Value, json};

use super::words::{Chance, RARE};

pub const GAME: &str = "Game 0";
pub const RARE_GAME: &str = "Chess";
pub const TAG: &str = "tag0";
pub const RARE_TAG: &str = "first-ever";
/// Where all events are delivered.
const SUBSCRIBER: &str = "past";
/// Rows of each kind in one transaction.
const AT_ONCE: usize = 2_000;
/// Every so many clips there is a recording.
const PER_RECORDING: usize = 4;
/// A clip every 160 s: a million of them come together in five years.
const STEP_US: i64 = 160_000_000;
/// 2021-01-01.
const BEGAN_US: i64 = 1_609_459_200_000_000;

/// When the clip `number` was made.
pub fn moment(number: usize) -> Timestamp {
    Timestamp(BEGAN_US + STEP_US * number as i64)
}

/// Brings the library below `folder` to `size` clips and as many events.
pub fn fill(folder: &Path, size: usize) {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let path = data.join("panotti.db");
    let store = Store::open(&StoreOptions { durable: false, ..StoreOptions::at(&path) }).unwrap();
    let mut recordings =
        store.read(|it| it.list_recordings(&RecordingFilter::default(), Window::default())).unwrap().total;
    loop {
        let there = store.read(|it| it.clip_stats()).unwrap().total_clips as usize;
        let count = size.saturating_sub(there).min(AT_ONCE);
        if count == 0 {
            break;
        }
        let ids: Vec<i64> = (0..count).map(|_| store.reserve_clip_id()).collect();
        // Clips that were made by requests meanwhile have taken ids, so this may be more than a quarter of them.
        let wanted = ids.last().unwrap() / PER_RECORDING as i64 + 1;
        let missing = std::mem::replace(&mut recordings, wanted)..wanted;
        let job = store.write_blocking(move |tx| {
            for number in missing.clone() {
                tx.insert_recording(&recording(number as usize), None)?;
            }
            ids.iter().try_for_each(|id| put(tx, *id))
        });
        job.unwrap();
    }
    store.close();
    drop(store);
    acknowledged(&path);
    std::process::Command::new("sync").status().unwrap();
}

/// A clip, and what was told about it.
fn put(tx: &mut Tx, id: i64) -> panotti::error::Result<()> {
    let number = id as usize;
    let mut chance = Chance::of(number);
    let at = moment(number);
    let clip = clip(id, at, &mut chance);
    tx.insert_clip(&clip)?;
    tx.insert_event(&event(&clip, number, &mut chance))?;
    Ok(())
}

fn recording(place: usize) -> Recording {
    let at = moment(place * PER_RECORDING);
    Recording {
        id: recording_id(place * PER_RECORDING),
        title: Some(Chance::of(place).text(3)),
        status: RecordingStatus::Completed,
        started_at: at,
        ended_at: Some(Timestamp(at.0 + 3_600_000_000)),
        duration: Some(3600.0),
        start_missing: false,
        tracks: std::collections::BTreeMap::new(),
        metadata: Map::from_iter([("eventTitle".to_owned(), json!("Weekly"))]),
        created_at: at,
        updated_at: at,
        version: 2,
    }
}

/// The recording that the clip `number` is from.
pub fn recording_id(number: usize) -> String {
    format!("r{:09}", number / PER_RECORDING)
}

fn clip(id: i64, at: Timestamp, chance: &mut Chance) -> Clip {
    use ProcessingStatus::{Completed, Failed, Pending, Processing};
    // What is rare stays so: it is among the first clips alone.
    let is_rare = (10..=50).contains(&id) && id % 10 == 0;
    let processing_status = match chance.below(100) {
        0 => Processing,
        1..=4 => Failed,
        5..=14 => Pending,
        _ => Completed,
    };
    let mut tags: Vec<String> = (0..3).map(|_| format!("tag{}", chance.low(60))).collect();
    tags.dedup();
    if is_rare {
        tags.push(RARE_TAG.to_owned());
    }
    let mut title = chance.text(4);
    if is_rare {
        title = format!("{title} {RARE}");
    }
    let game = if is_rare { RARE_GAME.to_owned() } else { format!("Game {}", chance.low(40)) };
    Clip {
        id,
        title,
        file_path: format!("/srv/clips/{id}.mp4"),
        recording_id: (chance.below(4) == 0).then(|| recording_id(id as usize)),
        description: Some(chance.text(12)),
        game_name: Some(game),
        game_id: None,
        tags,
        metadata: Map::from_iter([("highlights".into(), json!([{"timestamp": 1.5, "score": 0.9}]))]),
        file_size: Some(1_000_000 + chance.below(50_000_000) as i64),
        duration: Some(5.0 + chance.below(60_000) as f64 / 1e3),
        resolution: Some("1920x1080".into()),
        fps: Some(60.0),
        codec: Some("h264".into()),
        // Most are recorded shortly before; some are old ones that somebody found.
        recorded_at: match chance.below(20) {
            0 => Some(Timestamp(at.0 - chance.below((at.0 - BEGAN_US) as u64) as i64)),
            1..=12 => Some(Timestamp(at.0 - chance.below(3_600_000_000) as i64)),
            _ => None,
        },
        processed: processing_status == Completed,
        processing_status,
        provenance: Default::default(),
        created_at: at,
        updated_at: at,
        owns_file: false,
        version: 1,
    }
}

fn event(clip: &Clip, number: usize, chance: &mut Chance) -> Event {
    let (kind, source, subject) = match chance.below(10) {
        0 => ("recording.ended", "panotti".to_owned(), format!("recording/{}", recording_id(number))),
        1 => ("game.scored", "plugin/scores".to_owned(), format!("match/{}", number / 10)),
        2 | 3 => ("clip.processed", "panotti".to_owned(), format!("clip/{number}")),
        _ => ("clip.created", "panotti".to_owned(), format!("clip/{number}")),
    };
    // What is rare stays so.
    let kind = if (10..=50).contains(&number) && number.is_multiple_of(10) { "season.ended" } else { kind };
    let id = new_event_id();
    Event {
        kind: kind.to_owned(),
        source,
        subject: Some(subject),
        time: clip.created_at,
        data: serde_json::to_value(clip).unwrap_or(Value::Null).into(),
        correlation_id: id.clone(),
        id,
        causation_id: None,
        priority: Priority::Normal,
        depth: 0,
        expires_at: None,
        plugins: Arc::default(),
        traceparent: None,
    }
}

/// Notes of every event that somebody was told of it: the rows that are left of a delivery once it is done.
fn acknowledged(path: &Path) {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch("PRAGMA synchronous = OFF; BEGIN IMMEDIATE").unwrap();
    let done = db
        .execute(
            "INSERT INTO deliveries (event_seq, subscriber, subject, rank, replay, state, attempts, next_at, created_at, \
             began_at, ended_at) SELECT seq, ?1, subject, priority, FALSE, 'done', 1, time, time, time, time FROM events \
             WHERE seq > (SELECT coalesce(max(event_seq), 0) FROM deliveries)",
            [SUBSCRIBER],
        )
        .unwrap();
    db.execute(
        "INSERT INTO counters (name, value) VALUES ('deliveries.delivered', ?1) \
         ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        [done as i64],
    )
    .unwrap();
    db.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}
