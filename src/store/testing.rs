//! What the store's own tests share.

use std::sync::Arc;

use diesel_migrations::MigrationHarness;
use serde_json::{Map, json};

use crate::model::clip::{Clip, ProcessingStatus};
use crate::model::event::{Event, Priority};
use crate::model::recording::{Recording, RecordingStatus};
use crate::model::time::Timestamp;

use super::migrate::MIGRATIONS;
use super::{Reader, Store, StoreOptions, Tx};

/// A store in a folder of its own, without ballast.
pub(super) fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&options(&folder)).unwrap();
    (folder, store)
}

pub(super) fn options(folder: &tempfile::TempDir) -> StoreOptions {
    StoreOptions { ballast_bytes: 0, ..StoreOptions::at(folder.path().join("test.db")) }
}

/// Puts the words of all clips into their index.
pub(super) fn index_all(store: &Store) {
    let waiting = &store.inner.without_words;
    while waiting.until(waiting.newest()) > 0 {
        store.write_blocking(Tx::index_words).unwrap();
    }
}

/// Makes of a database what it was before the migration `version`.
pub(super) fn revert_until(reader: &mut Reader, version: &str) {
    loop {
        let reverted = reader.conn.revert_last_migration(MIGRATIONS).unwrap().to_string();
        if reverted == version {
            return;
        }
    }
}

pub(super) fn clip(id: i64, title: &str) -> Clip {
    Clip {
        id,
        title: title.to_owned(),
        file_path: format!("{id}.wav"),
        recording_id: None,
        description: None,
        game_name: None,
        game_id: None,
        tags: Vec::new(),
        metadata: Map::from_iter([("z".to_owned(), json!(1)), ("a".to_owned(), json!([null, 1.5]))]),
        file_size: None,
        duration: None,
        resolution: None,
        fps: None,
        codec: None,
        recorded_at: None,
        processed: false,
        processing_status: ProcessingStatus::Pending,
        provenance: Default::default(),
        created_at: Timestamp(id * 1_000_000),
        updated_at: Timestamp(id * 1_000_000),
        owns_file: false,
        version: 1,
    }
}

pub(super) fn recording(id: &str, started_at: i64) -> Recording {
    Recording {
        id: id.to_owned(),
        title: Some(format!("Talk {id}")),
        status: RecordingStatus::Active,
        started_at: Timestamp(started_at),
        ended_at: None,
        duration: None,
        start_missing: false,
        tracks: Default::default(),
        metadata: Map::new(),
        created_at: Timestamp(started_at),
        updated_at: Timestamp(started_at),
        version: 1,
    }
}

pub(super) fn event(id: &str, subject: Option<&str>) -> Event {
    Event {
        id: id.to_owned(),
        kind: "clip.created".to_owned(),
        source: "panotti".to_owned(),
        subject: subject.map(str::to_owned),
        time: Timestamp(7),
        data: json!({"b": 1, "a": {"x": [1, "2"]}}).into(),
        correlation_id: "c".to_owned(),
        causation_id: None,
        priority: Priority::High,
        depth: 0,
        expires_at: None,
        plugins: Arc::default(),
        traceparent: None,
    }
}
