//! The one door to YAML: checked before it is parsed, plain data behind it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Bytes a YAML text may have.
pub const YAML_MAX_BYTES: usize = 64 * 1024;
/// What a YAML text may grow to: length times aliases before it is parsed, then what the parsed data really takes.
const MAX_GROWTH_BYTES: usize = 1024 * 1024;
/// What an empty value costs of that.
const NODE_BYTES: usize = 8;
/// Open brackets a YAML text may have at once; deeper ones cost the parser quadratic time.
const MAX_DEPTH: usize = 64;

/// What is wrong with a YAML text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlFault {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for YamlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for YamlFault {}

/// Parses one YAML document into plain data; an empty text is null.
///
/// # Errors
/// The text is too large, may grow too large, is no YAML, has a key twice, or holds what JSON cannot say.
pub fn parse_yaml(text: &str) -> Result<Value, YamlFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_size(text)?;
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(document) = documents.next() else {
        return Ok(Value::Null);
    };
    let state = State { left: Cell::new(MAX_GROWTH_BYTES), twice: RefCell::default() };
    let value = Plain(&state).deserialize(document).map_err(|fault| {
        let fault = at_fault(text, &fault);
        match state.twice.take().and_then(|key| second_of(text, &fault, &key)) {
            Some((line, column)) => YamlFault { line, column, ..fault },
            None => fault,
        }
    })?;
    if documents.next().is_some() {
        let message = "the text holds more than one document (`---`); only one is read".to_owned();
        return Err(fault_at(second_document(text).unwrap_or(1), 1, message));
    }
    Ok(value)
}

/// The line, from 1, on which the key at `path` stands in a YAML text written with indentation; for a key within
/// brackets the line of what is around it; the last of the path may be a word of a list. None when not even the first key is found.
pub fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    let mut found = None;
    let mut wanted = path.iter();
    let mut name = *wanted.next()?;
    let mut parent_indent = None;
    for (number, line) in text.lines().enumerate() {
        let body = line.trim_start();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let indent = line.len() - body.len();
        // A list may stand as deep as its key.
        let least = |parent| if body.starts_with("- ") { indent >= parent } else { indent > parent };
        let inside = parent_indent.is_none_or(least);
        if !inside {
            break;
        }
        // At the top only lines without indentation count; below, any line deeper than the parent.
        if (parent_indent.is_some() || indent == 0) && key_of(body) == Some(name) {
            found = Some(number + 1);
            parent_indent = Some(indent);
            match wanted.next() {
                Some(next) => name = next,
                None => break,
            }
        }
    }
    found
}

/// The key that a line begins with; of a list, the word it holds.
fn key_of(body: &str) -> Option<&str> {
    if let Some(item) = body.strip_prefix("- ") {
        let word = item.split(" #").next().unwrap_or(item).trim().trim_matches(['"', '\'']);
        return (!word.contains(": ")).then_some(word);
    }
    let (key, rest) = body.split_once(':')?;
    let key = key.trim_end();
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| key.trim_matches(['"', '\'']))
}

/// Writes plain data as a YAML document.
///
/// # Errors
/// A sentence, when the data cannot be written.
pub fn to_yaml(value: &Value) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|fault| fault.to_string())
}

fn check_size(text: &str) -> Result<(), YamlFault> {
    if text.len() > YAML_MAX_BYTES {
        let message = format!("the text is larger than {YAML_MAX_BYTES} bytes");
        return Err(fault_at(1, 1, message));
    }
    let aliases =
        text.split('*').skip(1).filter(|rest| rest.starts_with(|c: char| !c.is_whitespace())).count();
    if aliases * text.len() > MAX_GROWTH_BYTES {
        let message = format!("{aliases} aliases (`*name`) in {} bytes could grow too large", text.len());
        return Err(fault_at(1, 1, message));
    }
    let mut depth = 0_usize;
    for (number, line) in text.lines().enumerate() {
        for (column, c) in line.char_indices() {
            match c {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Err(fault_at(
                    number + 1,
                    column + 1,
                    format!("more than {MAX_DEPTH} brackets are open"),
                ));
            }
        }
    }
    Ok(())
}

