//! The log: `env_logger` with a line for people or a JSON object for machines, on stderr.
//!
//! Whatever a client or a script says stays on its line: control characters are escaped before they are written.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::panic::PanicHookInfo;

use env_logger::Target;
use log::kv::{self, Key, Value, VisitSource};
use log::{Level, Record};
use serde_json::Map;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::config::{LogFormat, Settings};
use crate::services::plugin_logs::PluginLogs;

use super::tee::Tee;

/// Starts the log; what it says of plugins goes to their lines, too. A second call changes nothing.
pub fn init(settings: &Settings, plugins: PluginLogs) {
    let format = settings.log_format;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = env_logger::Builder::new()
        // Its own start and stop are told twice over by ours; `actix_server=info` brings it back.
        .filter_module("actix_server", log::LevelFilter::Warn)
        // What cannot be decoded stands in the track's `probe_error`; a head that cannot be read is its client's fault.
        .filter_module("symphonia", log::LevelFilter::Off)
        .filter_module("actix_http", log::LevelFilter::Off)
        // A folder that is gone cannot be let go of any more; that is as it should be.
        .filter_module("notify", log::LevelFilter::Off)
        .parse_filters(&settings.log)
        .target(Target::Stderr)
        .format(move |out, record| {
            let line = match format {
                LogFormat::Text => text_line(&now(), record, colours),
                LogFormat::Json => json_line(&now(), record),
            };
            out.write_all(line.as_bytes())
        })
        .build();
    let most = log.filter();
    match log::set_boxed_logger(Box::new(Tee { log, plugins })) {
        Ok(()) => {
            log::set_max_level(most);
            std::panic::set_hook(Box::new(log_panic));
        }
        Err(_) => log::debug!("the log was started before"),
    }
}

/// A panic is a line of the log like any other, so that a reader of JSON lines gets it too.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    log::error!(place, thread = thread.name().unwrap_or_default(); "panic: {what}");
}

/// The field whose lines are shown below the record's own, for people: the lines of a script around a fault.
const EXCERPT: &str = "excerpt";

/// One record for people: time, level, target, message, then the fields as `key=value`.
fn text_line(time: &str, record: &Record<'_>, colours: bool) -> String {
    let (dim, bold, off) =
        if colours { ("\x1b[2m", level_colour(record.level()), "\x1b[0m") } else { ("", "", "") };
    let mut line =
        format!("{dim}{time}{off} {bold}{:<5}{off} {dim}{}{off} ", record.level(), short(record.target()));
    escape_into(&mut line, &record.args().to_string());
    let (excerpt, fields): (Vec<_>, Vec<_>) = fields(record).into_iter().partition(|it| it.0 == EXCERPT);
    for (key, value) in fields.into_iter().flat_map(opened) {
        line.push(' ');
        line.push_str(dim);
        escape_into(&mut line, &key);
        line.push('=');
        line.push_str(off);
        let value = match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        // A value that could be taken for more fields stands in quotes.
        if value.is_empty() || value.contains([' ', '=', '"']) {
            escape_into(&mut line, &format!("{value:?}"));
        } else {
            escape_into(&mut line, &value);
        }
    }
    line.push('\n');
    for shown in excerpt.iter().filter_map(|it| it.1.as_str()).flat_map(str::lines) {
        // Set in, so that nothing in it looks like a record.
        line.push_str("    ");
        escape_into(&mut line, shown);
        line.push('\n');
    }
    line
}

/// What a script gave as `fields`, field by field; for a person the word itself says nothing.
fn opened((key, value): (String, serde_json::Value)) -> Vec<(String, serde_json::Value)> {
    match value {
        serde_json::Value::Object(object) if key == "fields" => object.into_iter().collect(),
        value => vec![(key, value)],
    }
}

/// One record for machines: time, level, target, message and every field, flat.
fn json_line(time: &str, record: &Record<'_>) -> String {
    let mut object = Map::new();
    object.insert("time".to_owned(), time.into());
    object.insert("level".to_owned(), record.level().as_str().to_ascii_lowercase().into());
    object.insert("target".to_owned(), record.target().into());
    object.insert("message".to_owned(), record.args().to_string().into());
    for (key, value) in fields(record) {
        // A field may not pass itself off as the record's own.
        let key = if object.contains_key(&key) { format!("field_{key}") } else { key };
        object.insert(key, value);
    }
    let mut line = serde_json::Value::Object(object).to_string();
    line.push('\n');
    line
}

