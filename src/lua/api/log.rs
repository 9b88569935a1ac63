//! `panotti.log`: lines in the server's log, under the plugin's name.

use log::{Level, Record};
use mlua::Table;

use crate::lua::context::ApiContext;

use super::define::{Build, Reply};

/// The target of all lines from plugins.
const TARGET: &str = "plugin";

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let levels = [
        ("debug", "panotti.log.debug", Level::Debug),
        ("info", "panotti.log.info", Level::Info),
        ("warn", "panotti.log.warn", Level::Warn),
        ("error", "panotti.log.error", Level::Error),
    ];
    for (name, path, level) in levels {
        let function = build.function(path, move |_, ctx, args| {
            let text = args.bytes("msg")?.to_string_lossy();
            let fields = args.json("fields")?;
            write(ctx, level, &text, &fields);
            Ok(Reply::Nothing)
        })?;
        module.raw_set(name, function)?;
    }
    Ok(module)
}

fn write(ctx: &ApiContext, level: Level, text: &str, fields: &serde_json::Value) {
    if !log::log_enabled!(target: TARGET, level) {
        return;
    }
    let Some(dropped) = ctx.log_rate.take() else { return };
    let mut room = ctx.limits.log_line_bytes;
    let text = escape(text, &mut room);
    let call = ctx.current.get();
    let hook = call.as_ref().map_or("", |it| it.ctx.hook);
    let request_id = call.as_ref().and_then(|it| it.ctx.caller.request_id.clone()).unwrap_or_default();
    // Fields that fit stay data for whoever reads the log; the rest is shown as far as it goes.
    let text_of_fields = fields.to_string();
    let cut = (text_of_fields.len() > room).then(|| escape(&text_of_fields, &mut room));
    let plugin = &*ctx.plugin;
    let mut pairs: Vec<(&str, log::kv::Value)> =
        vec![("plugin", plugin.into()), ("generation", ctx.generation.into())];
    if !hook.is_empty() {
        pairs.push(("hook", hook.into()));
    }
    if !request_id.is_empty() {
        pairs.push(("request_id", (&*request_id).into()));
    }
    match &cut {
        Some(cut) => pairs.push(("fields", cut.as_str().into())),
        None if !fields.is_null() => pairs.push(("fields", log::kv::Value::from_serde(fields))),
        None => {}
    }
    if dropped > 0 {
        pairs.push(("dropped_lines", dropped.into()));
    }
    let mut record = Record::builder();
    record.level(level).target(TARGET).key_values(&pairs);
    log::logger().log(&record.args(format_args!("{text}")).build());
}

/// `text` in at most `room` bytes, without what could forge lines, move the cursor or turn the reading around.
fn escape(text: &str, room: &mut usize) -> String {
    let mut out = String::with_capacity(text.len().min(*room));
    for it in text.chars() {
        let before = out.len();
        match it {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push('\t'),
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => {
                out.extend(it.escape_unicode());
            }
            it if it.is_control() => out.extend(it.escape_unicode()),
            it => out.push(it),
        }
        if out.len() > *room {
            out.truncate(before);
            out.push('…');
            *room = 0;
            return out;
        }
    }
    *room -= out.len();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_within_its_length() {
        let mut room = 100;
        let line = escape("bad\r\n2026 INFO ok\u{1b}[2J\u{202e}gpj", &mut room);
        assert_eq!(line, "bad\\r\\n2026 INFO ok\\u{1b}[2J\\u{202e}gpj");
        let mut room = 4;
        assert_eq!(escape("äöü", &mut room), "äö…");
        assert_eq!(room, 0);
    }
}