/// Where the key stands a second time, of a mapping that begins at the place of `fault`; none within brackets.
fn second_of(text: &str, fault: &YamlFault, key: &str) -> Option<(usize, usize)> {
    let begins = fault.column.saturating_sub(1);
    let mut is_second = false;
    for (number, line) in text.lines().enumerate().skip(fault.line.saturating_sub(1)) {
        // What stands before the first key of a mapping in a list is the list's.
        let body = if number + 1 == fault.line { line.get(begins..)? } else { line.trim_start() };
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        let indent = line.len() - body.len();
        if indent < begins {
            return None;
        }
        if indent == begins && key_of(body) == Some(key) && std::mem::replace(&mut is_second, true) {
            return Some((number + 1, begins + 1));
        }
    }
    None
}

/// The line on which the second document begins.
fn second_document(text: &str) -> Option<usize> {
    let mut has_content = false;
    for (number, line) in text.lines().enumerate() {
        if has_content && line.starts_with("---") {
            return Some(number + 1);
        }
        has_content |= !line.trim_start().is_empty() && !line.starts_with(['#', '%']);
    }
    None
}

/// What is known of a text that is being read.
struct State {
    /// What it may still grow by: aliases of aliases grow without bound in a short text.
    left: Cell<usize>,
    /// A key that stands twice.
    twice: RefCell<Option<String>>,
}

/// Reads a node into plain data and counts what it costs.
struct Plain<'a>(&'a State);

