//! `panotti.log`: lines in the server's log, under the plugin's name.

use log::{Level, Record};
use mlua::Table;
use serde_json::Value as Json;

use crate::lua::context::ApiContext;
use crate::lua::secrets::Secrets;
use crate::model::log_line::LogSource;
use crate::services::plugin_logs::{Said, TARGET};

use super::define::{Build, Reply};

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
            match (&ctx.replay, &ctx.stand_in, &ctx.examiner) {
                (Some(replay), ..) => replay.log(name, &text, &fields),
                (None, Some(stand_in), _) => stand_in.note_line(name, &ctx.secrets.mask(&text), &fields),
                (None, None, Some(examiner)) => examiner.line(name, &text, &fields),
                (None, None, None) => write(ctx, level, &text, &fields),
            }
            Ok(Reply::Nothing)
        })?;
        module.raw_set(name, function)?;
    }
    Ok(module)
}

fn write(ctx: &ApiContext, level: Level, text: &str, fields: &Json) {
    let is_shown = log::log_enabled!(target: TARGET, level);
    if !ctx.log.may_say(is_shown) {
        return;
    }
    let mut room = ctx.limits.log_line_bytes;
    let text = escape(&ctx.secrets.mask(text), &mut room);
    let call = ctx.current.get();
    let hook = call.as_ref().map_or("", |it| it.ctx.hook);
    let request_id = call.as_ref().and_then(|it| it.ctx.caller.request_id.clone()).unwrap_or_default();
    let fields = clean(&ctx.secrets, fields, &mut room);
    let said = Said {
        generation: Some(ctx.generation),
        hook: Some(hook.to_owned()).filter(|it| !it.is_empty()),
        request_id: Some(request_id.to_string()).filter(|it| !it.is_empty()),
        message: text.clone(),
        fields: fields.clone(),
    };
    ctx.log.say(LogSource::Plugin, level.into(), said);
    if !is_shown {
        return;
    }
    let plugin = &*ctx.plugin;
    let mut pairs: Vec<(&str, log::kv::Value)> =
        vec![("plugin", plugin.into()), ("generation", ctx.generation.into())];
    if !hook.is_empty() {
        pairs.push(("hook", hook.into()));
    }
    if let Some(schedule) = call.as_ref().and_then(|it| it.ctx.schedule.as_deref()) {
        pairs.push(("schedule", schedule.into()));
    }
    if !request_id.is_empty() {
        pairs.push(("request_id", (&*request_id).into()));
    }
    if !fields.is_null() {
        pairs.push(("fields", log::kv::Value::from_serde(&fields)));
    }
    let mut record = Record::builder();
    record.level(level).target(TARGET).key_values(&pairs);
    log::logger().log(&record.args(format_args!("{text}")).build());
}

/// The fields, each text in them escaped; once `room` is used up the rest is left out.
fn clean(secrets: &Secrets, value: &Json, room: &mut usize) -> Json {
    match value {
        Json::String(text) => escape(&secrets.mask(text), room).into(),
        Json::Array(items) => {
            items.iter().map_while(|it| (*room > 0).then(|| clean(secrets, it, room))).collect()
        }
        Json::Object(map) => {
            let fields = map.iter().map_while(|(key, it)| {
                (*room > 0).then(|| (escape(&secrets.mask(key), room), clean(secrets, it, room)))
            });
            Json::Object(fields.collect())
        }
        scalar => {
            // About what it takes in the line.
            *room = room.saturating_sub(8);
            scalar.clone()
        }
    }
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
        let mut room = 40;
        let fields = clean(
            &Secrets::default(),
            &serde_json::json!({"a\n": ["x\u{7}", 1], "b": null, "long": "y".repeat(99), "z": 1}),
            &mut room,
        );
        assert_eq!(fields["a\\n"], serde_json::json!(["x\\u{7}", 1]));
        assert!(fields.get("z").is_none() && room == 0, "{fields}");
    }
}
