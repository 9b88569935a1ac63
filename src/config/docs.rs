//! The table of settings as text: for `--help` and as an example file.

use std::fmt::Write;

use super::table::{DefaultValue, Row, SETTINGS};

/// The settings as a list for `panotti serve --help`.
pub fn help_text() -> String {
    let mut text = String::from(
        "Settings come from panotti.yaml (another file: --config or PANOTTI_CONFIG), then variables, then flags; the later one wins.\n\n",
    );
    for row in SETTINGS {
        _ = writeln!(text, "{} ({})\n    {}\n    {}", row.key, row.env(), row.doc, accepted(row));
    }
    text
}

/// A settings file that says the defaults, all commented out.
pub fn example_yaml() -> String {
    let mut text = String::from(
        "# The settings of panotti with their defaults. Copy this file to panotti.yaml and uncomment what you change.\n\
         # The variable named behind a setting wins over the file, a flag of `panotti serve` over both.\n",
    );
    let mut section = None;
    for row in SETTINGS {
        if row.section() != section {
            section = row.section();
            if let Some(section) = section {
                _ = writeln!(text, "\n# {section}:");
            }
        }
        let indent = if section.is_some() { "  " } else { "" };
        let lead = if section.is_some() { "" } else { "\n" };
        _ = writeln!(text, "{lead}# {indent}{} {}; {}", row.doc, accepted(row), row.env());
        _ = writeln!(text, "# {indent}{}:{}", row.name(), example_value(row));
    }
    text.push_str(GRANTS);
    text
}

/// The section that is no table of settings: whatever plugins there are.
const GRANTS: &str = "
# grants:
#   What plugins may do that waits for the admin: each plugin's name with the lines its manifest asks for under permissions.
#   Such grants stay until they are taken out here; others are given with `panotti grants allow <plugin>`.
#   my_plugin: { http: [api.example], process: [ffmpeg] }
";

fn accepted(row: &Row) -> String {
    let unit = if row.unit.is_empty() { String::new() } else { format!(" {}", row.unit) };
    let default = match row.default_text() {
        "" => "none".to_owned(),
        text => format!("{text}{unit}"),
    };
    format!("Takes {}; default {default}", row.kind.accepts())
}

/// The default as a value of the file; nothing where it is worked out, for a key without a value leaves the default.
fn example_value(row: &Row) -> String {
    match row.default {
        DefaultValue::Text(text) if row.kind.is_list() => format!(" [{text}]"),
        DefaultValue::Text(text) => format!(" {text}"),
        DefaultValue::Computed(..) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Sources, load};
    use super::*;

    #[test]
    fn every_setting_is_in_the_help_and_in_the_example() {
        let (help, example) = (help_text(), example_yaml());
        assert!(!example.contains("# :"), "a section has a name");
        for row in SETTINGS {
            assert!(help.contains(&format!("{} ({})\n", row.key, row.env())), "{}", row.key);
            assert!(example.contains(&format!("{}:", row.name())), "{}", row.key);
        }
    }

    #[test]
    fn the_example_with_every_line_uncommented_says_the_defaults() {
        let is_setting = |line: &&str| {
            line.split_once(':').is_some_and(|(key, _)| !key.trim().is_empty() && !key.trim().contains(' '))
        };
        let text: String = example_yaml()
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(is_setting)
            .flat_map(|line| [line, "\n"])
            .collect();
        assert!(text.lines().count() > SETTINGS.len(), "{text}");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("panotti.yaml");
        std::fs::write(&file, text).expect("written");
        let settings = load(Sources { file: Some(file.clone()), ..Sources::default() }).expect("accepted");
        let granted = serde_json::json!({ "http": ["api.example"], "process": ["ffmpeg"] });
        let grants = [("my_plugin".to_owned(), granted.as_object().cloned().unwrap_or_default())].into();
        assert_eq!(settings, Settings { config_file: Some(file), grants, ..Settings::default() });
    }

    #[test]
    fn the_example_file_is_the_one_the_table_makes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/panotti.example.yaml");
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(path, example_yaml()).expect("written");
        } else {
            assert!(
                stored == example_yaml(),
                "panotti.example.yaml is stale: run `UPDATE_GENERATED=1 cargo test --lib example_file`"
            );
        }
    }
}
