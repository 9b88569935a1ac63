//! Whatever stands in `panotti.yaml`: settings within their bounds, or faults with their places, soon.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fuzz;

use super::{Sources, load, parse_yaml, to_yaml};

const WORDS: &[&str] = &[
    "port: ",
    "host: ",
    "limits:\n  ",
    "data_dir: ",
    "wall_ms: ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "? ",
    "|\n",
    ">\n",
    "---\n",
    "...\n",
    "\t",
    "~",
    "0x1F",
    ".inf",
    "1_000",
    "'",
    "\"",
    "#",
    "\u{feff}",
];

#[test]
fn yaml() {
    fuzz::run("yaml", WORDS, |input| {
        let began = Instant::now();
        let text = String::from_utf8_lossy(input);
        match parse_yaml(&text) {
            Ok(value) => {
                assert!(size(&value) <= 4 << 20, "it grew");
                let again = to_yaml(&value).unwrap();
                match parse_yaml(&again) {
                    Ok(same) => assert_eq!(same, value, "{again}"),
                    // Quoting makes it longer, and what stands in quotes may look like an alias.
                    Err(fault) => assert!(
                        fault.message.contains("larger") || fault.message.contains("aliases"),
                        "{fault}"
                    ),
                }
            }
            Err(fault) => assert!(fault.line >= 1 && fault.column >= 1 && !fault.message.is_empty()),
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    });
}

#[test]
fn settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("panotti.yaml");
    fuzz::run("settings", WORDS, |input| {
        std::fs::write(&path, input).unwrap();
        match load(Sources { file: Some(path.clone()), ..Sources::default() }) {
            Ok(settings) => assert!(serde_json::to_value(&settings).is_ok()),
            Err(faults) => {
                assert!(!faults.0.is_empty());
                assert!(faults.0.iter().all(|it| !it.source.is_empty() && !it.message.is_empty()));
            }
        }
    });
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(it) => it.len() + 8,
        Value::Array(items) => 8 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 8 + map.iter().map(|(key, it)| key.len() + size(it)).sum::<usize>(),
        _ => 8,
    }
}
