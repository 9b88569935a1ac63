//! Ending a recording: its live tracks become whole, its row completed, and the plugins are told.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::hooks::patch::merge;
use crate::model::call::Caller;
use crate::model::id::new_recording_id;
use crate::model::recording::{Recording, RecordingStatus, Track};
use crate::model::time::{MissingOffset, Timestamp};
use crate::services::fields::{self, Checked};
use crate::services::idempotency::{self, Idempotency};
use crate::services::tracks::{Closing, close_live, named_by_client, stored_news};
use crate::services::{Services, news};
use crate::store::Tx;

use super::rules::{END, OLDER_END, older_body};
use super::{Dialect, Told, as_told, check_metadata_size, contradicts, not_found, subject};

/// Ends a recording. Tells `recording.ended`, from which `after_recording_end` is told.
///
/// The same end again is a duplicate and does nothing. For older clients, an end without a start makes a
/// completed recording with `start_missing`.
///
/// # Errors
/// `Invalid` with all faults of the body, or when it would end before its start; `RecordingNotFound`;
/// `ContradictingContent` when it was ended with other content.
pub async fn end(
    services: &Services,
    caller: &Caller,
    id: Option<&str>,
    body: Map<String, Value>,
    dialect: Dialect,
    once: Option<&Idempotency>,
) -> Result<Told> {
    let body = if dialect == Dialect::Older { older_body(body) } else { body };
    let sent = fields::check(dialect.rules(END, OLDER_END), body, dialect.reading(services, true))?;
    let id = match id.map(str::to_owned).or_else(|| sent.text("id")) {
        Some(id) => id,
        None => new_recording_id(services.now(), services.random()?),
    };
    let _alone = services.alone(caller, &subject(&id)).await?;
    let known = services.store.read(|r| r.recording(&id))?;
    let (recording, is_lost) = match known {
        Some(known) if known.status == RecordingStatus::Completed => return again(services, known, &sent),
        Some(known) => (known, false),
        None if dialect == Dialect::Older => (lost_start(services, id, &sent), true),
        None => return Err(not_found(&id)),
    };
    let named = named_by_client(services, named_paths(&sent), dialect).await?;
    check_end(services, &recording, &sent, &named)?;
    let closing = close_live(services, &recording).await?;
    let ending = Ending { sent, named, closing, recording, is_lost };
    store(services, caller, ending, once).await
}

/// What ends a recording.
struct Ending {
    sent: Checked,
    named: BTreeMap<String, Track>,
    closing: Closing,
    /// The recording, as it was read before.
    recording: Recording,
    /// Its start was lost: there is no row yet.
    is_lost: bool,
}

/// The paths of the body by track.
fn named_paths(sent: &Checked) -> BTreeMap<String, String> {
    let given = sent.object("tracks").into_iter().flatten();
    let mut paths: BTreeMap<String, String> =
        given.filter_map(|(name, path)| Some((name.clone(), path.as_str()?.to_owned()))).collect();
    for (track, field) in [("system", "system_audio_path"), ("microphone", "microphone_audio_path")] {
        if let Some(path) = sent.text(field).filter(|it| !it.is_empty()) {
            paths.insert(track.to_owned(), path);
        }
    }
    paths
}

/// Refuses an end that contradicts what is there, before anything is touched.
fn check_end(
    services: &Services,
    recording: &Recording,
    sent: &Checked,
    named: &BTreeMap<String, Track>,
) -> Result<()> {
    if ended_at(services, recording, sent) < recording.started_at {
        let why = format!("lies before the start of the recording ({})", recording.started_at);
        return Err(Error::field("/ended_at", why));
    }
    let mut metadata = recording.metadata.clone();
    merge(&mut metadata, sent.object("metadata").unwrap_or(&Map::new()));
    check_metadata_size(services, &metadata)?;
    match named.keys().find(|name| recording.tracks.contains_key(*name)) {
        Some(name) => Err(Error::field(
            format!("/tracks/{name}"),
            "is a track that the server holds already: a path cannot replace it",
        )),
        None => Ok(()),
    }
}

fn ended_at(services: &Services, recording: &Recording, sent: &Checked) -> Timestamp {
    sent.time("ended_at").unwrap_or_else(|| services.now().max(recording.started_at))
}

