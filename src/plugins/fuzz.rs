//! Whatever stands in a manifest: its faults have places, nothing gets out of the environment unasked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::LimitRules;
use crate::fuzz;

use super::discovery::Snapshot;
use super::env::{PluginEnv, infer};
use super::manifest;

const SECRET: &str = "nobody-may-see-this";

fn env() -> PluginEnv {
    let set = [("PANOTTI_PLUGIN_TO", "06:00"), ("HOME", SECRET), ("LISTED", "x")];
    PluginEnv::new(set.map(|(name, value)| (name.to_owned(), value.to_owned())), &["LISTED".to_owned()])
}

#[test]
fn manifests() {
    const WORDS: &[&str] = &[
        "permissions:",
        "config:",
        "config_schema:",
        "limits:",
        "dependencies:",
        "properties:",
        "type:",
        "http:",
        "[",
        "]",
        "{",
        "}",
        "- ",
        ": ",
        "&a ",
        "*a",
        "${PANOTTI_PLUGIN_TO}",
        "${HOME:-x}",
        "true",
        "1e309",
        "\n  ",
        "'",
        "\"",
        "pattern:",
    ];
    fuzz::run("manifest", WORDS, |input| {
        let began = Instant::now();
        let files = BTreeMap::from([("plugin.yaml".to_owned(), Arc::from(input))]);
        let snapshot = Snapshot { files: Arc::new(files), hash: "0".into(), warnings: Vec::new() };
        let lines = input.iter().filter(|it| **it == b'\n').count() + 1;
        match manifest::read("quiet", &snapshot, &env(), &LimitRules::default()) {
            Ok(manifest) => {
                let told = serde_json::to_string(&manifest.config).unwrap();
                assert!(!told.contains(SECRET));
            }
            Err(fault) => {
                assert!(!fault.script.message.is_empty() && !fault.script.message.contains(SECRET));
                assert!(
                    fault.script.line.is_none_or(|it| it >= 1 && it as usize <= lines + 1),
                    "{:?}",
                    fault.script
                );
            }
        }
        assert!(began.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn variables() {
    fuzz::run("env", &["${", "}", "$$", ":-", "PANOTTI_PLUGIN_TO", "HOME", "LISTED", "$"], |input| {
        let text = String::from_utf8_lossy(input);
        match env().fill(&text) {
            Ok((filled, any)) => {
                assert!(!filled.contains(SECRET));
                assert!(any || !text.contains("${") || text.contains("$$"));
            }
            Err(faults) => assert!(!faults.is_empty() && faults.iter().all(|it| !it.contains(SECRET))),
        }
        // Doubled, a dollar sign is only that.
        assert_eq!(env().fill(&text.replace('$', "$$")).unwrap(), (text.to_string(), false));
        let value = infer(&text);
        assert!(value.as_str().is_none_or(|it| it == text));
        assert!(value.as_f64().is_none_or(f64::is_finite));
    });
}
