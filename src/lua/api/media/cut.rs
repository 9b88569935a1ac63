//! Cutting a passage into a file of the plugin's own.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::lua::context::ApiContext;
use crate::media::{self, CutRange};
use crate::services::files::{io_error, media_error};

use super::super::args::Args;
use super::super::define::{Outcome, Raise};
use super::which::{Which, cuts_folder};

/// Bytes that a plugin's cuts may take.
const MAX_BYTES: u64 = 256 << 20;
/// How many cuts a plugin may keep.
const MAX_FILES: usize = 10_000;

pub(super) fn cut(
    ctx: &ApiContext,
    args: &mut Args,
) -> std::result::Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let which = Which::read(ctx, args)?;
    let options = args.options("range", &["start", "finish", "last"])?;
    let ends = (options.number("start", 0.0)?, options.number("finish", 0.0)?, options.number("last", 0.0)?);
    let range = match ends {
        (Some(start_s), Some(end_s), None) => CutRange::Between { start_s, end_s },
        (None, None, Some(seconds)) => CutRange::Last { seconds },
        _ => return Err(args.wrong_because("range", "must have start and finish, or last, in seconds")),
    };
    let (services, plugin) = (ctx.services.clone(), ctx.plugin.clone());
    Ok(async move {
        let opener = services.clone();
        let done = services.blocking.run(move || {
            let folder = cuts_folder(&opener, &plugin);
            std::fs::create_dir_all(&folder).map_err(io_error)?;
            check_room(&folder)?;
            let source = which.open(&opener, &plugin)?;
            let path = folder.join(format!("{}.wav", uuid::Uuid::now_v7().simple()));
            let cut = media::cut(&source.path(), source.limit(), range, &path).map_err(media_error)?;
            Ok(json!({
                "path": path.to_string_lossy(), "duration": cut.duration_s, "start": cut.start_s, "finish": cut.end_s,
                "sample_rate": cut.sample_rate, "channels": cut.channels, "size": cut.bytes,
            }))
        });
        Ok(Result::<Value>::from(done.await).into())
    })
}

/// Refuses one more cut when there are too many or they are too large.
fn check_room(folder: &Path) -> Result<()> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        files += 1;
        bytes += entry.and_then(|it| it.metadata()).map_err(io_error)?.len();
    }
    if files < MAX_FILES && bytes < MAX_BYTES {
        return Ok(());
    }
    let detail = format!("The plugin's cuts have reached {MAX_FILES} files or {} MiB.", MAX_BYTES >> 20);
    Err(Error::new(Code::TooLarge, detail))
}
