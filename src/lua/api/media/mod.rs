//! `panotti.media`: what the server hears in files. Native code, away from the Lua pool.

mod cut;
mod decode;
mod which;
mod work;

use std::path::Path;

use mlua::Table;
use serde_json::{Value, json};

use crate::error::Error;
use crate::lua::context::ApiContext;
use crate::media::{self, MediaError, Scope};
use crate::services::files::media_error;

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};
use which::Which;
pub(super) use which::check_clip;
use work::Load;

/// Points of a waveform.
const MAX_POINTS: f64 = 20_000.0;
/// Windows of an envelope.
const MAX_WINDOWS: usize = 90_000;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let probe = build.waiting("panotti.media.probe", |ctx, args| {
        let which = Which::read(ctx, args)?;
        measure(ctx, Load::Light, which, |path, scope| media::probe(path, scope).map(|it| {
            json!({
                "container": it.container, "codec": it.codec, "sample_rate": it.sample_rate, "channels": it.channels,
                "bits_per_sample": it.bits_per_sample, "frames": it.frames, "duration": it.duration_s,
            })
        }))
    })?;
    module.raw_set("probe", probe)?;
    let locate = build.waiting("panotti.media.locate", |ctx, args| {
        let which = Which::read(ctx, args)?;
        let (services, plugin) = (ctx.services.clone(), ctx.plugin.clone());
        Ok(async move {
            let blocking = services.blocking.clone();
            let found = blocking.run(move || which.open(&services, &plugin)).await;
            let absolute = found.and_then(|it| std::path::absolute(&it.path).map_err(Error::internal));
            Ok(absolute
                .map_or_else(Reply::from, |it| Reply::Bytes(it.to_string_lossy().into_owned().into_bytes())))
        })
    })?;
    module.raw_set("locate", locate)?;
    let loudness = build.waiting("panotti.media.loudness", |ctx, args| {
        let which = Which::read(ctx, args)?;
        measure(ctx, Load::Heavy, which, |path, scope| {
            media::loudness(path, scope).map(|it| {
                json!({
                    "integrated": it.integrated_lufs, "range": it.range_lu, "true_peak": it.true_peak_dbfs,
                    "sample_peak": it.sample_peak_dbfs, "duration": it.duration_s,
                })
            })
        })
    })?;
    module.raw_set("loudness", loudness)?;
    let peaks = build.waiting("panotti.media.peaks", |ctx, args| {
        let which = Which::read(ctx, args)?;
        let points = between(args, "points", 1.0, MAX_POINTS, 1000.0)? as usize;
        measure(ctx, Load::Heavy, which, move |path, scope| {
            let peaks = media::peaks(path, scope, points)?;
            let peaks = peaks.iter().map(|it| json!({"min": it.min, "max": it.max, "rms": it.rms}));
            Ok(Value::Array(peaks.collect()))
        })
    })?;
    module.raw_set("peaks", peaks)?;
    let envelope = build.waiting("panotti.media.envelope", |ctx, args| {
        let which = Which::read(ctx, args)?;
        let window = between(args, "window", 0.001, 3600.0, 0.1)?;
        let work = measure(ctx, Load::Heavy, which, move |path, scope| {
            let levels = media::envelope(path, scope, window)?;
            Ok(levels.into_iter().map(Value::from).collect())
        })?;
        Ok(async move {
            match work.await {
                Ok(Reply::Record(Value::Array(levels))) if levels.len() > MAX_WINDOWS => Err(Raise::Limit(
                    format!("{} windows are more than {MAX_WINDOWS}; take longer ones", levels.len()),
                )),
                other => other,
            }
        })
    })?;
    module.raw_set("envelope", envelope)?;
    module.raw_set("cut", build.waiting("panotti.media.cut", cut::cut)?)?;
    module.raw_set("denoise", build.waiting("panotti.media.denoise", cut::denoise)?)?;
    module.raw_set("subtract", build.waiting("panotti.media.subtract", cut::subtract)?)?;
    module.raw_set("decode", build.waiting("panotti.media.decode", decode::decode)?)?;
    Ok(module)
}

/// Measures a file on the blocking pool.
fn measure<F>(
    ctx: &ApiContext,
    load: Load,
    which: Which,
    what: F,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<F>, Raise>
where
    F: FnOnce(&Path, Scope) -> Result<Value, MediaError> + Send + 'static,
{
    work::record(ctx, load, move |desk| {
        desk.hear(&which, |path, scope| {
            let stop = scope.stop.clone();
            let measured = what(path, scope).map_err(media_error)?;
            // Of a file that was not read to its end.
            stop.check().map_err(media_error)?;
            Ok(measured)
        })
    })
}

/// A number within bounds, or the default.
fn between(args: &mut Args, name: &str, least: f64, most: f64, default: f64) -> Result<f64, Raise> {
    match args.optional_number(name)? {
        None => Ok(default),
        Some(it) if (least..=most).contains(&it) => Ok(it),
        Some(it) => Err(args.wrong_because(name, &format!("must be from {least} to {most}, got {it}"))),
    }
}
