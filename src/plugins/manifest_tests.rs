use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::super::permissions::at_once;
use super::*;

fn snapshot(files: &[(&str, &str)]) -> Snapshot {
    let files: BTreeMap<String, Arc<[u8]>> =
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().into())).collect();
    Snapshot { files: Arc::new(files), ..Snapshot::default() }
}

fn read_text(text: &str) -> Result<Manifest, LoadFault> {
    let set = [("PANOTTI_PLUGIN_PORT", "8080"), ("PANOTTI_PLUGIN_PIN", "1234")];
    let env = PluginEnv::new(set.map(|(k, v)| (k.to_owned(), v.to_owned())), &[]);
    read("quiet", &snapshot(&[("plugin.yaml", text)]), &env, &LimitRules::default())
}

#[test]
fn everything_a_manifest_declares_is_read() {
    let manifest = read_text(
        r#"
name: quiet
version: "1.2.0"
display_name: Quiet hours
enabled: false
min_panotti: "0.1.0"
dependencies: [calendar >=1.0, { name: mail, version: "^2", optional: true }, plain]
provides: [quiet]
permissions: { http: [api.example], db: true, "recordings:read": true }
config: { from: "22:00", port: "${PANOTTI_PLUGIN_PORT}", pin: "${PANOTTI_PLUGIN_PIN}", to: "${PANOTTI_PLUGIN_NONE:-06:00}" }
config_schema:
  properties: { from: { type: string, pattern: "^\\d\\d:\\d\\d$" }, port: {}, to: {}, pin: { type: string } }
limits: { memory_mib: 32 }
tags: one
"#,
    )
    .unwrap();
    assert_eq!(manifest.version, Some(Version::new(1, 2, 0)));
    assert!(!manifest.enabled && manifest.warnings.is_empty(), "{:?}", manifest.warnings);
    let names: Vec<(&str, bool)> =
        manifest.dependencies.iter().map(|it| (it.name.as_str(), it.optional)).collect();
    assert_eq!(names, [("calendar", false), ("mail", true), ("plain", false)]);
    assert!(manifest.dependencies[0].version.matches(&Version::new(1, 4, 0)));
    assert_eq!(
        Value::Object(manifest.config.clone()),
        json!({ "from": "22:00", "port": 8080, "pin": "1234", "to": "06:00" })
    );
    assert_eq!(manifest.limits.memory_mib, 32);
    assert!(
        at_once(&manifest.requested).allows("recordings", "read") && at_once(&manifest.requested).has("db")
    );
    assert!(!at_once(&manifest.requested).has("http"), "the network is the admin's to grant");
    assert!(!at_once(&manifest.requested).has("http"));
}

#[test]
fn the_older_form_means_the_same() {
    let manifest = read_text("quiet:\n  version: 1.0.0\n  settings:\n    a: 1\n").unwrap();
    assert_eq!((manifest.version, &manifest.config["a"]), (Some(Version::new(1, 0, 0)), &json!(1)));
    let fault = read_text("loud:\n  version: 1.0.0\n").unwrap_err();
    assert!(fault.to_string().contains("the folder is `quiet`"), "{fault}");
    let fault = read_text("quiet:\n  settings: {}\n  version: one\n").unwrap_err();
    assert_eq!(fault.script.line, Some(3));
}

#[test]
fn the_example_counts_only_without_a_manifest() {
    let env = PluginEnv::default();
    let limits = LimitRules::default();
    let example = ("plugin.yaml.example", "description: from the example\nauthor: a\n");
    let read_files = |files: &[(&str, &str)]| read("quiet", &snapshot(files), &env, &limits).unwrap();
    assert_eq!(read_files(&[example]).author.as_deref(), Some("a"));
    assert_eq!(read_files(&[example, ("plugin.yaml", "description: mine\n")]).author, None);
    let without = read_files(&[]);
    assert!(without.enabled && without.plugin_type == "lua");
}