/// The recording as it is once it has ended.
fn complete(services: &Services, recording: &mut Recording, ending: &Ending) {
    let ended_at = ended_at(services, recording, &ending.sent);
    merge(&mut recording.metadata, ending.sent.object("metadata").unwrap_or(&Map::new()));
    recording.status = RecordingStatus::Completed;
    recording.ended_at = Some(ended_at);
    recording.duration = Some(ended_at.seconds_since(recording.started_at));
    recording.updated_at = services.now();
    for (name, track) in &ending.named {
        recording.tracks.entry(name.clone()).or_insert_with(|| track.clone());
    }
    for (name, track) in ending.closing.tracks() {
        recording.tracks.insert(name.clone(), track.clone());
    }
}

/// Row, tracks, events and deliveries, in one transaction.
async fn store(
    services: &Services,
    caller: &Caller,
    ending: Ending,
    once: Option<&Idempotency>,
) -> Result<Told> {
    let (own, caller, once) = (services.clone(), caller.clone(), once.cloned());
    let ending = Arc::new(ending);
    let held = Arc::clone(&ending);
    let told = services.store.write_again(move |tx| {
        let recording = store_row(&own, tx, &ending)?;
        let id = &recording.id;
        for (name, track) in &recording.tracks {
            tx.put_track(id, name, track)?;
        }
        for (name, track) in ending.closing.tracks() {
            own.journal.publish(tx, stored_news(id, name, track), &caller)?;
        }
        let data = as_told(&recording)?;
        let event = own.journal.publish(tx, news("recording.ended", subject(id), data), &caller)?;
        let told = Told { recording, duplicate: false, event_id: Some(event.id) };
        idempotency::remember(tx, once.as_ref(), 200, &told, own.now())?;
        Ok(told)
    });
    // The writers of its tracks are held off until the row says that it has ended.
    let told = told.await;
    drop(held);
    told
}

/// The row, completed. Title, metadata and tracks may have changed since the recording was read.
fn store_row(services: &Services, tx: &mut Tx, ending: &Ending) -> Result<Recording> {
    let sent = ending.sent.to_map();
    let mut recording = ending.recording.clone();
    let id = &ending.recording.id;
    match ending.is_lost {
        true => tx.insert_recording(&recording, None)?,
        // An append to a track makes no new version.
        false => recording.tracks = tx.tracks_of(id)?,
    }
    complete(services, &mut recording, ending);
    if let Some(version) = tx.end_recording(&recording, &sent)? {
        recording.version = version;
        return Ok(recording);
    }
    let mut recording = tx.recording(id)?.ok_or_else(|| not_found(id))?;
    complete(services, &mut recording, ending);
    recording.version = tx.end_recording(&recording, &sent)?.ok_or_else(|| not_found(id))?;
    Ok(recording)
}

fn again(services: &Services, recording: Recording, sent: &Checked) -> Result<Told> {
    let (first, event_id) = services.store.read(|r| {
        let first = r.sent_end(&recording.id)?.unwrap_or_default();
        Ok((first, r.event_of(&subject(&recording.id), "recording.ended")?))
    })?;
    match sent.repeats(&first) {
        Err(field) => Err(contradicts(&recording.id, &field)),
        Ok(()) => Ok(Told { recording, duplicate: true, event_id }),
    }
}

/// COMPAT: a recording whose start never came. Its beginning is what the client said it was, or what its
/// id says, or unknown: then its end.
fn lost_start(services: &Services, id: String, sent: &Checked) -> Recording {
    let now = services.now();
    let ended_at = sent.time("ended_at").unwrap_or(now);
    let said = sent.object("metadata").and_then(|it| it.get("recordingStarted"));
    let said = said.and_then(|it| Timestamp::from_json(it, MissingOffset::Utc).ok());
    let in_id = || id.get(..14).and_then(|it| Timestamp::parse(it, MissingOffset::Utc).ok());
    let started_at = said.or_else(in_id).filter(|it| *it <= ended_at).unwrap_or(ended_at);
    Recording {
        id,
        title: None,
        status: RecordingStatus::Completed,
        started_at,
        ended_at: Some(ended_at),
        duration: None,
        start_missing: true,
        tracks: BTreeMap::new(),
        metadata: Map::new(),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// The error of a change that needs a running recording.
pub(in crate::services) fn ended(id: &str) -> Error {
    Error::new(Code::RecordingCompleted, format!("Recording `{id}` has ended."))
}
