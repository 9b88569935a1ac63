//! Drafts of plugins' files: changed in peace, tried, and published at once.

use std::sync::Arc;

use actix_web::HttpResponse;

use crate::error::Result;
use crate::plugins::sources;

use super::call::{Call, scope};
use super::plugin_files::{self, Believed, authorship, believed, path_of};
use super::query::{Kind, Param, param};
use super::reply;

/// Whether others' changes are overwritten.
pub(super) const FORCE: &[Param] = &[param(
    "force",
    Kind::Flag,
    "Overwrites what somebody else has changed since the draft took the files up.",
)];

/// Whether the draft leaves the file alone again.
pub(super) const REVERT: &[Param] =
    &[param("revert", Kind::Flag, "Takes back what the draft does to the file, instead of deleting it.")];

/// The draft of a plugin.
pub(super) async fn get(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    reply::hashed(&call.req, &call.state.manager.draft(call.part("id")).await?)
}

/// The bytes of a file as the draft would have it.
pub(super) async fn get_file(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let content = call.state.manager.draft_file(call.part("id"), &path_of(&call)).await?;
    plugin_files::answer(&call, &content)
}

/// Writes a file in the draft.
pub(super) async fn put_file(mut call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let (id, path) = (call.part("id").to_owned(), path_of(&call));
    sources::check(&path)?;
    let believed = believed(&call, &path)?;
    let content: Arc<[u8]> = call.file().await?.to_vec().into();
    plugin_files::write(&call, &id, &path, content, believed, true).await
}

/// Deletes a file in the draft, or lets the draft leave it alone.
pub(super) async fn delete_file(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let (id, path) = (call.part("id"), &path_of(&call));
    if !call.query.flag("revert").unwrap_or(false) {
        return plugin_files::remove(&call, id, path, true).await;
    }
    let expected = match call.header("If-Match")? {
        Some(_) => match believed(&call, path)? {
            Believed::Hash(hash) => Some(hash),
            Believed::Existing | Believed::Absent => None,
        },
        None => None,
    };
    reply::ok(&call.state.manager.revert_in_draft(id, path, expected, &call.actor()).await?)
}

/// Tries the draft aside.
pub(super) async fn check(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.check_draft(call.part("id")).await?)
}

/// Makes the draft live.
pub(super) async fn publish(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    let force = call.query.flag("force").unwrap_or(false);
    reply::ok(&call.state.manager.publish_draft(call.part("id"), force, authorship(&call)).await?)
}

/// Drops the draft.
pub(super) async fn delete(call: Call<scope::PluginsCode>) -> Result<HttpResponse> {
    call.state.manager.drop_draft(call.part("id"), &call.actor()).await?;
    Ok(reply::no_content())
}
