use std::net::{IpAddr, Ipv4Addr};

use super::super::LogFormat;
use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn flag(key: &'static str, flag: &'static str, values: &[&str]) -> FlagValue {
    FlagValue { key, flag, values: values.iter().map(|value| (*value).to_owned()).collect() }
}

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(text: &str) -> File {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("panotti.yaml");
    std::fs::write(&path, text).expect("written");
    File { _folder: folder, path }
}

fn faults_of(sources: Sources) -> Vec<String> {
    load(sources).expect_err("faults").0.iter().map(ToString::to_string).collect()
}

#[test]
fn every_row_has_a_field_and_every_field_a_row() {
    let settings = Settings::default();
    let Value::Object(fields) = serde_json::to_value(&settings).expect("plain data") else {
        panic!("a mapping")
    };
    let mut keys = Vec::new();
    for (key, value) in fields {
        match value {
            Value::Object(inner) => keys.extend(inner.keys().map(|name| format!("{key}.{name}"))),
            _ if key == "config_file" => {}
            _ => keys.push(key),
        }
    }
    let mut rows: Vec<_> = SETTINGS.iter().map(|row| row.key.to_owned()).collect();
    keys.sort();
    rows.sort();
    assert_eq!(keys, rows);
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let settings = Settings::default();
    assert_eq!(settings.address().to_string(), "127.0.0.1:8000");
    assert_eq!(settings.recordings_dir, Path::new("data").join("recordings"));
    assert_eq!(settings.database_path(), Path::new("data").join("panotti.db"));
    assert_eq!(settings.plugin_dirs, [PathBuf::from("user_plugins")]);
    assert_eq!(settings.log_format, LogFormat::Text);
    assert!(settings.lua_threads >= 2);
}

