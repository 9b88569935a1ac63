//! What the doctor has to say: each with how bad it is and what to do.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and will not always.
    Warning,
    /// Something does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `settings`, `data-folder`, `database`, `secrets`, `plugins`, `port`, `certificate`, `clock`, `leftovers`,
    /// `limits`, `tools`, `server`, `versions`.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// Everything that was found so far.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// As it should be.
    pub fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.0.push(Finding { check, level: Level::Ok, message: message.into(), remedy: None });
    }

    /// Works, and will not always.
    pub fn warning(&mut self, check: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, Level::Warning, message.into(), remedy.into());
    }

    /// Does not work.
    pub fn problem(&mut self, check: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(check, Level::Problem, message.into(), remedy.into());
    }

    /// Whether nothing but good was said of a check so far.
    pub fn is_fine(&self, check: &str) -> bool {
        self.0.iter().all(|it| it.check != check || it.level == Level::Ok)
    }

    /// How many are of a level.
    pub fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|it| it.level == level).count()
    }

    fn add(&mut self, check: &'static str, level: Level, message: String, remedy: String) {
        self.0.push(Finding { check, level, message, remedy: Some(remedy) });
    }
}

impl Level {
    /// The word before a line.
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "problem",
        }
    }
}