/// The fields of a record, those that say something.
pub(super) fn fields(record: &Record<'_>) -> Vec<(String, serde_json::Value)> {
    struct Fields(Vec<(String, serde_json::Value)>);
    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
            let value = serde_json::to_value(&value).unwrap_or_else(|_| value.to_string().into());
            // What there is nothing to say of is not said.
            if !value.is_null() {
                self.0.push((key.as_str().to_owned(), value));
            }
            Ok(())
        }
    }
    let mut fields = Fields(Vec::new());
    // The visitor never fails, and a source that does has given what it could.
    _ = record.key_values().visit(&mut fields);
    fields.0
}

/// Text that somebody else wrote, safe to show on a terminal and on one line.
pub fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    escape_into(&mut line, text);
    line
}

/// Writes text with every control character, line and paragraph separator and direction mark escaped.
fn escape_into(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

/// `panotti::http::clips` -> `http::clips`: everybody here is panotti.
fn short(target: &str) -> &str {
    target.strip_prefix("panotti::").unwrap_or(target)
}

fn level_colour(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[1;31m",
        Level::Warn => "\x1b[1;33m",
        Level::Info => "\x1b[32m",
        Level::Debug | Level::Trace => "\x1b[36m",
    }
}

/// The present moment to the millisecond, always of one width.
fn now() -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::now_utc().format(FORMAT).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-25T10:00:00.500Z";

    fn record<'a>(message: std::fmt::Arguments<'a>, fields: &'a dyn kv::Source) -> Record<'a> {
        Record::builder()
            .args(message)
            .level(Level::Warn)
            .target("panotti::plugins::manager")
            .key_values(fields)
            .build()
    }

    #[test]
    fn every_time_has_one_width() {
        assert_eq!((now().len(), now().ends_with('Z')), ("2026-01-25T10:00:00.500Z".len(), true));
    }

    #[test]
    fn a_line_for_people_shows_the_fields_behind_the_message() {
        let fields = [
            ("plugin", Value::from("quiet_hours")),
            ("generation", Value::from(3)),
            ("outcome", Value::from("dead line")),
            ("duration_ms", Value::from(1.5)),
            ("request_id", Value::null()),
        ];
        assert_eq!(
            text_line(TIME, &record(format_args!("hook failed"), &fields), false),
            "2026-01-25T10:00:00.500Z WARN  plugins::manager hook failed plugin=quiet_hours generation=3 \
             outcome=\"dead line\" duration_ms=1.5\n"
        );
    }

    #[test]
    fn an_excerpt_stands_below_its_line_and_forges_none() {
        let fields =
            [("excerpt", Value::from("> 1 | x = =\n  2 | \u{1b}[31m")), ("plugin", Value::from("p"))];
        let text = text_line(TIME, &record(format_args!("it fails"), &fields), false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with(" it fails plugin=p"), "{text}");
        assert_eq!(lines[1..], ["    > 1 | x = =", "      2 | \\u{1b}[31m"]);
    }

    #[test]
    fn a_line_for_machines_is_one_flat_object() {
        let fields = [
            ("request_id", Value::from("r1")),
            ("generation", Value::from(3)),
            ("level", Value::from("forged")),
        ];
        assert_eq!(
            json_line(TIME, &record(format_args!("hook failed"), &fields)),
            "{\"time\":\"2026-01-25T10:00:00.500Z\",\"level\":\"warn\",\"target\":\"panotti::plugins::manager\",\
             \"message\":\"hook failed\",\"request_id\":\"r1\",\"generation\":3,\"field_level\":\"forged\"}\n"
        );
    }

    #[test]
    fn nothing_a_script_says_begins_a_line_or_colours_the_terminal() {
        let forged = "x\r\n2026-01-25T10:00:00.500Z ERROR forged \x1b[31mred\u{202e}\u{0}";
        let fields = [("plugin", Value::from("a\nb"))];
        let text = text_line(TIME, &record(format_args!("{forged}"), &fields), false);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("x\\r\\n2026"), "{text}");
        assert!(text.contains("\\u{1b}[31mred\\u{202e}\\u{0} plugin=a\\nb\n"), "{text}");
        let json = json_line(TIME, &record(format_args!("{forged}"), &fields));
        assert_eq!(json.trim_end().chars().filter(|c| c.is_control()).count(), 0);
    }
}
