//! The one door to YAML: checked before it is parsed, plain data behind it.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_yaml::Value as Yaml;

/// Bytes a YAML text may have.
pub const YAML_MAX_BYTES: usize = 64 * 1024;
/// Length times aliases a YAML text may have: what it can grow to in memory is bounded by it.
const MAX_GROWTH_BYTES: usize = 1024 * 1024;
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
    let mut yaml = Yaml::deserialize(document).map_err(|fault| at_fault(&fault))?;
    if documents.next().is_some() {
        return Err(fault_at(
            1,
            1,
            "the text holds more than one document (`---`); only one is read".to_owned(),
        ));
    }
    yaml.apply_merge().map_err(|fault| at_fault(&fault))?;
    let mut path = Vec::new();
    plain(yaml, &mut path).map_err(|message| {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        fault_at(line_of(text, &names).unwrap_or(1), 1, message)
    })
}

/// The line, from 1, on which the key at `path` stands in a YAML text written with indentation; for a key within
/// brackets the line of what is around it. None when not even the first key is found.
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
        let inside = parent_indent.is_none_or(|parent| indent > parent);
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

fn key_of(body: &str) -> Option<&str> {
    let (key, rest) = body.split_once(':')?;
    let key = key.trim_end();
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| key.trim_matches(['"', '\'']))
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

fn plain(yaml: Yaml, path: &mut Vec<String>) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => Value::Bool(flag),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => Value::from(n),
            (None, Some(n)) => Value::from(n),
            (None, None) => number
                .as_f64()
                .and_then(serde_json::Number::from_f64)
                .map(Value::Number)
                .ok_or_else(|| format!("{number} is not a number that JSON can say"))?,
        },
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(|item| plain(item, path)).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(fields) => {
            let mut map = Map::new();
            for (key, value) in fields {
                let key = match key {
                    Yaml::String(key) => key,
                    Yaml::Bool(key) => key.to_string(),
                    Yaml::Number(key) => key.to_string(),
                    _ => return Err("a key must be a word".to_owned()),
                };
                path.push(key.clone());
                let value = plain(value, path)?;
                path.pop();
                if map.insert(key.clone(), value).is_some() {
                    return Err(format!("the key \"{key}\" stands here twice"));
                }
            }
            Value::Object(map)
        }
        Yaml::Tagged(tagged) => return Err(format!("the tag {} is not accepted", tagged.tag)),
    })
}

fn at_fault(fault: &serde_yaml::Error) -> YamlFault {
    let (line, column) = fault.location().map_or((1, 1), |place| (place.line(), place.column()));
    let mut message = fault.to_string();
    // The place is told once, by us.
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    fault_at(line, column, message)
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
        let text =
            "a: 1\nb: [x, 2.5, true, ~]\nc: { d: -3, 4: e }\nbase: &b { k: v }\nmore: { <<: *b, l: w }\n";
        let expected = json!({
            "a": 1, "b": ["x", 2.5, true, null], "c": { "d": -3, "4": "e" },
            "base": { "k": "v" }, "more": { "l": "w", "k": "v" }
        });
        assert_eq!(parse_yaml(text), Ok(expected));
        assert_eq!(parse_yaml(""), Ok(Value::Null));
        assert_eq!(parse_yaml("# only a comment\n"), Ok(Value::Null));
    }

    #[test]
    fn a_bomb_of_aliases_is_refused_before_it_is_parsed() {
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
        for (name, of) in ('b'..='z').zip('a'..='y') {
            bomb.push_str(&format!(
                "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"
            ));
        }
        let fault = parse_yaml(&bomb).expect_err("a bomb");
        assert!(fault.message.contains("aliases"), "{fault}");
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
        assert!(fault.message.contains("duplicate entry with key \"a\""), "{fault}");
        let fault = parse_yaml("x:\n  1: a\n  \"1\": b\n").expect_err("twice once plain");
        assert_eq!(fault.to_string(), "line 1, column 1: the key \"1\" stands here twice");
    }

    #[test]
    fn what_json_cannot_say_is_a_fault_with_its_line() {
        let fault = parse_yaml("a: 1\nb:\n  c: .nan\n").expect_err("not a number");
        assert_eq!((fault.line, fault.message.as_str()), (3, ".nan is not a number that JSON can say"));
        let fault = parse_yaml("a: !run x\n").expect_err("a tag");
        assert!(fault.message.contains("!run"), "{fault}");
    }

    #[test]
    fn a_syntax_fault_tells_its_place_once() {
        let fault = parse_yaml("a: 1\nb: 'open\n").expect_err("open quote");
        assert_eq!(fault.line, 3, "{fault}");
        assert!(!fault.message.contains("at line"), "{fault}");
    }

    #[test]
    fn the_line_of_a_key_is_found_under_its_parents() {
        let text = "# a comment\nport: 1\nlimits:\n  # inner\n  cpu_ms: 2\n\n  timers: 3\nbreaker: { kills: 4 }\ncpu_ms: 5\n";
        assert_eq!(line_of(text, &["port"]), Some(2));
        assert_eq!(line_of(text, &["limits", "timers"]), Some(7));
        assert_eq!(line_of(text, &["cpu_ms"]), Some(9));
        assert_eq!(line_of(text, &["breaker", "kills"]), Some(8));
        assert_eq!(line_of(text, &["nothing"]), None);
    }
}