impl Plain<'_> {
    fn spend<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.0.left.get().checked_sub(NODE_BYTES + bytes);
        self.0.left.set(left.ok_or_else(|| E::custom("the aliases of the text grow too large"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Plain<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, node: D) -> Result<Value, D::Error> {
        node.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain data")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.spend(0).map(|()| Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        self.spend(0).map(|()| Value::Bool(flag))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        self.spend(0).map(|()| Value::from(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        self.spend(0).map(|()| Value::from(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        self.spend(0)?;
        let number = Number::from_f64(number).ok_or_else(|| E::custom("not a number that JSON can say"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.spend(text.len()).map(|()| Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Plain(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut map = Map::new();
        while let Some(key) = fields.next_key_seed(Plain(self.0))? {
            let key = match key {
                Value::String(key) => key,
                Value::Bool(_) | Value::Number(_) => key.to_string(),
                _ => return Err(de::Error::custom("a key must be a word")),
            };
            let value = fields.next_value_seed(Plain(self.0))?;
            if map.contains_key(&key) {
                let fault = de::Error::custom(format!("the key \"{key}\" stands here twice"));
                self.0.twice.replace(Some(key));
                return Err(fault);
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (tag, _) = tagged.variant_seed(PhantomData::<String>)?;
        Err(de::Error::custom(format!("the tag !{tag} is not accepted")))
    }
}

fn at_fault(text: &str, fault: &serde_yaml::Error) -> YamlFault {
    let (line, column) = fault.location().map_or((1, 1), |place| (place.line(), place.column()));
    // The place is told once, by us.
    let message = fault.to_string().replace(&format!(" at line {line} column {column}"), "");
    // YAML has line breaks that no editor counts, and an end behind the last line.
    fault_at(line.min(text.lines().count() + 1), column, message)
}

fn fault_at(line: usize, column: usize, message: String) -> YamlFault {
    YamlFault { line, column, message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_becomes_plain_data() {
        let text = "a: 1\nb: [x, 2.5, true, ~]\nc: { d: -3, 4: e }\nbase: &b { k: v }\nmore: *b\n";
        let expected = json!({
            "a": 1, "b": ["x", 2.5, true, null], "c": { "d": -3, "4": "e" },
            "base": { "k": "v" }, "more": { "k": "v" }
        });
        assert_eq!(parse_yaml(text), Ok(expected));
        assert_eq!(parse_yaml(""), Ok(Value::Null));
        assert_eq!(parse_yaml("# only a comment\n"), Ok(Value::Null));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
        for (name, of) in ('b'..='z').zip('a'..='y') {
            bomb.push_str(&format!(
                "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"
            ));
        }
        let fault = parse_yaml(&bomb).expect_err("a bomb");
        assert!(fault.message.contains("the aliases of the text grow too large"), "{fault}");
        let fault = parse_yaml(&bomb.repeat(4)).expect_err("many aliases");
        assert!(fault.message.contains("aliases (`*name`) in"), "{fault}");
    }

    #[test]
    fn a_text_that_is_too_large_or_too_deep_is_refused() {
        let fault = parse_yaml(&"a".repeat(YAML_MAX_BYTES + 1)).expect_err("too large");
        assert!(fault.message.contains("65536 bytes"), "{fault}");
        let fault = parse_yaml(&"[".repeat(60_000)).expect_err("too deep");
        assert!(fault.message.contains("64 brackets"), "{fault}");
        let blocks: String = (0..300).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
        assert!(parse_yaml(&blocks).is_err());
    }

    #[test]
    fn a_key_twice_is_a_fault() {
        let fault = parse_yaml("a: 1\nb: 2\na: 3\n").expect_err("twice");
        assert_eq!((fault.line, fault.column), (3, 1));
        assert_eq!(fault.message, "the key \"a\" stands here twice");
        let fault = parse_yaml("l:\n- a: 1\n  b: { a: 2 }\n  # a: 3\n  a: 4\n").expect_err("twice in a list");
        assert_eq!((fault.line, fault.column), (5, 3), "{fault}");
        let fault = parse_yaml("x: { a: 1,\n a: 2 }\n").expect_err("twice within brackets");
        assert_eq!((fault.line, fault.column), (1, 4), "{fault}");
        let fault = parse_yaml("x:\n  1: a\n  \"1\": b\n").expect_err("twice once plain");
        assert_eq!((fault.line, fault.message.as_str()), (3, "x: the key \"1\" stands here twice"));
    }

    #[test]
    fn a_second_document_is_a_fault_where_it_begins() {
        let fault = parse_yaml("# first\n---\na: 1\n---\nb: 2\n").expect_err("two documents");
        assert_eq!((fault.line, fault.column), (4, 1), "{fault}");
        assert_eq!(parse_yaml("---\na: 1\n"), Ok(json!({"a": 1})));
    }

    #[test]
    fn what_json_cannot_say_is_a_fault_with_its_line() {
        let fault = parse_yaml("a: 1\nb:\n  c: .nan\n").expect_err("not a number");
        assert_eq!((fault.line, fault.message.as_str()), (3, "b.c: not a number that JSON can say"));
        let fault = parse_yaml("a: !run x\n").expect_err("a tag");
        assert!(fault.message.contains("!run"), "{fault}");
    }

    #[test]
    fn a_syntax_fault_tells_its_place_once() {
        let fault = parse_yaml("a: 1\nb: 'open\n").expect_err("open quote");
        assert_eq!(fault.line, 3, "{fault}");
        assert!(!fault.message.contains("at line 3"), "{fault:?}");
    }

    #[test]
    fn a_fault_lies_within_the_text_whatever_breaks_its_lines() {
        let fault = parse_yaml("a: { b\u{85}\u{2028}\u{85}\u{85}").expect_err("open bracket");
        assert!(fault.line <= 2, "{fault}");
    }

    #[test]
    fn the_line_of_a_key_is_found_under_its_parents() {
        let text = "# a comment\nport: 1\nlimits:\n  # inner\n  cpu_ms: 2\n\n  timers: 3\nbreaker: { kills: 4 }\ncpu_ms: 5\n";
        assert_eq!(line_of(text, &["port"]), Some(2));
        assert_eq!(line_of(text, &["limits", "timers"]), Some(7));
        for list in
            ["a: 1\npermissions:\n- db\n- \"http\" # the net\nb: 2", "x: 1\npermissions:\n  - db\n  - http\n"]
        {
            assert_eq!(line_of(list, &["permissions", "http"]), Some(4), "{list}");
        }
        assert_eq!(line_of(text, &["cpu_ms"]), Some(9));
        assert_eq!(line_of(text, &["breaker", "kills"]), Some(8));
        assert_eq!(line_of(text, &["nothing"]), None);
    }
}
