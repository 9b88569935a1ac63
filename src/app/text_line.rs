//! A line of the log for people: time, level, target, message, then the fields as `key=value`.
//!
//! Each request has one, so it is written in one go: no field becomes a value of its own first.

use std::fmt::{self, Display, Write as _};

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};
use serde_json::{Number, Value as Json};

/// The field whose lines are shown below the record's own, for people: the lines of a script around a fault.
const EXCERPT: &str = "excerpt";

/// Most lines are shorter.
const USUAL_BYTES: usize = 384;

/// One record for people.
pub(super) fn text_line(time: &str, record: &Record<'_>, colours: bool) -> String {
    let (dim, bold, off) =
        if colours { ("\x1b[2m", level_colour(record.level()), "\x1b[0m") } else { ("", "", "") };
    let mut line = String::with_capacity(USUAL_BYTES);
    let level = record.level().as_str();
    let gap = if level.len() < 5 { " " } else { "" };
    for part in [dim, time, off, " ", bold, level, gap, off, " ", dim, short(record.target()), off, " "] {
        line.push_str(part);
    }
    _ = Escaping(&mut line).write_fmt(*record.args());
    let mut fields = Fields { line, dim, off, excerpts: Vec::new() };
    // The visitor never fails, and a source that does has given what it could.
    _ = record.key_values().visit(&mut fields);
    let Fields { mut line, excerpts, .. } = fields;
    line.push('\n');
    for shown in excerpts.iter().flat_map(|it| it.lines()) {
        // Set in, so that nothing in it looks like a record.
        line.push_str("    ");
        escape_into(&mut line, shown);
        line.push('\n');
    }
    line
}

/// Writes text with every control character, line and paragraph separator and direction mark escaped.
pub(super) fn escape_into(line: &mut String, text: &str) {
    // Counted through without a branch for each byte: nearly all text is plain.
    let is_plain = text.bytes().fold(true, |plain, it| plain & (b' '..=b'~').contains(&it));
    if is_plain {
        line.push_str(text);
        return;
    }
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

/// Escapes whatever is written to it.
struct Escaping<'l>(&'l mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape_into(self.0, text);
        Ok(())
    }
}

/// The line so far, and what comes below it.
struct Fields {
    line: String,
    dim: &'static str,
    off: &'static str,
    excerpts: Vec<String>,
}

impl Fields {
    fn key(&mut self, key: &str) {
        self.line.push(' ');
        self.line.push_str(self.dim);
        escape_into(&mut self.line, key);
        self.line.push('=');
        self.line.push_str(self.off);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        // A value that could be taken for more fields stands in quotes.
        if value.is_empty() || value.bytes().any(|it| matches!(it, b' ' | b'=' | b'"')) {
            _ = write!(Escaping(&mut self.line), "{value:?}");
        } else {
            escape_into(&mut self.line, value);
        }
    }

    fn number(&mut self, key: &str, value: impl Display) {
        self.key(key);
        _ = write!(self.line, "{value}");
    }

    /// Whatever a record may hold.
    fn json(&mut self, key: &str, value: Json) {
        match value {
            // What there is nothing to say of is not said.
            Json::Null => {}
            Json::String(text) if key == EXCERPT => self.excerpts.push(text),
            _ if key == EXCERPT => {}
            // What a script gave as `fields`, field by field; for a person the word itself says nothing.
            Json::Object(object) if key == "fields" => {
                for (key, value) in object {
                    match value {
                        Json::String(text) => self.text(&key, &text),
                        other => self.text(&key, &other.to_string()),
                    }
                }
            }
            Json::String(text) => self.text(key, &text),
            other => self.text(key, &other.to_string()),
        }
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        value.visit(Field { fields: self, key: key.as_str() })
    }
}

/// One field of a record, by its kind.
struct Field<'f, 'k> {
    fields: &'f mut Fields,
    key: &'k str,
}

impl<'v> VisitValue<'v> for Field<'_, '_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        let json = serde_json::to_value(&value).unwrap_or_else(|_| value.to_string().into());
        self.fields.json(self.key, json);
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.fields.number(self.key, value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.fields.number(self.key, value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        if let Some(value) = Number::from_f64(value) {
            self.fields.number(self.key, value);
        }
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        match self.key {
            EXCERPT => self.fields.excerpts.push(value.to_owned()),
            key => self.fields.text(key, value),
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::super::logging::tests::{TIME, record};
    use super::*;

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
    fn fields_of_every_kind_read_as_they_are_and_those_without_a_value_are_not_told() {
        let whole = serde_json::json!({ "text": "a b", "list": [1, "x y"], "none": null });
        let fields = [
            ("yes", Value::from(true)),
            ("whole", Value::from(-3)),
            ("half", Value::from(3.0)),
            ("wide", Value::from(u128::MAX)),
            ("nan", Value::from(f64::NAN)),
            ("empty", Value::from("")),
            ("umlaut", Value::from("\u{e4}\u{85}")),
            ("shown", Value::from_display(&"a=b")),
            ("fields", Value::from_serde(&whole)),
        ];
        let text = text_line(TIME, &record(format_args!("{}\n", "two\tparts"), &fields), false);
        assert_eq!(
            text,
            "2026-01-25T10:00:00.500Z WARN  plugins::manager two\\tparts\\n yes=true whole=-3 half=3.0 \
             wide=340282366920938463463374607431768211455 empty=\"\" umlaut=\u{e4}\\u{85} shown=\"a=b\" text=\"a b\" \
             list=\"[1,\\\"x y\\\"]\" none=null\n"
        );
    }
}
