//! Errors of scripts as their authors read them: file, line, excerpt, hint, the script's own frames.

use std::fmt::Write;

use mlua::Error;

use crate::error::ScriptFault;
use crate::hooks::CallFailure;
use crate::model::call::Outcome;

use super::context::ApiContext;
use super::guards;
use super::require::Modules;

/// Frames of a traceback that are shown.
const MAX_FRAMES: usize = 20;

/// Frames without which no stack can have overflowed: Luau allows 200 nested calls through its host.
const DEEP: usize = 190;

const TRACEBACK: &str = "stack traceback:";

/// A failure that has no place in a script.
pub fn plain(context: &ApiContext, outcome: Outcome, hook: Option<&str>, message: &str) -> CallFailure {
    let fault = ScriptFault {
        outcome: outcome.as_str().to_owned(),
        hook: hook.map(str::to_owned),
        message: clean(&context.secrets.mask(message), context.limits.error_text_bytes),
        ..ScriptFault::default()
    };
    CallFailure { outcome, fault, generation: context.generation }
}

/// What `error` says about the script.
pub fn of_error(
    context: &ApiContext,
    modules: &Modules,
    outcome: Outcome,
    hook: &str,
    error: &Error,
) -> CallFailure {
    let (text, traceback) = split(error);
    let traceback = modules.traceback_of(&text).unwrap_or(traceback);
    let frames = own_frames(modules, &traceback);
    let (place, message) = place(modules, &text);
    let full = (outcome == Outcome::Memory).then(|| {
        format!(
            "not enough memory: a VM of the plugin may use {} MiB (limits.memory_mib)",
            context.limits.memory_mib
        )
    });
    let message = full.as_deref().unwrap_or(message);
    let place = place.or_else(|| frames.first().map(|it| (it.file.to_owned(), it.line)));
    let raised = raised_value(message).map(|kind| format!("the script raised a {kind}, which has no text"));
    let mut failure = plain(context, outcome, Some(hook), raised.as_deref().unwrap_or(message));
    let fault = &mut failure.fault;
    if let Some((file, line)) = place {
        let source = modules.text(&file).unwrap_or_default();
        fault.excerpt = excerpt(source, line);
        let faulty = source.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
        fault.hint = hint(outcome, message, faulty);
        fault.file = Some(file);
        fault.line = Some(line);
    }
    if raised.is_some() {
        fault.hint = Some("Raise a text: of a failure that the host gave, error(err.message).".to_owned());
    }
    if !frames.is_empty() {
        let shown: Vec<&str> = frames.iter().map(|it| it.text).take(MAX_FRAMES).collect();
        fault.traceback = Some(clean_lines(&shown.join("\n"), context.limits.error_text_bytes));
    }
    failure
}

/// Why a file does not compile.
pub(super) fn of_source(modules: &Modules, file: &str, error: &Error) -> ScriptFault {
    let (text, _) = split(error);
    let (place, message) = place(modules, &text);
    let line = place.map(|(_, line)| line);
    let source = modules.text(file).unwrap_or_default();
    let faulty = line.and_then(|it| source.lines().nth(it.saturating_sub(1) as usize)).unwrap_or_default();
    ScriptFault {
        outcome: Outcome::Syntax.as_str().to_owned(),
        file: Some(file.to_owned()),
        line,
        message: clean(message, 1024),
        excerpt: line.and_then(|it| excerpt(source, it)),
        hint: hint(Outcome::Syntax, message, faulty),
        ..ScriptFault::default()
    }
}

/// The kind of a raised value that is no text: Luau tells it as `table: 0x0123`, an address nobody should see.
fn raised_value(message: &str) -> Option<&str> {
    let (kind, address) = message.split_once(": 0x")?;
    let is_address = address.bytes().all(|it| it.is_ascii_hexdigit());
    (is_address && ["table", "function", "userdata", "thread", "buffer"].contains(&kind)).then_some(kind)
}

/// Whether the VM could not allocate; Luau tells it by a status of its own, not by a text.
pub fn is_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. }
        | Error::WithContext { cause, .. }
        | Error::BadArgument { cause, .. } => is_memory(cause),
        _ => false,
    }
}

/// Whether the stack was full. A text alone does not count: the host's own traceback must be as deep.
pub fn is_stack(error: &Error) -> bool {
    let (text, traceback) = split(error);
    text.contains("stack overflow") && (traceback.contains("(skipping ") || traceback.lines().count() >= DEEP)
}

/// The message of an error, with its place and without the host's traceback.
pub fn text_of(error: &Error) -> String {
    split(error).0
}

