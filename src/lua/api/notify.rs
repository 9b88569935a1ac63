//! `panotti.notify`: what an admin shall see soon.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mlua::Function;
use serde_json::json;

use crate::lua::context::ApiContext;
use crate::lua::fault::clean;
use crate::model::call::Emitted;
use crate::model::event::Priority;
use crate::model::rate::Rate;
use crate::process::{self, Program};

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};

/// The event that tells it.
const EVENT: &str = "plugin.notified";
/// Bytes of a title.
const MAX_TITLE_BYTES: usize = 200;
/// Bytes of a message.
const MAX_MESSAGE_BYTES: usize = 2000;

pub(super) fn build(build: &Build) -> mlua::Result<Function> {
    let per_min = build.ctx.limits.notifications_per_min;
    // A bucket that is full at first and has its content again after a minute.
    let rate = Rate::with(per_min as f64 / 60.0, per_min as f64);
    build.function("panotti.notify", move |_, ctx, args| notify(ctx, args, &rate))
}

fn notify(ctx: &ApiContext, args: &mut Args, rate: &Rate) -> Outcome {
    let title = clean(&ctx.secrets.mask(&args.text("title")?), MAX_TITLE_BYTES);
    let message = args.optional_text("message")?.unwrap_or_default();
    let message = clean(&ctx.secrets.mask(&message), MAX_MESSAGE_BYTES);
    let options = args.options("options", &["level", "url"])?;
    let level = match options.text("level")? {
        None => "info",
        Some(level @ ("info" | "warning" | "error")) => level,
        Some(_) => return Err(options.wrong("level", "must be info, warning or error")),
    };
    let url = options.text("url")?.map(|it| clean(it, MAX_MESSAGE_BYTES));
    if title.trim().is_empty() {
        return Err(Raise::Wrong("argument 1 (title) must not be empty".to_owned()));
    }
    args.permit(ctx, "notify", None)?;
    let call = ctx.writing_call()?;
    if rate.take().is_none() {
        return Err(Raise::Limit(format!(
            "more than {} notifications a minute (limits.notifications_per_min)",
            ctx.limits.notifications_per_min
        )));
    }
    if ctx.stand_in.is_none() {
        log::info!(plugin = &*ctx.plugin, generation = ctx.generation, level = level; "notifies: {title}: {message}");
    }
    let data =
        json!({ "plugin": &*ctx.plugin, "title": title, "message": message, "level": level, "url": url });
    let subject = Some(format!("plugin/{}", ctx.plugin));
    call.emit(Emitted {
        kind: EVENT.to_owned(),
        subject,
        data: Arc::new(data),
        priority: Priority::High,
        ttl: None,
    })
    .map_err(Raise::Limit)?;
    run_tool(ctx, title, message);
    Ok(Reply::Nothing)
}

/// Hands it to the admin's program and does not wait for that.
fn run_tool(ctx: &ApiContext, title: String, message: String) {
    let tool = ctx.services.settings.notify_tool.clone();
    if tool.is_empty() {
        return;
    }
    let program = Program {
        tool: PathBuf::from(&tool),
        // What begins with a dash is no option of the program's.
        arguments: [title, message]
            .map(|it| if it.starts_with('-') { format!(" {it}") } else { it })
            .to_vec(),
        folder: std::env::temp_dir(),
        input: Vec::new(),
        timeout: Duration::from_secs(10),
        max_output_bytes: 1 << 20,
        max_memory_bytes: 1 << 30,
        max_file_bytes: 1 << 30,
    };
    let plugin = Arc::clone(&ctx.plugin);
    ctx.runtime.spawn(async move {
        match process::run(program).await {
            Ok(ended) if ended.code == Some(0) => {}
            Ok(ended) => log::warn!(plugin = &*plugin; "notify_tool {tool} ended with {:?}", ended.code),
            Err(fault) => log::warn!(plugin = &*plugin; "notify_tool {tool}: {fault}"),
        }
    });
}
