//! What a check has to say, each with its place.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The plugin does not load, or fails when it comes to this place.
    Error,
    /// It runs, and something is probably not meant so.
    Warning,
    /// Something could not be looked at; counts as nothing found.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The plugin's name.
    pub plugin: String,
    /// Path inside the plugin's folder; none when it concerns the folder itself.
    pub file: Option<String>,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// Column in characters, counted from 1, where it is known.
    pub column: Option<u32>,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing: `manifest`, `config`, `syntax`, `unknown-name`, `unknown-hook`, `unheard-hook`, `unknown-field`,
    /// `arguments`, `permission`, `unused-permission`, `require`, `migration`, `folder`, `not-read`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The lines around it, the line marked.
    pub excerpt: Option<String>,
    /// What to write instead, when that is known.
    pub hint: Option<String>,
}

impl Finding {
    /// Something about `plugin`, without a place yet.
    pub fn new(plugin: &str, severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Finding {
            plugin: plugin.to_owned(),
            file: None,
            line: None,
            column: None,
            severity,
            code,
            message: message.into(),
            excerpt: None,
            hint: None,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}
