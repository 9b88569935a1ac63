//! What the server's log says of a plugin goes to the lines of that plugin, too, within a rate.

use std::sync::Arc;

use log::kv::Key;
use log::{Level, Log, Metadata, Record};
use serde_json::{Map, Value};

use crate::http::ACCESS;
use crate::model::log_line::LogSource;
use crate::services::plugin_logs::{PluginLog, PluginLogs, Said, TARGET};

use super::lines::Lines;
use super::logging::fields;

/// The most of a text that is kept.
const TEXT_CHARS: usize = 8192;

/// Makes a line of a record.
pub(super) type Format = Arc<dyn Fn(&Record<'_>) -> String + Send + Sync>;

/// The server's log, and beside it the lines of plugins.
pub(super) struct Tee {
    /// What is said at all.
    pub(super) filter: env_logger::Logger,
    pub(super) format: Format,
    pub(super) lines: Lines,
    pub(super) plugins: PluginLogs,
}

impl Log for Tee {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.filter.matches(record) {
            return;
        }
        // What a plugin says itself is kept where it says it.
        if record.target() != TARGET
            && let Some(plugin) = self.plugin_of(record)
        {
            // A plugin that fails all the time must not fill a disk; what stops it is told in any case.
            let about_task = record.key_values().get(Key::from_str("task")).is_some();
            if record.level() > Level::Error && !plugin.server_may_say(about_task) {
                return;
            }
            plugin.say(LogSource::Server, record.level().into(), said(record));
        }
        let line = (self.format)(record);
        // What is not said of every request may be the last that is said: the server may be about to die of it.
        match record.target() == ACCESS {
            true => self.lines.gather(&line),
            false => self.lines.write(&line),
        }
    }

    fn flush(&self) {
        self.lines.flush();
    }
}

impl Tee {
    fn plugin_of(&self, record: &Record<'_>) -> Option<Arc<PluginLog>> {
        let plugin = record.key_values().get(Key::from_str("plugin"))?;
        match plugin.to_borrowed_str() {
            Some(name) => self.plugins.known(name),
            None => self.plugins.known(&plugin.to_string()),
        }
    }
}

fn said(record: &Record<'_>) -> Said {
    let mut rest: Map<String, Value> = fields(record).into_iter().collect();
    rest.remove("plugin");
    let mut text = |key: &str| match rest.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (hook, request_id) = (text("hook"), text("request_id"));
    let generation = rest.remove("generation").and_then(|it| it.as_u64());
    rest.values_mut().for_each(cut);
    Said {
        generation,
        hook,
        request_id,
        message: record.args().to_string().chars().take(TEXT_CHARS).collect(),
        fields: if rest.is_empty() { Value::Null } else { Value::Object(rest) },
    }
}

fn cut(value: &mut Value) {
    if let Value::String(text) = value
        && let Some((end, _)) = text.char_indices().nth(TEXT_CHARS)
    {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use log::kv::Value as Kv;

    use super::*;
    use crate::app::lines::tests::{Seen, lines_to};
    use crate::clock::SystemClock;
    use crate::config::Settings;
    use crate::services::plugin_logs::WantedLines;

    fn tee(level: log::LevelFilter, plugins: &PluginLogs) -> Tee {
        let filter = env_logger::Builder::new().filter_level(level).build();
        let lines = lines_to(&Seen::default());
        Tee { filter, format: Arc::new(|_| String::new()), lines, plugins: plugins.clone() }
    }

    #[test]
    fn lines_of_requests_are_out_when_the_log_is_flushed_and_before_any_other_line() {
        let plugins = PluginLogs::new(Settings::default().logs, Arc::new(SystemClock));
        let seen = Seen::default();
        let lines = lines_to(&seen);
        let format = Arc::new(|record: &Record<'_>| format!("{}\n", record.args()));
        let tee = Tee { format, lines, ..tee(log::LevelFilter::Info, &plugins) };
        let say = |target: &str, text: &str| {
            let mut record = Record::builder();
            record.level(Level::Info).target(target);
            tee.log(&record.args(format_args!("{text}")).build());
        };
        ["1", "2", "3"].into_iter().for_each(|it| say(ACCESS, it));
        say("panotti::app", "other");
        assert_eq!(seen.0.lock().0, "1\n2\n3\nother\n");
        say(ACCESS, "4");
        tee.flush();
        assert_eq!(seen.0.lock().0, "1\n2\n3\nother\n4\n");
    }

    #[test]
    fn tasks_that_fail_in_crowds_hide_nothing_else_that_is_said_of_a_plugin() {
        let plugins = PluginLogs::new(Settings::default().logs, Arc::new(SystemClock));
        plugins.of(&"bomb".into());
        let tee = tee(log::LevelFilter::Info, &plugins);
        let say = |fields: &[(&str, Kv<'_>)], text: &str| {
            let mut record = Record::builder();
            record.level(Level::Warn).target("panotti::lua").key_values(&fields);
            tee.log(&record.args(format_args!("{text}")).build());
        };
        let task = [("plugin", Kv::from("bomb")), ("task", Kv::from(true))];
        (0..5_000).for_each(|_| say(&task, "a task failed"));
        say(&task[..1], "the call ran out of time");
        let page = plugins.read(&WantedLines::of(Some("bomb".to_owned())));
        assert_eq!(page.items.last().unwrap().message, "the call ran out of time");
    }

    #[test]
    fn what_is_said_of_a_plugin_is_kept_with_its_fields_and_what_the_plugin_says_is_not_kept_twice() {
        let plugins = PluginLogs::new(Settings::default().logs, Arc::new(SystemClock));
        plugins.of(&"quiet".into());
        let silent = tee(log::LevelFilter::Off, &plugins);
        let tee = tee(log::LevelFilter::Info, &plugins);
        let fields = [
            ("plugin", Kv::from("quiet")),
            ("generation", Kv::from(3)),
            ("hook", Kv::from("on_load")),
            ("outcome", Kv::from("runtime")),
        ];
        let say = |tee: &Tee, target: &str, level: Level| {
            let mut record = Record::builder();
            record.level(level).target(target).key_values(&fields);
            tee.log(&record.args(format_args!("it fails")).build());
        };
        say(&tee, "panotti::plugins", Level::Warn);
        say(&tee, "panotti::plugins", Level::Debug);
        say(&tee, TARGET, Level::Warn);
        say(&silent, "panotti::plugins", Level::Warn);
        let page = plugins.read(&WantedLines::of(Some("quiet".to_owned())));
        assert_eq!(page.items.len(), 1, "{page:?}");
        let line = &page.items[0];
        assert_eq!(
            (line.generation, line.hook.as_deref(), &*line.message),
            (Some(3), Some("on_load"), "it fails")
        );
        assert_eq!(line.fields, serde_json::json!({ "outcome": "runtime" }));
        assert!(plugins.known("other").is_none());
    }
}
