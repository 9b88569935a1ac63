//! The log: `env_logger` with a line for people or a JSON object for machines, on stderr.
//!
//! Whatever a client or a script says stays on its line: control characters are escaped before they are written.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::Arc;

use log::Record;
use log::kv::{self, Key, Value, VisitSource};
use serde_json::Map;

use crate::clock::{Clock, SystemClock};
use crate::config::{LogFormat, Settings};
use crate::model::time::{TimeText, Timestamp};
use crate::services::plugin_logs::PluginLogs;

use super::lines::{Lines, TellLost};
use super::tee::{Format, Tee};
use super::text_line::{escape_into, text_line};

/// Starts the log; what it says of plugins goes to their lines, too. A second call changes nothing.
pub fn init(settings: &Settings, plugins: PluginLogs) {
    let format = settings.log_format;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let filter = env_logger::Builder::new()
        // Its own start and stop are told twice over by ours; `actix_server=info` brings it back.
        .filter_module("actix_server", log::LevelFilter::Warn)
        // What cannot be decoded stands in the track's `probe_error`; a head that cannot be read is its client's fault.
        .filter_module("symphonia", log::LevelFilter::Off)
        .filter_module("actix_http", log::LevelFilter::Off)
        // A folder that is gone cannot be let go of any more; that is as it should be.
        .filter_module("notify", log::LevelFilter::Off)
        .parse_filters(&settings.log)
        .build();
    let most = filter.filter();
    let format: Format = Arc::new(move |record: &Record<'_>| match format {
        LogFormat::Text => text_line(now().as_str(), record, colours),
        LogFormat::Json => json_line(now().as_str(), record),
    });
    let most_bytes = settings.logs.buffer_kib << 10;
    let lines = Lines::to(Box::new(std::io::stderr()), most_bytes, tell_lost(Arc::clone(&format)));
    match log::set_boxed_logger(Box::new(Tee { filter, format, lines, plugins })) {
        Ok(()) => {
            log::set_max_level(most);
            std::panic::set_hook(Box::new(log_panic));
        }
        Err(_) => log::debug!("the log was started before"),
    }
}

/// The line about lines for which there was no room.
fn tell_lost(format: Format) -> TellLost {
    Box::new(move |lost| {
        let message = format!(
            "{lost} lines of this log are lost: whoever reads it was too slow (logs.buffer_kib), or it could not be written"
        );
        let mut record = Record::builder();
        record.level(log::Level::Warn).target(module_path!());
        format(&record.args(format_args!("{message}")).build())
    })
}

/// A panic is a line of the log like any other, so that a reader of JSON lines gets it too.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    log::error!(place, thread = thread.name().unwrap_or_default(); "panic: {what}");
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

/// The present moment to the millisecond, always of one width.
fn now() -> TimeText {
    Timestamp(SystemClock.now_us()).text_to_ms()
}

#[cfg(test)]
pub(super) mod tests {
    use log::Level;

    use super::*;

    pub(in crate::app) const TIME: &str = "2026-01-25T10:00:00.500Z";

    pub(in crate::app) fn record<'a>(
        message: std::fmt::Arguments<'a>,
        fields: &'a dyn kv::Source,
    ) -> Record<'a> {
        Record::builder()
            .args(message)
            .level(Level::Warn)
            .target("panotti::plugins::manager")
            .key_values(fields)
            .build()
    }

    #[test]
    fn every_time_has_one_width() {
        assert_eq!((now().as_str().len(), now().as_str().ends_with('Z')), (TIME.len(), true));
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