#[test]
fn flags_win_over_variables_over_the_file_over_the_defaults() {
    let file = file(
        "port: 1001\nlog: warn\nlimits:\n  cpu_ms: 11\n  timers: 7\nallowed_hosts: [a.example, b.example]\n",
    );
    let settings = load(Sources {
        file: Some(file.path.clone()),
        env: env(&[
            ("PANOTTI_PORT", "1002"),
            ("PANOTTI_LIMITS_CPU_MS", "22"),
            ("PANOTTI_DATA_DIR", "/d"),
            ("HOME", "/"),
        ]),
        flags: vec![flag("port", "--port", &["1003"]), flag("plugin_dirs", "--plugin-dir", &["a", "b"])],
        ..Sources::default()
    })
    .expect("accepted");
    assert_eq!(settings.port, 1003);
    assert_eq!(settings.log, "warn");
    assert_eq!((settings.limits.cpu_ms, settings.limits.timers, settings.limits.hooks), (22, 7, 256));
    assert_eq!(settings.plugin_dirs, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(settings.allowed_hosts, ["a.example", "b.example"]);
    assert_eq!(settings.database_url, "sqlite:/d/panotti.db");
    assert_eq!(settings.config_file, Some(file.path.clone()));
}

#[test]
fn all_faults_of_all_layers_are_told_at_once_each_with_its_source() {
    let file = file("port: 99999\nlog_fromat: json\nlimits:\n  cpu_ms: soon\n  memory_mb: 3\nbreaker: 5\n");
    let shown = file.path.display().to_string();
    let told = faults_of(Sources {
        file: Some(file.path.clone()),
        env: env(&[
            ("PANOTTI_PROT", "1"),
            ("PANOTTI_DATABASE_URL", "mysql://x"),
            ("PANOTTI_PLUGIN_NOTES__KEY", "x"),
        ]),
        flags: vec![flag("host", "--host", &["everywhere"])],
        ..Sources::default()
    });
    let expected = [
        format!("{shown}:1: port: 99999 is not accepted; use a whole number from 0 to 65535"),
        format!("{shown}:2: there is no setting \"log_fromat\"; did you mean \"log_format\"?"),
        format!("{shown}:4: limits.cpu_ms: \"soon\" is not accepted; use a whole number from 1 to 86400000"),
        format!("{shown}:5: there is no setting \"limits.memory_mb\"; did you mean \"limits.memory_mib\"?"),
        format!("{shown}:6: breaker: is a section; use a mapping of `key: value` under it"),
        "PANOTTI_DATABASE_URL: \"mysql://x\" is not accepted; use sqlite:<path of a file>, the only database so far".to_owned(),
        "PANOTTI_PROT: there is no such variable; did you mean \"PANOTTI_PORT\"?".to_owned(),
        "--host: \"everywhere\" is not accepted; use an IP address such as 127.0.0.1 or ::1".to_owned(),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_named_file_must_exist_and_the_default_one_need_not() {
    let told =
        faults_of(Sources { env: env(&[("PANOTTI_CONFIG", "/nowhere/p.yaml")]), ..Sources::default() });
    assert!(
        told[0].starts_with("PANOTTI_CONFIG: the settings file /nowhere/p.yaml cannot be read"),
        "{told:?}"
    );
    assert_eq!(load(Sources::default()).expect("accepted").config_file, None);
}

#[test]
fn a_broken_file_is_told_with_line_and_column() {
    let file = file("port: 8000\nhost: [\n");
    let told = faults_of(Sources { file: Some(file.path.clone()), ..Sources::default() });
    assert!(told[0].starts_with(&format!("{}:3:1: ", file.path.display())), "{told:?}");
}

#[test]
fn a_public_address_needs_a_proxy() {
    let public = env(&[("PANOTTI_HOST", "0.0.0.0")]);
    let told = faults_of(Sources { env: public.clone(), ..Sources::default() });
    assert!(told[0].starts_with("PANOTTI_HOST: 0.0.0.0 can be reached from other machines"), "{told:?}");
    assert!(told[0].contains("behind_proxy"), "{told:?}");
    assert!(told[0].contains("tls_cert and tls_key"), "{told:?}");
    let behind = [public, env(&[("PANOTTI_BEHIND_PROXY", "yes")])].concat();
    let settings = load(Sources { env: behind, ..Sources::default() }).expect("accepted");
    assert_eq!(settings.host, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}

#[test]
fn metadata_larger_than_a_body_is_a_fault() {
    let told = faults_of(Sources { env: env(&[("PANOTTI_BODY_MAX_BYTES", "2048")]), ..Sources::default() });
    assert!(told[0].starts_with("PANOTTI_BODY_MAX_BYTES: metadata_max_bytes (262144) "), "{told:?}");
}

#[test]
fn hosts_of_webhooks_are_names_and_addresses_without_scheme_and_port() {
    let with = |hosts| load(Sources { env: env(&[("PANOTTI_WEBHOOK_HOSTS", hosts)]), ..Sources::default() });
    let settings = with("127.0.0.1, nas.lan,::1,[::1],*.home").expect("all are hosts");
    assert_eq!(settings.webhook_hosts.len(), 5);
    for wrong in ["nas.lan:8123", "http://nas.lan", "me@nas.lan", "10.0.0.0/8"] {
        let fault = with(wrong).expect_err(wrong).0[0].to_string();
        assert!(fault.contains("without scheme and port"), "{fault}");
    }
}

#[test]
fn certificate_and_key_go_together_and_must_be_there() {
    let told = |pairs: &[(&str, &str)]| faults_of(Sources { env: env(pairs), ..Sources::default() });
    let half = told(&[("PANOTTI_TLS_KEY", "key.pem")]);
    assert_eq!(half, ["PANOTTI_TLS_KEY: tls_key is set without tls_cert: set both for HTTPS, or none"]);
    let gone = told(&[
        ("PANOTTI_TLS_CERT", "/no/cert.pem"),
        ("PANOTTI_TLS_KEY", "/no/key.pem"),
        ("PANOTTI_HOST", "0.0.0.0"),
    ]);
    assert!(
        gone.len() == 2
            && gone[0].starts_with("PANOTTI_TLS_CERT: /no/cert.pem cannot be read: ")
            && gone[1].starts_with("PANOTTI_TLS_KEY: /no/key.pem cannot be read: "),
        "{gone:?}"
    );
}

#[test]
fn origins_of_cors_are_exact_and_never_all() {
    let with =
        |origins| load(Sources { env: env(&[("PANOTTI_CORS_ORIGINS", origins)]), ..Sources::default() });
    let settings =
        with("https://app.example, http://localhost:3000,http://[::1]:5173").expect("all are origins");
    assert_eq!(settings.cors_origins.len(), 3);
    for (wrong, why) in [
        ("*", "any page"),
        ("https://*.example", "any page"),
        ("https://app.example/", "did you mean https://app.example?"),
        ("https://App.example:443", "did you mean https://app.example?"),
        ("app.example", "is not an origin such as"),
        ("null", "is not an origin such as"),
    ] {
        let fault = with(wrong).expect_err(wrong).0[0].to_string();
        assert!(fault.contains(why), "{fault}");
    }
}