/// The message and the host's traceback of an error.
/// The same, and the traceback.
pub(super) fn split(error: &Error) -> (String, String) {
    let mut error = error;
    let mut traceback = None;
    loop {
        match error {
            Error::CallbackError { traceback: own, cause } => {
                traceback.get_or_insert_with(|| own.clone());
                error = cause;
            }
            Error::WithContext { cause, .. } => error = cause,
            _ => break,
        }
    }
    let text = match error {
        Error::RuntimeError(text) | Error::MemoryError(text) => text.clone(),
        Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    };
    // The last traceback is the host's; a script may have put another one into its message.
    let (text, own) = match text.rfind(TRACEBACK) {
        Some(at) => (text[..at].trim_end().to_owned(), text[at + TRACEBACK.len()..].to_owned()),
        None => (text, String::new()),
    };
    (text, traceback.unwrap_or(own))
}

/// `file:line: message` as its parts, when the file is one of the plugin's.
fn place<'a>(modules: &Modules, text: &'a str) -> (Option<(String, u32)>, &'a str) {
    let parsed = text.split_once(": ").and_then(|(head, message)| {
        let (file, line) = head.rsplit_once(':')?;
        modules.text(file)?;
        Some(((file.to_owned(), line.parse().ok()?), message))
    });
    match parsed {
        Some((place, message)) => (Some(place), message),
        None => (None, text),
    }
}

struct Frame<'a> {
    text: &'a str,
    file: &'a str,
    line: u32,
}

fn own_frames<'a>(modules: &Modules, traceback: &'a str) -> Vec<Frame<'a>> {
    let frames = traceback.lines().map(str::trim).filter_map(|text| {
        let mut parts = text.splitn(3, ':');
        let (file, line) = (parts.next()?, parts.next()?.trim().parse().ok()?);
        modules.text(file).map(|_| Frame { text, file, line })
    });
    frames.take(MAX_FRAMES).collect()
}

/// The lines around the faulty one, which is marked.
pub(super) fn excerpt(source: &str, line: u32) -> Option<String> {
    let line = line as usize;
    if line == 0 || line > source.lines().count() {
        return None;
    }
    let first = line.saturating_sub(2).max(1);
    let mut out = String::new();
    for (number, text) in
        source.lines().enumerate().map(|(it, text)| (it + 1, text)).skip(first - 1).take(line + 3 - first)
    {
        let mark = if number == line { '>' } else { ' ' };
        let shown: String = text.chars().take(160).collect();
        let _ = writeln!(out, "{mark} {number:>4} | {}", clean(&shown, 512));
    }
    Some(out.trim_end().to_owned())
}

/// What Luau does not have, and what to write instead.
const FOREIGN: &[(&str, &str)] = &[
    ("<const>", "Luau has no <const>; write a plain local"),
    ("<close>", "Luau has no <close>; call the closing function yourself, after pcall if need be"),
    ("goto ", "Luau has no goto; use continue, break, or a function that returns"),
    ("<<", "Luau has no <<; use bit32.lshift(a, n)"),
    (">>", "Luau has no >>; use bit32.rshift(a, n)"),
    ("&", "Luau has no &; use bit32.band(a, b), or `and` for conditions"),
    ("|", "Luau has no | between values; use bit32.bor(a, b), or `or` for conditions"),
    ("!=", "not equal is written ~="),
    ("::", "Luau has no labels; use continue or break"),
    ("~", "Luau has no bitwise ~; use bit32.bxor(a, b) or bit32.bnot(a)"),
];

fn hint(outcome: Outcome, message: &str, line: &str) -> Option<String> {
    let code = line.split("--").next().unwrap_or(line);
    if outcome == Outcome::Syntax {
        let found = FOREIGN.iter().find(|(sign, _)| code.replace("~=", "").contains(sign));
        return found.map(|(_, instead)| (*instead).to_owned());
    }
    if message.contains("nil") || message.contains("require") {
        return guards::hint_for(code);
    }
    None
}

/// At most `max` bytes of one line; control characters are escaped.
pub fn clean(text: &str, max: usize) -> String {
    escape(text, max, |it| it.is_control())
}

fn clean_lines(text: &str, max: usize) -> String {
    escape(text, max, |it| it.is_control() && it != '\n' && it != '\t')
}

fn escape(text: &str, max: usize, escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    for it in text.chars() {
        // What turns the direction of writing would make a log line lie about its order.
        let turns = matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        let before = out.len();
        if escaped(it) || turns {
            out.extend(it.escape_default());
        } else {
            out.push(it);
        }
        if out.len() > max {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}
