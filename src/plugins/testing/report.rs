//! What came of tests.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::ScriptFault;
use crate::lua::replay::LogLine;

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestReport {
    /// Where chance began; the same number gives the same run.
    pub seed: u64,
    /// Plugin by plugin.
    pub plugins: Vec<PluginTests>,
    /// All of them together.
    pub summary: TestSummary,
}

/// The tests of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginTests {
    /// Its name.
    pub plugin: String,
    /// File by file.
    pub files: Vec<TestFile>,
}

/// The tests of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestFile {
    /// Its path in the plugin's folder.
    pub file: String,
    /// Case by case, in the order of the file.
    pub cases: Vec<TestCase>,
    /// Why it does not load; null when it does.
    pub failure: Option<TestFailure>,
}

/// One case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestCase {
    /// What it is called.
    pub name: String,
    /// The line on which it stands.
    pub line: Option<u32>,
    /// Whether all went as it says.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// What went otherwise.
    pub failure: Option<TestFailure>,
    /// What the plugin logged, when the case failed: `{level, message, fields}`.
    #[schema(value_type = Vec<Object>)]
    pub log: Vec<Value>,
}

/// Why a case failed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestFailure {
    /// What is wrong, in a line.
    pub message: String,
    /// What differs, a line each.
    pub detail: Option<String>,
    /// The file in which it was noticed.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// The lines around it, the one marked.
    pub excerpt: Option<String>,
    /// What to do about it, when that is known.
    pub hint: Option<String>,
    /// The script's own frames.
    pub traceback: Option<String>,
}

/// How many there were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TestSummary {
    /// Plugins that have tests.
    pub plugins: usize,
    /// Cases that were run.
    pub cases: usize,
    /// Of these, those that went well.
    pub ok: usize,
    /// Cases that failed, and files that do not load.
    pub failed: usize,
    /// Whether it ended before all were run: the time was over.
    pub cut: bool,
    /// How long all took, in milliseconds.
    pub took_ms: f64,
}

impl TestFailure {
    /// One that has no place.
    pub(super) fn plain(message: impl Into<String>) -> Self {
        TestFailure { message: message.into(), ..TestFailure::default() }
    }

    /// What a script failed with.
    pub(super) fn of(fault: ScriptFault) -> Self {
        TestFailure {
            message: fault.message,
            detail: None,
            file: fault.file,
            line: fault.line,
            excerpt: fault.excerpt,
            hint: fault.hint,
            traceback: fault.traceback,
        }
    }
}

impl TestReport {
    /// Counts what is in it.
    pub(super) fn sum_up(&mut self, took_ms: f64, cut: bool) {
        let files = || self.plugins.iter().flat_map(|it| &it.files);
        let cases = files().map(|it| it.cases.len()).sum();
        let ok = files().flat_map(|it| &it.cases).filter(|it| it.ok).count();
        let broken = files().filter(|it| it.failure.is_some()).count();
        let plugins = self.plugins.len();
        self.summary = TestSummary { plugins, cases, ok, failed: cases - ok + broken, cut, took_ms };
    }
}

/// A line of the log as it is told.
pub(super) fn line(it: &LogLine) -> Value {
    serde_json::to_value(it).unwrap_or_default()
}
