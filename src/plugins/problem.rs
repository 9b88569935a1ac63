//! What keeps a plugin from running, told to its author: every fault at once, each with its place.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Code, Error, FieldError, ScriptFault};
use crate::hooks::CallFailure;
use crate::lua::secrets::Secrets;
use crate::model::call::Outcome;

/// Lines shown before and after the faulty one.
const AROUND: usize = 2;

/// One fault of a folder or a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path inside the plugin's folder; empty when it concerns the folder itself.
    pub file: String,
    /// Line, counted from 1.
    pub line: Option<usize>,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => write!(f, "{}", self.message),
            (file, None) => write!(f, "{file}: {}", self.message),
            (file, Some(line)) => write!(f, "{file}:{line}: {}", self.message),
        }
    }
}

/// Why a plugin does not run.
#[derive(Debug, Clone)]
pub struct LoadFault {
    /// `syntax` for what cannot be read, `limit` for what is too large, `skipped` for what was not tried,
    /// and what the script came to otherwise.
    pub outcome: Outcome,
    /// The first problem, or the script's own fault.
    pub script: ScriptFault,
    /// All problems, in the order of the file.
    pub problems: Vec<Problem>,
    /// Whether the log has it already.
    pub logged: bool,
    /// The error it is answered as, when that is not the plugin's fault.
    pub code: Option<Code>,
}

impl LoadFault {
    /// A fault about the folder as a whole, and the remedy.
    pub fn of_folder(outcome: Outcome, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let problem = Problem { file: String::new(), line: None, message: message.into() };
        let mut fault = Self::of_problems(outcome, vec![problem], None);
        fault.script.hint = Some(hint.into());
        fault
    }

    /// Problems of one file, whose text gives the excerpt.
    pub fn of_problems(outcome: Outcome, problems: Vec<Problem>, text: Option<&str>) -> Self {
        let mut script = ScriptFault { outcome: outcome.as_str().to_owned(), ..ScriptFault::default() };
        script.hook = Some("load".to_owned());
        if let Some((first, rest)) = problems.split_first() {
            script.file = Some(first.file.clone()).filter(|it| !it.is_empty());
            script.line = first.line.and_then(|it| u32::try_from(it).ok());
            script.message.clone_from(&first.message);
            for other in rest {
                script.message.push_str(&format!("\n{other}"));
            }
            script.excerpt = first.line.zip(text).and_then(|(line, text)| excerpt(text, line));
        }
        LoadFault { outcome, script, problems, logged: false, code: None }
    }

    /// What the host said of the script.
    pub fn of_call(failure: CallFailure) -> Self {
        LoadFault {
            outcome: failure.outcome,
            script: failure.fault,
            problems: Vec::new(),
            logged: false,
            code: None,
        }
    }

    /// What the store could not keep.
    pub fn of_store(error: Error) -> Self {
        let hint = error.hint.unwrap_or_else(|| error.code.hint().to_owned());
        let mut fault = Self::of_folder(Outcome::Skipped, error.detail, hint);
        fault.code = Some(error.code);
        fault
    }

    /// The same fault without the secret values of a config that its excerpt may show.
    pub fn hiding(mut self, keys: Arc<[String]>, config: &Value) -> Self {
        let secrets = Secrets::new(keys, config);
        self.script.excerpt = self.script.excerpt.map(|it| secrets.mask(&it).into_owned());
        self
    }

    /// The same fault, which the log has already.
    pub fn already_logged(mut self) -> Self {
        self.logged = true;
        self
    }

    /// The answer to somebody who wanted the plugin to run.
    pub fn into_error(self, plugin: &str) -> Error {
        if let Some(code) = self.code {
            return Error { hint: self.script.hint, ..Error::new(code, self.script.message) };
        }
        let mut error =
            Error::new(Code::PluginLoadFailed, format!("plugin `{plugin}` does not load: {}", self.script));
        error.hint.clone_from(&self.script.hint);
        error.errors = self
            .problems
            .iter()
            .map(|it| FieldError { pointer: place(it), message: it.message.clone() })
            .collect();
        error.script = Some(Box::new(self.script));
        error
    }
}

impl fmt::Display for LoadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.script)?;
        match &self.script.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

fn place(problem: &Problem) -> String {
    match problem.line {
        Some(line) => format!("{}:{line}", problem.file),
        None => problem.file.clone(),
    }
}

/// The lines around `line`, that one marked.
pub(super) fn excerpt(text: &str, line: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(line.checked_sub(1)?)?;
    let from = line.saturating_sub(AROUND + 1);
    let shown = lines.iter().enumerate().skip(from).take(line + AROUND - from);
    let marked = shown.map(|(index, content)| {
        let mark = if index + 1 == line { '>' } else { ' ' };
        let content: String = content.chars().take(200).collect();
        format!("{mark} {:>4} | {content}", index + 1)
    });
    Some(marked.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_or_the_disk_says_keeps_its_remedy() {
        let gone = Error::new(Code::Conflict, "It is gone.").with_hint("Put it back.");
        let fault = LoadFault::of_store(gone);
        assert_eq!(fault.script.hint.as_deref(), Some("Put it back."));
        let error = fault.into_error("p");
        assert_eq!((error.code, error.hint.as_deref()), (Code::Conflict, Some("Put it back.")));
    }

    #[test]
    fn all_problems_are_told_and_the_first_one_is_shown_in_its_lines() {
        let text = "a: 1\nb: 2\nc: 3\nd: 4\n";
        let problem = |line, message: &str| Problem {
            file: "plugin.yaml".into(),
            line: Some(line),
            message: message.into(),
        };
        let fault = LoadFault::of_problems(
            Outcome::Syntax,
            vec![problem(2, "b is wrong"), problem(4, "d is wrong")],
            Some(text),
        );
        assert_eq!(fault.to_string(), "plugin.yaml:2: b is wrong\nplugin.yaml:4: d is wrong");
        let shown = fault.script.excerpt.clone().unwrap();
        assert_eq!(shown, "     1 | a: 1\n>    2 | b: 2\n     3 | c: 3\n     4 | d: 4");
        let error = fault.into_error("p");
        assert_eq!(error.errors[1].pointer, "plugin.yaml:4");
    }
}
