//! `panotti.process`: programs that the admin has named and granted.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mlua::{Lua, Table, Value};
use tokio::task::{AbortHandle, JoinHandle};

use crate::lua::context::{ApiContext, Mark};
use crate::lua::quota::Quota;
use crate::process::{self, Ended, Fault, Program};
use crate::services::plugin_files::PluginFiles;

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};

/// Arguments of one program.
const MAX_ARGUMENTS: usize = 1000;

/// Bytes of all its arguments together.
const MAX_ARGUMENT_BYTES: usize = 64 << 10;

/// The number of what the next program keeps in its call; far from those of other modules.
static NEXT: AtomicU64 = AtomicU64::new(1 << 62);

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    module.raw_set("run", build.waiting("panotti.process.run", run)?)?;
    Ok(module)
}

fn run(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let tool = args.text_up_to("tool", 256)?;
    args.permit(ctx, "process", Some(&tool))?;
    let arguments = arguments(args)?;
    let (input, timeout) = options(args)?;
    let held = args.hold(ctx, "options.stdin", input.len())?;
    let path = tool_path(&ctx.services.settings.process_tools, &tool);
    let most = Duration::from_millis(ctx.limits.process_wall_ms);
    let (own_timeout, timeout) =
        (timeout.is_some_and(|it| it < most), timeout.map_or(most, |it| it.min(most)));
    let limits = ctx.limits;
    let (call, quotas, runtime) = (ctx.call()?, Arc::clone(&ctx.quotas), ctx.runtime.clone());
    let (files, plugin) = (ctx.services.plugin_files.clone(), Arc::clone(&ctx.plugin));
    let stand_in = ctx.stand_in.clone();
    Ok(async move {
        let failed = |code: &'static str, message: String| Ok(Reply::Failed { code, message });
        if let Some(stand_in) = stand_in {
            return match stand_in.run(&tool, &arguments, &input).await {
                Ok(ended) => Ok(made(ended)),
                Err((code, message)) => failed(code, message),
            };
        }
        let Some(path) = path else {
            let why = format!(
                "the admin has named no tool '{tool}'; the setting process_tools does, as {tool}=/usr/bin/{tool}"
            );
            call.mark_because(Mark::Denied, &why);
            return failed("no_such_tool", why);
        };
        if !path.is_file() {
            let why = format!(
                "the admin's tool '{tool}' is not there: the setting process_tools says {}",
                path.display()
            );
            return failed("no_such_tool", why);
        }
        let folder = match files.own_folder(&plugin) {
            Ok(folder) => folder,
            Err(fault) => return failed(fault.code(), fault.to_string()),
        };
        let place = quotas.wait(Quota::Processes, limits.processes.max(1) as u64).await;
        let left = call.meter.deadline().map(|it| it.saturating_duration_since(Instant::now()));
        let program = Program {
            tool: path,
            arguments,
            folder,
            input,
            timeout: left.map_or(timeout, |it| it.min(timeout)),
            max_output_bytes: usize::try_from(limits.process_output_mib << 20).unwrap_or(usize::MAX),
            max_memory_bytes: limits.process_memory_mib << 20,
            max_file_bytes: limits.files_mib << 20,
        };
        let changed = Changed(files, plugin);
        let running = Running(runtime.spawn(async move {
            let (_place, _changed) = (place, changed);
            process::run(program).await
        }));
        // A killed call's future lives until its VM collects garbage; the program must not.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        call.keep(number, Box::new(Aborted(running.0.abort_handle())));
        let ended = running.await;
        drop(held);
        drop(call.take_kept(number));
        match ended {
            Ok(ended) => Ok(made(ended)),
            Err(Fault::TooSlow(_)) if own_timeout => failed(
                "timeout",
                format!("{tool}: it ran longer than the {} s it was given", timeout.as_secs_f64()),
            ),
            Err(fault @ (Fault::TooSlow(_) | Fault::TooMuch(_))) => {
                let setting = match fault {
                    Fault::TooSlow(_) => "limits.process_wall_ms",
                    _ => "limits.process_output_mib",
                };
                let why = format!("{tool}: {fault} ({setting})");
                call.mark_because(Mark::Limit, &why);
                quotas.refuse(Quota::Processes);
                failed("limit", why)
            }
            Err(fault) => failed("process", format!("{tool}: {fault}")),
        }
    })
}

