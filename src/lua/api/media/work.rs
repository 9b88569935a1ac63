//! Work on audio: away from the Lua pool, a few at a time, and no longer than the call that wants it lives.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::lua::context::ApiContext;
use crate::media::{MediaError, Scope, Stop};
use crate::services::Services;
use crate::services::files::{io_error, media_error, sync_folder};

use super::super::define::{Outcome, Raise};
use super::which::{Which, cuts_folder};

/// Bytes that a plugin's cuts may take.
const MAX_BYTES: u64 = 256 << 20;
/// How many cuts a plugin may keep.
const MAX_FILES: usize = 10_000;

/// An unfinished file that nobody has written to for so long was left behind by a crash.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// What work on audio is given.
pub(super) struct Desk {
    /// The product.
    pub(super) services: Services,
    /// The plugin's name.
    pub(super) plugin: Arc<str>,
    stop: Stop,
}

impl Desk {
    /// Opens a file and hands its path to `what`.
    pub(super) fn hear<T>(&self, which: &Which, what: impl FnOnce(&Path, Scope) -> Result<T>) -> Result<T> {
        let media = which.open(&self.services, &self.plugin)?;
        what(&media.path(), Scope { len: media.limit(), stop: self.stop.clone() })
    }

    /// Has `make` write a new file among the plugin's cuts, which gets its name when it is whole.
    pub(super) fn make<T>(&self, make: impl FnOnce(&Path) -> Result<T, MediaError>) -> Result<(PathBuf, T)> {
        let folder = cuts_folder(&self.services, &self.plugin);
        std::fs::create_dir_all(&folder).map_err(io_error)?;
        check_room(&folder)?;
        let path = folder.join(format!("{}.wav", uuid::Uuid::now_v7().simple()));
        let part = path.with_extension("part");
        let made = make(&part).map_err(media_error)?;
        std::fs::rename(&part, &path).map_err(io_error)?;
        sync_folder(&folder).map_err(io_error)?;
        Ok((path, made))
    }
}

/// How much work it is.
#[derive(Clone, Copy)]
pub(super) enum Load {
    /// Some reading: it need not wait for others.
    Light,
    /// All of the audio is decoded.
    Heavy,
}

/// Does `work` on the blocking pool; it ends when the call does.
pub(super) fn run<F>(
    ctx: &ApiContext,
    load: Load,
    work: F,
) -> std::result::Result<impl Future<Output = Outcome> + Send + 'static + use<F>, Raise>
where
    F: FnOnce(&Desk) -> Result<Outcome> + Send + 'static,
{
    let stop = Stop::at(ctx.call()?.meter.deadline());
    let desk = Desk { services: ctx.services.clone(), plugin: ctx.plugin.clone(), stop };
    let guard = Guard(desk.stop.clone());
    Ok(async move {
        // Dropped with this future, that is when nobody waits any more.
        let _guard = guard;
        let blocking = desk.services.blocking.clone();
        let done = match load {
            Load::Light => blocking.run(move || work(&desk)).await,
            Load::Heavy => blocking.run_heavy(move || work(&desk)).await,
        };
        done.unwrap_or_else(|error| Ok(error.into()))
    })
}

/// The same for work that gives a record.
pub(super) fn record<F>(
    ctx: &ApiContext,
    load: Load,
    work: F,
) -> std::result::Result<impl Future<Output = Outcome> + Send + 'static + use<F>, Raise>
where
    F: FnOnce(&Desk) -> Result<Value> + Send + 'static,
{
    run(ctx, load, move |desk| work(desk).map(|it| Ok(super::Reply::Record(it))))
}

struct Guard(Stop);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Refuses one more cut when there are too many or they are too large.
fn check_room(folder: &Path) -> Result<()> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        // Gone since: another call's unfinished file got its name.
        let Ok(meta) = entry.metadata() else { continue };
        let age = meta.modified().ok().and_then(|it| it.elapsed().ok()).unwrap_or_default();
        let is_part = entry.path().extension().is_some_and(|it| it == "part");
        if is_part && age > ABANDONED && std::fs::remove_file(entry.path()).is_ok() {
            continue;
        }
        files += 1;
        bytes += meta.len();
    }
    if files < MAX_FILES && bytes < MAX_BYTES {
        return Ok(());
    }
    let detail = format!("The plugin's cuts have reached {MAX_FILES} files or {} MiB.", MAX_BYTES >> 20);
    Err(Error::new(Code::TooLarge, detail))
}
