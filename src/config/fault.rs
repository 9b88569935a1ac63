//! What is wrong with the settings: every fault with its source, all told at once.

use std::fmt;

/// One wrong setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was said: `panotti.yaml:3`, `PANOTTI_PORT` or `--port`.
    pub source: String,
    /// What is wrong, what is accepted, and what was probably meant.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.message)
    }
}

/// Everything that is wrong with the settings; the server does not start with any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFaults(
    /// The faults, in the order of file, environment, flags.
    pub Vec<Fault>,
);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 setting is wrong:")?,
            n => write!(f, "{n} settings are wrong:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigFaults {}

/// The known word that `given` probably stands for, as the end of a message: `; did you mean "port"?` or nothing.
pub fn did_you_mean<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|word| (strsim::damerau_levenshtein(given, word), word))
        .filter(|(distance, word)| *distance <= 1.max(word.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| format!("; did you mean \"{word}\"?"))
        .unwrap_or_default()
}
