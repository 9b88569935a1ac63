//! Starting a recording: ask, store, tell.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::hooks::{Asked, Given, Hook};
use crate::model::call::Caller;
use crate::model::id::new_recording_id;
use crate::model::recording::{Recording, RecordingStatus};
use crate::model::time::Timestamp;
use crate::services::fields::{self, Checked, Reading, check_patched};
use crate::services::idempotency::{self, Idempotency};
use crate::services::{Services, news};

use super::rules::{OLDER_START, START, older_body};
use super::shown::ShownRecording;
use super::{Dialect, Told, as_told, contradicts, subject};

/// Generated ids are 12 random bits a microsecond: more clashes than this are not chance.
const TRIES: usize = 8;

/// Starts a recording. Asks `before_recording_start`; tells `recording.started`.
///
/// The same start again is a duplicate and does nothing.
///
/// # Errors
/// [`Code::Invalid`](crate::error::Code) with all faults of the body, `ContradictingContent` when the id was
/// started with other content, `HookDenied` when a plugin refuses.
pub async fn start(
    services: &Services,
    caller: &Caller,
    body: Map<String, Value>,
    dialect: Dialect,
    once: Option<&Idempotency>,
) -> Result<Told> {
    let body = if dialect == Dialect::Older { older_body(body) } else { body };
    let how = dialect.reading(services, true);
    let sent = fields::check(dialect.rules(START, OLDER_START), body, how)?;
    let given = sent.text("id");
    for _ in 0..TRIES {
        let id = match &given {
            Some(id) => id.clone(),
            None => new_recording_id(services.now(), services.random()?),
        };
        let _alone = services.alone(caller, &subject(&id)).await?;
        // That one of its own is taken already is not looked for: the row says so when it is stored.
        if let Some(known) = given.as_ref().map(|id| known(services, id)).transpose()?.flatten() {
            return again(known, &sent, dialect);
        }
        let recording = draft(&sent, id, services.now());
        let (recording, asked) = ask(services, caller, recording, how).await?;
        if let Some(told) = store(services, caller, recording, asked, &sent, once).await? {
            return Ok(told);
        }
    }
    Err(Error::internal("no free recording id was found"))
}

/// Judges what a plugin made of a recording that is about to start.
///
/// # Errors
/// What is wrong with it.
pub fn check_patch(services: &Services, recording: &Map<String, Value>) -> std::result::Result<(), String> {
    let how = Dialect::V1.reading(services, true);
    check_patched(START, Hook::BeforeRecordingStart.info().may_patch, recording, how)
}

/// The recording as the client wants it.
fn draft(sent: &Checked, id: String, now: Timestamp) -> Recording {
    Recording {
        id,
        title: sent.text("title"),
        status: RecordingStatus::Active,
        started_at: sent.time("started_at").unwrap_or(now),
        ended_at: None,
        duration: None,
        start_missing: false,
        tracks: Default::default(),
        metadata: sent.object("metadata").cloned().unwrap_or_default(),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// The recording as the plugins want it.
async fn ask(
    services: &Services,
    caller: &Caller,
    recording: Recording,
    how: Reading,
) -> Result<(Recording, Asked)> {
    let hook = Hook::BeforeRecordingStart;
    if !services.hooks.listens(hook) {
        return Ok((recording, Asked::default()));
    }
    services.check_depth(caller)?;
    // What they change is checked as it is taken.
    let shown = Given::fields(Arc::new(ShownRecording { recording, how }));
    let mut asked = services.hooks.ask(hook, shown, caller, &|_| Ok(())).await?;
    let made = std::mem::take(&mut asked.payload).into_fields_of::<ShownRecording>();
    let made = made.ok_or_else(|| Error::internal("a recording was shown and something else came back"))?;
    Ok((Arc::unwrap_or_clone(made).recording, asked))
}

/// Row, event, deliveries and the hooks' effects, in one transaction; nothing when an id of the server's own is taken.
async fn store(
    services: &Services,
    caller: &Caller,
    recording: Recording,
    asked: Asked,
    sent: &Checked,
    once: Option<&Idempotency>,
) -> Result<Option<Told>> {
    let (journal, caller, once) = (services.journal.clone(), caller.clone(), once.cloned());
    let (now, is_own, sent) = (services.now(), sent.text("id").is_none(), sent.to_map());
    let draft = news("recording.started", subject(&recording.id), as_told(&recording)?);
    let told = services
        .store
        .write_again(move |tx| {
            match tx.insert_recording(&recording, &sent) {
                Err(taken) if is_own && taken.code == Code::Conflict => return Ok(None),
                stored => stored?,
            }
            let event = journal.publish(tx, draft.clone(), &caller)?;
            journal.commit_effects(tx, &asked.effects, &caller)?;
            let told = Told { recording: recording.clone(), duplicate: false, event_id: Some(event.id) };
            idempotency::remember(tx, once.as_ref(), 201, &told, now)?;
            Ok(Some(told))
        })
        .await?;
    Ok(told)
}

/// A recording that is there already, with what its start said.
struct Known {
    recording: Recording,
    sent_start: Option<Map<String, Value>>,
    event_id: Option<String>,
}

fn known(services: &Services, id: &str) -> Result<Option<Known>> {
    services.store.read(|r| {
        let Some(recording) = r.recording(id)? else { return Ok(None) };
        let event_id = r.event_of(&subject(id), "recording.started")?;
        Ok(Some(Known { recording, sent_start: r.sent_start(id)?, event_id }))
    })
}

fn again(known: Known, sent: &Checked, dialect: Dialect) -> Result<Told> {
    let Known { recording, sent_start, event_id } = known;
    // An end whose start was lost may still be followed by that start, late.
    match sent.repeats(&sent_start.unwrap_or_default()) {
        Err(field) if !(recording.start_missing && dialect == Dialect::Older) => {
            Err(contradicts(&recording.id, &field))
        }
        _ => Ok(Told { recording, duplicate: true, event_id }),
    }
}
