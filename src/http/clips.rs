//! Clips: created, cut, listed, changed, deleted; their media.

use actix_web::HttpResponse;
use actix_web::http::header;
use futures_util::StreamExt;

use crate::error::Result;
use crate::model::clip::ProcessingStatus;
use crate::services::clips::{self, ClipFilter, ClipSort, Made};

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;
use super::tracks::{answer, drawn, expected, points};

/// What a list of clips can be ordered by; `-` is descending.
const SORTS: &[&str] = &[
    "created_at",
    "-created_at",
    "recorded_at",
    "-recorded_at",
    "title",
    "-title",
    "duration",
    "-duration",
    "id",
    "-id",
];

/// What a list of clips is narrowed by.
pub(super) const FILTERS: &[Param] = &[
    param("game_name", Kind::Text, "Exactly this game."),
    param("processed", Kind::Flag, "Whether processing is done."),
    param(
        "status",
        Kind::OneOf(&["pending", "processing", "completed", "failed"]),
        "How far the processing is.",
    ),
    Param { repeat: true, ..param("tag", Kind::Text, "Has this tag; several are all wanted.") },
    param(
        "q",
        Kind::Text,
        "Words of title, description or tags. While the disk is full the newest clips may be missing.",
    ),
    param("recording_id", Kind::Text, "Cut from this recording."),
    param("from", Kind::Time, "Recorded (else created) at this time or later."),
    param("to", Kind::Time, "Recorded (else created) at this time or earlier."),
    param(
        "after",
        Kind::Whole(1, i64::MAX),
        "Goes on behind the clip with this id, the last one of the page before: as fast however far into the list; `page` is then only told. The link to the next page has it. Only where the order is that of ids, `created_at` or `id`; else it changes nothing.",
    ),
    param(
        "sort",
        Kind::OneOf(SORTS),
        "What the list is ordered by, `-` from the largest down; `-created_at` without.",
    ),
];

/// Whether the file goes too.
pub(super) const FILES: &[Param] =
    &[param("files", Kind::Flag, "Also removes the file, if the server wrote it.")];

/// One page of clips.
pub(super) async fn list(call: Call<scope::ClipsRead>) -> Result<HttpResponse> {
    let query = &call.query;
    let filter = ClipFilter {
        game_name: query.text("game_name"),
        processed: query.flag("processed"),
        status: query.get("status").map(|it| match it {
            "processing" => ProcessingStatus::Processing,
            "completed" => ProcessingStatus::Completed,
            "failed" => ProcessingStatus::Failed,
            _ => ProcessingStatus::Pending,
        }),
        tags: query.all("tag"),
        q: query.text("q"),
        recording_id: query.text("recording_id"),
        from: query.time("from"),
        to: query.time("to"),
        after: query.whole("after"),
    };
    let sort = query.get("sort").and_then(ClipSort::from_name).unwrap_or_default();
    let page = clips::list(&call.state.services, filter, sort, query.window()).await?;
    let last = page.items.last().map(|it| it.id).filter(|_| sort.is_by_id());
    reply::page_before(&call.req, &page, last)
}

/// Creates a clip: of a file, or cut from a recording.
pub(super) async fn create(mut call: Call<scope::ClipsWrite>) -> Result<HttpResponse> {
    let (body, once) = call.json_once().await?;
    if let Some(answer) = call.recalled(once.as_ref())? {
        return Ok(answer);
    }
    let Made { clip, text } =
        clips::create(&call.state.services, &call.caller(), body, once.as_ref()).await?;
    reply::created_text(&format!("/api/v1/clips/{}", clip.id), &text, clip.version)
}

/// A clip.
pub(super) async fn get(call: Call<scope::ClipsRead>) -> Result<HttpResponse> {
    let clip = clips::get(&call.state.services, call.number("id")?)?;
    reply::resource(&call.req, &clip, clip.version)
}

/// Changes a clip.
pub(super) async fn patch(mut call: Call<scope::ClipsWrite>) -> Result<HttpResponse> {
    let (id, if_match) = (call.number("id")?, call.if_match()?);
    let body = call.json().await?;
    let clip = clips::update(&call.state.services, &call.caller(), id, body, if_match).await?;
    reply::resource(&call.req, &clip, clip.version)
}

/// Deletes a clip.
pub(super) async fn delete(call: Call<scope::ClipsWrite>) -> Result<HttpResponse> {
    let (id, if_match) = (call.number("id")?, call.if_match()?);
    let files = call.query.flag("files").unwrap_or(false);
    clips::delete(&call.state.services, &call.caller(), id, files, if_match).await?;
    Ok(reply::no_content())
}

/// Totals over all clips.
pub(super) async fn stats(call: Call<scope::ClipsRead>) -> Result<HttpResponse> {
    reply::hashed(&call.req, &clips::stats(&call.state.services).await?)
}

/// The bytes of a clip's media.
pub(super) async fn download(call: Call<scope::ClipsRead>) -> Result<HttpResponse> {
    let (clip, open) = clips::content(&call.state.services, call.number("id")?)?;
    // A file that a client named may change without the row: its time and length name it too.
    let tag = open.file.metadata().ok().and_then(|it| it.modified().ok());
    let tag = tag.and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    let tag = format!("{}-{}-{}", clip.id, open.len, tag.as_micros());
    answer(&call, open, tag, None)
}

/// Stores the media of a clip.
pub(super) async fn upload(mut call: Call<scope::ClipsWrite>) -> Result<HttpResponse> {
    let (id, expected) = (call.number("id")?, expected(&call)?);
    let kind = call.header(header::CONTENT_TYPE.as_str())?.map(str::to_owned);
    let services = call.state.services.clone();
    let mut upload = clips::begin_content(&services, &call.caller(), id, kind, expected.len).await?;
    upload.expect(&expected);
    let mut body = call.upload()?;
    while let Some(bytes) = body.next().await {
        upload.write(bytes?).await?;
    }
    let clip = upload.finish(&expected).await?;
    reply::resource(&call.req, &clip, clip.version)
}

/// The peaks of a clip's audio.
pub(super) async fn waveform(call: Call<scope::ClipsRead>) -> Result<HttpResponse> {
    let peaks = clips::waveform(&call.state.services, call.number("id")?, points(&call)).await?;
    drawn(&call, peaks.iter().map(|it| (it.min, it.max, it.rms)))
}
