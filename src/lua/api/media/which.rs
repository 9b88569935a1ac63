//! Which files a call may hear: those of the recording or clip it is about, the plugin's own cuts, and with the
//! permission `media` all that the server may read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};
use crate::lua::context::ApiContext;
use crate::services::Services;
use crate::services::files::{MediaFiles, OpenMedia, open_in};

use super::super::args::Args;
use super::super::define::Raise;

/// A file that a script named, and why it may be heard.
pub(super) struct Which {
    path: String,
    why: Why,
}

enum Why {
    /// The server wrote it for the recording or clip of this call.
    Own,
    /// A client named it for the recording or clip of this call.
    Client,
    /// The plugin cut it.
    Cut,
    /// The plugin has the permission.
    Permission,
}

impl Which {
    /// Reads the argument `path`.
    ///
    /// # Errors
    /// Raises, and marks the call as denied, for a file that the call may not hear.
    pub(super) fn read(ctx: &ApiContext, args: &mut Args) -> Result<Which, Raise> {
        Which::named(ctx, args, "path")
    }

    /// Reads an argument of another name.
    ///
    /// # Errors
    /// As [`Which::read`].
    pub(super) fn named(ctx: &ApiContext, args: &mut Args, name: &str) -> Result<Which, Raise> {
        let path = args.text(name)?;
        let why = why(ctx, args, &path)?;
        Ok(Which { path, why })
    }

    /// Opens it, inside the folder it must lie in.
    pub(super) fn open(&self, services: &Services, plugin: &Arc<str>) -> Result<OpenMedia> {
        match self.why {
            Why::Own => services.files.open_path(&self.path),
            Why::Client => services.files.open_client(&self.path),
            Why::Permission => services.files.open_path(&self.path),
            Why::Cut => open_cut(services, plugin, &self.path),
        }
    }
}

/// Refuses a clip of a file that the plugin could not hear by itself: its clip hooks will hear it.
///
/// # Errors
/// Raises, and marks the call as denied, for a file of the recordings folder that the call may not hear.
pub(in crate::lua::api) fn check_clip(
    ctx: &ApiContext,
    args: &Args,
    fields: &Map<String, Value>,
) -> Result<(), Raise> {
    match fields.get("file_path").and_then(Value::as_str) {
        // Elsewhere nothing is ever opened.
        Some(path) if ctx.services.files.is_in_recordings(path) => why(ctx, args, path).map(|_| ()),
        _ => Ok(()),
    }
}

fn why(ctx: &ApiContext, args: &Args, path: &str) -> Result<Why, Raise> {
    let call = ctx.call()?;
    let own = call.payload.as_ref().and_then(|payload| named_by(&ctx.services, payload.json(), path));
    Ok(match own {
        Some(why) => why,
        None if cut_name(&ctx.services, &ctx.plugin, path).is_some() => Why::Cut,
        None => {
            // Of the recording, the clip or the plugin itself; other files are the admin's to open.
            args.permit(ctx, "media", None)?;
            Why::Permission
        }
    })
}

/// Whether the payload of a call names `path` as a file of its recording or clip.
fn named_by(services: &Services, payload: &Value, path: &str) -> Option<Why> {
    let own = |is_own: bool| if is_own { Why::Own } else { Why::Client };
    let tracks = payload.get("tracks").and_then(Value::as_object).into_iter().flatten();
    for (_, track) in tracks {
        if track.get("path").and_then(Value::as_str) == Some(path) {
            return Some(own(track.get("origin").and_then(Value::as_str) == Some("server")));
        }
    }
    if payload.get("file_path").and_then(Value::as_str) == Some(path) {
        // What a client wrote there is text; only the clip's own place is the server's file.
        let place = payload.get("id").and_then(Value::as_i64).map(MediaFiles::clip_path);
        let is_own = place.is_some_and(|it| path == it || Path::new(path) == services.files.own(&it));
        return Some(own(is_own));
    }
    // An event carries what it tells one level down, a clip's answer its recording.
    payload.get("data").and_then(|data| named_by(services, data, path))
}

/// The folder of a plugin's own cuts.
pub(super) fn cuts_folder(services: &Services, plugin: &str) -> PathBuf {
    services.settings.data_dir.join("plugins").join(plugin).join("cuts")
}

/// The name of a cut when `path` is one of the plugin's.
fn cut_name<'a>(services: &Services, plugin: &str, path: &'a str) -> Option<&'a Path> {
    let folder = cuts_folder(services, plugin);
    let name = Path::new(path).strip_prefix(&folder).ok()?;
    (name.components().count() == 1).then_some(name)
}

fn open_cut(services: &Services, plugin: &str, path: &str) -> Result<OpenMedia> {
    let gone = || Error::new(Code::MediaUnavailable, "The plugin has no such cut.");
    let name = cut_name(services, plugin, path).ok_or_else(gone)?;
    let dir =
        Dir::open_ambient_dir(cuts_folder(services, plugin), ambient_authority()).map_err(|_| gone())?;
    open_in(&dir, name, PathBuf::from(path)).map_err(|_| gone())
}