fn arguments(args: &mut Args) -> Result<Vec<String>, Raise> {
    let wrong = |args: &Args, what: &str| args.wrong_because("arguments", what);
    let table = match args.any() {
        Value::Nil => return Ok(Vec::new()),
        Value::Table(table) => table,
        _ => return Err(wrong(args, "must be a list of texts")),
    };
    let (mut found, mut bytes) = (Vec::new(), 0);
    for value in table.sequence_values::<Value>() {
        let text = match value? {
            Value::String(text) => {
                text.to_str().map(|it| it.to_owned()).map_err(|_| wrong(args, "must be UTF-8"))?
            }
            Value::Integer(number) => number.to_string(),
            Value::Number(number) => number.to_string(),
            _ => return Err(wrong(args, "must be a list of texts")),
        };
        bytes += text.len();
        if text.contains('\0') {
            return Err(wrong(args, "must not contain the byte 0"));
        }
        if found.len() == MAX_ARGUMENTS || bytes > MAX_ARGUMENT_BYTES {
            return Err(wrong(
                args,
                &format!("must be at most {MAX_ARGUMENTS} of {MAX_ARGUMENT_BYTES} bytes together"),
            ));
        }
        found.push(text);
    }
    // What stands behind a hole, or under a name, would be left out without a word.
    if table.pairs::<Value, Value>().count() != found.len() {
        return Err(wrong(args, "must be a list without holes and names: one of its values may be nil"));
    }
    Ok(found)
}

fn options(args: &mut Args) -> Result<(Vec<u8>, Option<Duration>), Raise> {
    let table = args.any();
    // Input may be any bytes, so it does not go through the values that are JSON.
    let mut input = Vec::new();
    let rest = match &table {
        Value::Table(table) => {
            let rest = args.lua().create_table()?;
            for pair in table.pairs::<Value, Value>() {
                match pair? {
                    (Value::String(key), Value::String(text)) if key.as_bytes() == *b"stdin" => {
                        input = text.as_bytes().to_vec();
                    }
                    (key, value) => rest.raw_set(key, value)?,
                }
            }
            Value::Table(rest)
        }
        other => other.clone(),
    };
    let options = args.options_of("options", rest, &["stdin", "timeout"])?;
    options.text("stdin")?;
    let timeout = match options.number("timeout", 0.0)? {
        Some(0.0) => return Err(options.wrong("timeout", "must be seconds above 0")),
        seconds => seconds,
    };
    Ok((input, timeout.and_then(|it| Duration::try_from_secs_f64(it).ok())))
}

/// The program that `process_tools` names so.
fn tool_path(tools: &[String], name: &str) -> Option<PathBuf> {
    let mut pairs = tools.iter().filter_map(|it| it.split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, path)| PathBuf::from(path))
}

/// However a program ends, it may have written files of its own, so they are counted anew.
struct Changed(PluginFiles, Arc<str>);

impl Drop for Changed {
    fn drop(&mut self) {
        self.0.forget(&self.1);
    }
}

/// A program that ends with the call.
struct Aborted(AbortHandle);

impl Drop for Aborted {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A program that ends with whoever waits for it.
struct Running(JoinHandle<Result<Ended, Fault>>);

impl Future for Running {
    type Output = Result<Ended, Fault>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        let given_up = |_| Err(Fault::Broken("it was given up".to_owned()));
        std::pin::Pin::new(&mut self.0).poll(cx).map(|it| it.unwrap_or_else(given_up))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn made(ended: Ended) -> Reply {
    Reply::Made(Box::new(move |lua: &Lua| {
        let table = lua.create_table_with_capacity(0, 5)?;
        table.raw_set("code", ended.code)?;
        table.raw_set("signal", ended.signal)?;
        table.raw_set("stdout", lua.create_string(ended.output)?)?;
        table.raw_set("stderr", lua.create_string(ended.error)?)?;
        table.raw_set("duration", ended.took.as_secs_f64())?;
        Ok(Value::Table(table))
    }))
}
