//! Whatever stands in a manifest: its faults have places, nothing gets out of the environment unasked. Whatever a
//! client calls a file or sends as a zip file: nothing leads out, nothing grows without end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::LimitRules;
use crate::fuzz;

use super::discovery::{FILE_MAX_BYTES, Snapshot};
use super::env::{PluginEnv, infer};
use super::{archive, manifest, sources};

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

#[test]
fn archives() {
    fuzz::run(
        "archive",
        &["PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "../", "init.lua", "/", "\\"],
        |input| {
            let Ok(unpacked) = archive::unpack(input) else { return };
            for (path, content) in &unpacked.files {
                assert!(sources::check(path).is_ok() && content.len() as u64 <= FILE_MAX_BYTES);
            }
            let packed = archive::pack("p", &unpacked.files).unwrap();
            assert_eq!(archive::unpack(&packed).unwrap().files, unpacked.files);
        },
    );
}

#[test]
fn source_paths() {
    fuzz::run(
        "source_path",
        &["..", "/", "\\", ".lua", "plugin.yaml", "migrations/", "tests/", "\0", "\u{202e}"],
        |input| {
            let Ok(path) = std::str::from_utf8(input) else { return };
            if sources::check(path).is_ok() {
                assert!(sources::inside(path).is_ok());
                let parts = std::path::Path::new(path).components();
                assert!(parts.clone().all(|it| matches!(it, std::path::Component::Normal(_))), "{path:?}");
                assert_eq!(parts.count(), path.split('/').count(), "{path:?}");
            }
        },
    );
}