#[test]
fn all_faults_are_told_at_once_each_with_its_line() {
    let fault = read_text(
        "name: loud\nversion: 1.2\nenabled: maybe\nlimits:\n  memory_mb: 3\nconfig:\n  a: ${HOME}\ndependencies: [\"Big one\"]\n",
    )
    .unwrap_err();
    let told: Vec<String> = fault.problems.iter().map(ToString::to_string).collect();
    let starts = [
        "plugin.yaml:1: name: `loud`",
        "plugin.yaml:2: version: `1.2`",
        "plugin.yaml:3: enabled: must be true or false",
        "plugin.yaml:5: limits.memory_mb: there is no such limit; did you mean \"memory_mib\"?",
        "plugin.yaml:7: config.a: the variable HOME may not be read",
        "plugin.yaml:8: dependencies:",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (told, start) in told.iter().zip(starts) {
        assert!(told.starts_with(start), "{told}");
    }
    assert_eq!((fault.outcome, fault.script.line), (Outcome::Syntax, Some(1)));
}

#[test]
fn unknown_keys_are_warned_of_with_a_suggestion() {
    let manifest = read_text(
        "depndencies: []\nconfig: { colr: 1 }\nconfig_schema: { properties: { color: {} } }\npermissions: { htp: true }\n",
    )
    .unwrap();
    let told: Vec<String> = manifest.warnings.iter().map(ToString::to_string).collect();
    assert!(
        told[0].starts_with("plugin.yaml:1: depndencies:") && told[0].contains("\"dependencies\""),
        "{told:?}"
    );
    assert!(told[1].contains("\"color\"") && told[2].contains("\"http\""), "{told:?}");
}

#[test]
fn a_broken_text_is_told_with_line_column_and_excerpt() {
    let fault = read_text("a: 1\nb: 'open\n").unwrap_err();
    assert_eq!(fault.outcome, Outcome::Syntax);
    assert!(fault.script.line.is_some() && fault.script.column.is_some(), "{fault:?}");
    assert!(read_text("- a\n").is_err() && read_text("\u{0}").is_err());
}

#[test]
fn a_bomb_is_a_fault_within_milliseconds() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (name, of) in ('b'..='z').zip('a'..='y') {
        bomb.push_str(&format!(
            "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"
        ));
    }
    let fault = read_text(&bomb).unwrap_err();
    assert_eq!(fault.outcome, Outcome::Limit);
}

#[test]
fn a_wrong_schema_is_told_where_it_stands() {
    let fault = read_text("config_schema:\n  properties:\n    from:\n      type: strin\n").unwrap_err();
    assert_eq!(fault.script.line, Some(4), "{fault:?}");
}

#[test]
fn a_plugin_that_needs_a_newer_server_says_so() {
    let fault = read_text("min_panotti: \"99.0.0\"\n").unwrap_err();
    assert!(fault.to_string().contains("it needs panotti 99.0.0"), "{fault}");
}

#[test]
fn what_is_said_of_a_permission_has_its_line() {
    let about = |text: &str, name: &str| read_text(text).unwrap().about_permission(name, "waits").to_string();
    let mapping =
        "version: \"1.0.0\"\npermissions:\n  db: true\n  fs:\n    - recordings:read\n  http: [a.example]\n";
    assert_eq!(about(mapping, "fs"), "plugin.yaml:4: permissions.fs: waits");
    assert_eq!(about(mapping, "http"), "plugin.yaml:6: permissions.http: waits");
    assert_eq!(about("permissions:\n- db\n- media\n", "media"), "plugin.yaml:3: permissions.media: waits");
    assert_eq!(about("tags: a\npermissions: learn\n", ""), "plugin.yaml:2: permissions: waits");
    let unknown = read_text("permissions:\n  - db\n  - htp\n").unwrap().warnings[0].to_string();
    assert_eq!(unknown, "plugin.yaml:3: permissions.htp: is no permission; did you mean \"http\"?");
}

#[test]
fn keys_that_are_described_beside_properties_are_told() {
    let told =
        |text: &str| read_text(text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let beside = told("config_schema:\n  from: { type: string }\n");
    assert!(beside[0].starts_with("plugin.yaml:2: config_schema.from: describes nothing here"), "{beside:?}");
    let misspelt = told("config_schema:\n  propertis:\n    from: { type: string }\n");
    assert!(misspelt[0].ends_with("did you mean \"properties\"?"), "{misspelt:?}");
    assert!(
        told("config_schema: { properties: { from: {} }, additionalProperties: {}, x-form: {} }").is_empty()
    );
}
