//! New files of a plugin's own: passages, and what is left of a sound.

use std::path::Path;

use serde_json::{Value, json};

use crate::lua::context::ApiContext;
use crate::media::{self, CutRange, Delay, MAX_DELAY_S, Made};

use super::super::args::Args;
use super::super::define::{Outcome, Raise};
use super::which::Which;
use super::work::{self, Load};

pub(super) fn cut(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let which = Which::read(ctx, args)?;
    let options = args.options("range", &["start", "finish", "last"])?;
    let ends = (options.number("start", 0.0)?, options.number("finish", 0.0)?, options.number("last", 0.0)?);
    let range = match ends {
        (Some(start_s), Some(end_s), None) => CutRange::Between { start_s, end_s },
        (None, None, Some(seconds)) => CutRange::Last { seconds },
        _ => return Err(args.wrong_because("range", "must have start and finish, or last, in seconds")),
    };
    work::record(ctx, Load::Heavy, move |desk| {
        desk.hear(&which, |source, scope| {
            let (path, cut) = desk.make(|part| media::cut(source, scope, range, part))?;
            Ok(json!({
                "path": path.to_string_lossy(), "duration": cut.duration_s, "start": cut.start_s, "finish": cut.end_s,
                "sample_rate": cut.sample_rate, "channels": cut.channels, "size": cut.bytes,
            }))
        })
    })
}

pub(super) fn denoise(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let which = Which::read(ctx, args)?;
    let options = args.options("options", &["amount"])?;
    let amount = options.number("amount", 0.0)?.unwrap_or(1.0);
    if amount > 1.0 {
        return Err(options.wrong("amount", &format!("must be at most 1, got {amount}")));
    }
    work::record(ctx, Load::Heavy, move |desk| {
        desk.hear(&which, |source, scope| {
            let (path, made) = desk.make(|part| media::denoise(source, scope, amount, part))?;
            Ok(told(&path, &made))
        })
    })
}

pub(super) fn subtract(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let which = Which::read(ctx, args)?;
    let reference = Which::named(ctx, args, "reference_path")?;
    let options = args.options("options", &["delay", "max_delay"])?;
    let delay = match (options.number("delay", -MAX_DELAY_S)?, options.number("max_delay", 0.0)?) {
        (Some(_), Some(_)) => {
            return Err(args.wrong_because("options", "has delay, which is known, or max_delay, not both"));
        }
        (Some(seconds), None) => Delay::Known(seconds),
        (None, most) => Delay::Within(most.unwrap_or(1.0)),
    };
    let (Delay::Known(seconds) | Delay::Within(seconds)) = delay;
    if seconds > MAX_DELAY_S {
        return Err(args.wrong_because("options", &format!("has a delay of more than {MAX_DELAY_S} seconds")));
    }
    work::record(ctx, Load::Heavy, move |desk| {
        desk.hear(&which, |source, scope| {
            desk.hear(&reference, |other, other_scope| {
                let (path, done) =
                    desk.make(|part| media::subtract(source, scope, other, other_scope, delay, part))?;
                let mut record = told(&path, &done.made);
                record["delay"] = done.delay_s.into();
                record["reduction_db"] = done.reduction_db.into();
                Ok(record)
            })
        })
    })
}

fn told(path: &Path, made: &Made) -> Value {
    json!({
        "path": path.to_string_lossy(), "duration": made.duration_s, "frames": made.frames,
        "sample_rate": made.sample_rate, "channels": made.channels, "size": made.bytes,
    })
}
