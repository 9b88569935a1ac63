//! One line of what is said by a plugin, or by the server of a plugin.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::time::Timestamp;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For whoever looks for a fault.
    Debug,
    /// What is going on.
    Info,
    /// Something is odd.
    Warn,
    /// Something has failed.
    Error,
}

/// Who said a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogSource {
    /// The plugin, by `panotti.log` or `print`.
    Plugin,
    /// The server, of the plugin.
    Server,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LogLine {
    /// Its place among the lines of all plugins: later ones are higher, also after a restart of the server.
    pub id: i64,
    /// When (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The plugin.
    pub plugin: String,
    /// Who said it.
    pub source: LogSource,
    /// The generation that said it, or of which it is said; null where none is concerned.
    pub generation: Option<u64>,
    /// The hook that ran, if one did.
    pub hook: Option<String>,
    /// The request that set it off, if one did.
    pub request_id: Option<String>,
    /// The text.
    pub message: String,
    /// What else was said, by name; null without.
    #[schema(value_type = Option<Object>)]
    pub fields: Value,
}

impl LogLevel {
    /// All of them, the least first.
    pub const ALL: [LogLevel; 4] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        }
    }

    /// The level of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        LogLevel::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

impl From<log::Level> for LogLevel {
    fn from(level: log::Level) -> Self {
        match level {
            log::Level::Error => LogLevel::Error,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Info => LogLevel::Info,
            log::Level::Debug | log::Level::Trace => LogLevel::Debug,
        }
    }
}

impl LogLine {
    /// About the bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let text = |it: &Option<String>| it.as_ref().map_or(0, String::len);
        // A row of its own, with the places of its texts.
        200 + self.plugin.len()
            + self.message.len()
            + text(&self.hook)
            + text(&self.request_id)
            + weight_of(&self.fields)
    }

    /// Whether `text`, in lower case, stands in the message, the hook or the fields.
    pub fn contains(&self, text: &str) -> bool {
        let has = |it: &str| it.to_lowercase().contains(text);
        has(&self.message)
            || self.hook.as_deref().is_some_and(has)
            || !self.fields.is_null() && has(&self.fields.to_string())
    }
}

fn weight_of(value: &Value) -> usize {
    match value {
        Value::String(text) => 32 + text.len(),
        Value::Array(items) => 32 + items.iter().map(weight_of).sum::<usize>(),
        Value::Object(map) => 32 + map.iter().map(|(key, it)| 64 + key.len() + weight_of(it)).sum::<usize>(),
        _ => 32,
    }
}
