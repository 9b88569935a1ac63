//! The kinds of values a setting takes: read from text (variables, flags) or JSON (the file), always into one plain form.

use std::net::IpAddr;

use serde_json::Value;

use super::secret_keys::{FORM, SecretKeys};

/// What values a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A whole number within bounds.
    Whole {
        /// The smallest accepted.
        min: u64,
        /// The largest accepted.
        max: u64,
    },
    /// True or false.
    Flag,
    /// An IP address; `localhost` is accepted too.
    Address,
    /// A file or folder.
    Path,
    /// Folders; in text they are separated like PATH.
    Paths,
    /// Names; in text they are separated by commas.
    Names,
    /// An absolute path, or nothing.
    Program,
    /// A path, or nothing.
    File,
    /// A log filter.
    Filter,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Where the database is.
    Database,
    /// Keys for secret values, which no message repeats and no file sets.
    Secret,
}

impl Kind {
    /// What is accepted, in words.
    pub fn accepts(&self) -> String {
        match self {
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Flag => "true or false".to_owned(),
            Self::Address => "an IP address such as 127.0.0.1 or ::1".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Paths => "a list of folders".to_owned(),
            Self::Names => "a list of names".to_owned(),
            Self::Program => "an absolute path, or nothing".to_owned(),
            Self::File => "a path, or nothing".to_owned(),
            Self::Filter => {
                "a level (off, error, warn, info, debug, trace) or target=level pairs, separated by commas"
                    .to_owned()
            }
            Self::Choice(words) => words.join(" or "),
            Self::Database => "sqlite:<path of a file>, the only database so far".to_owned(),
            Self::Secret => FORM.to_owned(),
        }
    }

    /// True when a value is a list, whose flag may be repeated.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Paths | Self::Names)
    }

    /// Reads the text of a variable or a flag.
    ///
    /// # Errors
    /// A message that shows the text and says what is accepted.
    pub fn read_text(&self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let read = match self {
            Self::Whole { min, max } => {
                trimmed.parse::<u64>().ok().filter(|n| (min..=max).contains(&n)).map(Value::from)
            }
            Self::Flag => match trimmed.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(Value::Bool(true)),
                "false" | "no" | "off" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            Self::Address if trimmed == "localhost" => Some(Value::from("127.0.0.1")),
            Self::Address => trimmed.parse::<IpAddr>().ok().map(|ip| Value::from(ip.to_string())),
            Self::Path => is_path(text).then(|| Value::from(text)),
            Self::Paths => {
                let paths: Vec<String> = std::env::split_paths(text)
                    .map(|path| path.to_string_lossy().into_owned())
                    .filter(|path| !path.is_empty())
                    .collect();
                (!paths.is_empty() && paths.iter().all(|path| is_path(path))).then(|| Value::from(paths))
            }
            Self::Names => {
                let names: Vec<&str> =
                    trimmed.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
                names.iter().all(|name| is_name(name)).then(|| Value::from(names))
            }
            Self::Program => {
                let fits =
                    trimmed.is_empty() || (is_path(trimmed) && std::path::Path::new(trimmed).is_absolute());
                fits.then(|| Value::from(trimmed))
            }
            Self::File => (trimmed.is_empty() || is_path(text)).then(|| Value::from(text)),
            Self::Filter => is_filter(trimmed).then(|| Value::from(trimmed)),
            Self::Choice(words) => words.iter().find(|word| **word == trimmed).map(|word| Value::from(*word)),
            Self::Database => sqlite_path(trimmed).map(|_| Value::from(trimmed)),
            Self::Secret => return SecretKeys::parse(trimmed).map(|_| Value::from(trimmed)),
        };
        read.ok_or_else(|| self.refusal(&Value::from(text)))
    }

    /// Reads a value of the settings file.
    ///
    /// # Errors
    /// A message that shows the value and says what is accepted.
    pub fn read_json(&self, value: &Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Secret, _) => Err("a key does not belong into this file, which backups hold: set the variable, or name a key file with \
                 secret_key_file"
                .to_owned()),
            (Self::Paths, Value::String(path)) => self.read_items(std::slice::from_ref(path)),
            (Self::Paths | Self::Names, Value::Array(items)) => {
                let texts: Option<Vec<String>> =
                    items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                self.read_items(&texts.ok_or_else(|| self.refusal(value))?)
            }
            (_, Value::String(text)) => self.read_text(text),
            (Self::Whole { .. }, Value::Number(number)) => {
                self.read_text(&number.to_string()).map_err(|_| self.refusal(value))
            }
            (Self::Flag, Value::Bool(_)) => Ok(value.clone()),
            _ => Err(self.refusal(value)),
        }
    }

    /// Reads a list that is already split: the items of the file, or a repeated flag.
    pub(super) fn read_items(&self, items: &[String]) -> Result<Value, String> {
        let accepted: fn(&str) -> bool = if matches!(self, Self::Paths) { is_path } else { is_name };
        let whole = Value::from(items);
        match items.iter().all(|item| accepted(item)) && !(items.is_empty() && matches!(self, Self::Paths)) {
            true => Ok(whole),
            false => Err(self.refusal(&whole)),
        }
    }

    fn refusal(&self, value: &Value) -> String {
        let mut shown = value.to_string();
        if shown.len() > 80 {
            let end = shown.floor_char_boundary(77);
            shown.truncate(end);
            shown.push('…');
        }
        format!("{shown} is not accepted; use {}", self.accepts())
    }
}

/// The file of a database URL `sqlite:path` or `sqlite://path`; none for any other.
pub(super) fn sqlite_path(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("sqlite:")?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    // A `:memory:` database would lose every recording at the stop, and `?` options are not ours to pass on.
    (is_path(path) && !path.starts_with(':') && !path.contains('?')).then_some(path)
}

fn is_path(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains('\0')
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',')
}

fn is_filter(text: &str) -> bool {
    let level = |word: &str| word.parse::<log::LevelFilter>().is_ok();
    !text.is_empty()
        && text.split(',').map(str::trim).all(|directive| match directive.split_once('=') {
            Some((target, word)) => is_name(target) && level(word),
            None => level(directive),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_shown_with_what_is_accepted() {
        let fault = Kind::Whole { min: 0, max: 65_535 }.read_text("99999").expect_err("too large");
        assert_eq!(fault, "\"99999\" is not accepted; use a whole number from 0 to 65535");
        let fault = Kind::Database.read_text("postgres://db/x").expect_err("not sqlite");
        assert!(fault.contains("sqlite:<path of a file>, the only database so far"), "{fault}");
    }

    #[test]
    fn a_database_in_memory_is_refused() {
        assert_eq!(sqlite_path("sqlite::memory:"), None);
        assert_eq!(sqlite_path("sqlite:///var/lib/p.db"), Some("/var/lib/p.db"));
        assert_eq!(sqlite_path("sqlite:data/p.db"), Some("data/p.db"));
    }

    #[test]
    fn a_log_filter_is_levels_and_pairs_of_target_and_level() {
        for good in ["info", "warn,panotti=debug", "off", "panotti::http=trace, info"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "inof", "panotti=loud", "info,,", "=info"] {
            assert!(!is_filter(bad), "{bad}");
        }
    }
}
