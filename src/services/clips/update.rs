//! Changing a clip: PUT and PATCH both merge.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::Result;
use crate::hooks::Hook;
use crate::model::call::Caller;
use crate::model::clip::Clip;
use crate::services::fields::{self, Checked};
use crate::services::{Services, check_version, news};
use crate::store::Tx;

use super::change::{advance, apply};
use super::create::no_recording;
use super::pipeline::{self, Pipeline};
use super::rules::FIELDS;
use super::{not_found, reading, subject, to_json};

/// Changes a clip. When processing becomes done, asks `on_clip_processed` before the row is final and tells
/// `clip.processed`; tells `clip.updated` when something changed.
///
/// # Errors
/// `Invalid`, `ClipNotFound`, `PreconditionFailed`, `IllegalTransition`.
pub async fn update(
    services: &Services,
    caller: &Caller,
    id: i64,
    body: Map<String, Value>,
    if_version: Option<i64>,
) -> Result<Clip> {
    let sent = fields::check(FIELDS, body, reading(services, false))?;
    let completes = sent.flag("processed") == Some(true)
        || sent.get("processing_status").and_then(Value::as_str) == Some("completed");
    // Who completes a clip is alone with it, so that of two at once only one asks the plugins.
    let _alone = match completes {
        true => Some(services.alone(caller, &subject(id)).await?),
        false => None,
    };
    let asked = match completes {
        true => ask_processed(services, caller, id, &sent, if_version).await?,
        false => None,
    };
    let (own, caller) = (services.clone(), caller.clone());
    let changed =
        services.store.write(move |tx| store(&own, tx, &caller, id, &sent, if_version, asked)).await?;
    Ok(changed)
}

/// Asks the plugins, if this change is the one that completes the clip.
async fn ask_processed(
    services: &Services,
    caller: &Caller,
    id: i64,
    sent: &Checked,
    if_version: Option<i64>,
) -> Result<Option<(Clip, Pipeline)>> {
    let before = services.store.read(|r| r.clip(id))?.ok_or_else(|| not_found(id))?;
    check_version(if_version, before.version)?;
    let mut after = before.clone();
    apply(&mut after, sent, true)?;
    advance(&mut after, sent, false)?;
    if before.processed || !after.processed {
        return Ok(None);
    }
    let (made, asked) = pipeline::ask(services, caller, Hook::OnClipProcessed, after).await?;
    Ok(asked.map(|it| (made, it)))
}

/// Row, events, deliveries and the hooks' effects, in one transaction.
fn store(
    services: &Services,
    tx: &mut Tx,
    caller: &Caller,
    id: i64,
    sent: &Checked,
    if_version: Option<i64>,
    asked: Option<(Clip, Pipeline)>,
) -> Result<Clip> {
    let before = tx.clip(id)?.ok_or_else(|| not_found(id))?;
    check_version(if_version, before.version)?;
    let now = services.now();
    let mut after = before.clone();
    apply(&mut after, sent, true)?;
    advance(&mut after, sent, false)?;
    if let Some(recording) = &after.recording_id
        && after.recording_id != before.recording_id
        && tx.recording(recording)?.is_none()
    {
        return Err(no_recording());
    }
    let becomes_processed = after.processed && !before.processed;
    let asked = asked.filter(|_| becomes_processed);
    if let Some((made, asked)) = &asked {
        asked.apply_late(made, &mut after, now)?;
    }
    let effects = asked.as_ref().is_some_and(|(_, it)| !it.asked.effects.is_empty());
    if after == before && !effects {
        return Ok(before);
    }
    after.updated_at = now;
    after.version = tx.update_clip(&after)?;
    let data = Arc::new(Value::Object(to_json(&after)?));
    services.journal.publish(tx, news("clip.updated", subject(id), Arc::clone(&data)), caller)?;
    if becomes_processed {
        let event = services.journal.publish(tx, news("clip.processed", subject(id), data), caller)?;
        if let Some((_, Pipeline { asked, .. })) = asked {
            services.journal.commit_effects(tx, &asked.effects, caller)?;
            services.journal.defer(tx, &event, &asked.unasked, Hook::OnClipProcessed)?;
        }
    }
    Ok(after)
}
