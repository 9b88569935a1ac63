//! A passage as a buffer of samples.

use serde_json::json;

use crate::lua::context::ApiContext;
use crate::media::{self, MediaError};
use crate::services::files::media_error;

use super::super::args::Args;
use super::super::define::{Outcome, Raise, Reply};
use super::which::Which;
use super::work::{self, Load};

/// Samples that one buffer may hold: 16 MiB of them.
const MAX_SAMPLES: usize = (16 << 20) / 4;

pub(super) fn decode(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let which = Which::read(ctx, args)?;
    let options = args.options("options", &["sample_rate", "start", "duration"])?;
    let rate = options.integer("sample_rate", 1000..=384_000)?.map(|it| it as u32);
    let (start, duration) = (options.number("start", 0.0)?.unwrap_or(0.0), options.number("duration", 0.0)?);
    if duration == Some(0.0) {
        return Err(options.wrong("duration", "must be above 0"));
    }
    let name = args.function();
    work::run(ctx, Load::Heavy, move |desk| {
        desk.hear(&which, |path, scope| match media::samples(path, scope, rate, start, duration, MAX_SAMPLES) {
            Ok(passage) => {
                let frames = passage.bytes.len() / 4;
                let about = json!({ "sample_rate": passage.sample_rate, "frames": frames });
                Ok(Ok(Reply::Buffer(passage.bytes, about)))
            }
            Err(MediaError::TooLong { most }) => Ok(Err(Raise::Limit(format!(
                "the passage has more than {most} samples; a buffer of {name} holds {} MiB: take less of it with start and \
                 duration, or a lower sample_rate",
                (most * 4) >> 20
            )))),
            Err(error) => Err(media_error(error)),
        })
    })
}
