//! The config of plugins: where values come from, what is refused, and that a refusal changes nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::command_line::panotti;
use crate::common::Server;
use crate::common::server::Builder;

/// Tells what it runs with, and refuses a level of 13.
const LISTENS: &str = r#"
local level = panotti.config.level
panotti.on.on_config_changed(function(config, ctx)
  if config.token and config.token:sub(-4) == "-bad" then error("the token " .. config.token .. " opens nothing") end
  level = config.level
  panotti.kv.set("told", { level = level, changed = ctx.changed })
  if level == 13 then error("13 brings bad luck") end
end)
panotti.route("GET", "/level", function()
  return { held = level, config = panotti.config.level, told = panotti.kv.get("told") }
end)
"#;

/// The same for a plugin that reads its config when it is loaded.
const LOADS: &str = r#"
local level = panotti.config.level
if level == 13 then error("13 brings bad luck") end
panotti.route("GET", "/level", function() return { held = level, config = panotti.config.level } end)
"#;

const YAML: &str = r#"version: "1.0.0"
permissions: { routes: true }
config:
  level: 2
  net: { host: a.example }
config_schema:
  properties:
    level: { type: integer, minimum: 1, maximum: 20, default: 1, title: Level, description: how much }
    mode: { enum: [low, high], default: low }
    net:
      type: object
      properties: { host: { type: string }, port: { type: integer, default: 80 } }
    token: { type: string, writeOnly: true, pattern: "^k-" }
"#;

fn with(lua: &str) -> Builder {
    Server::with().plugin("p", lua).plugin_file("p", "plugin.yaml", YAML)
}

const CONFIG: &str = "/api/v1/plugins/p/config";

fn item(server: &Server, key: &str) -> Value {
    let all = server.get(CONFIG).expect(200);
    all["items"].as_array().unwrap().iter().find(|it| it["key"] == key).cloned().unwrap_or_default()
}

fn level(server: &Server) -> Value {
    server.get("/api/v1/plugins/p/x/level").expect(200)
}

fn events(server: &Server, kind: &str) -> Vec<Value> {
    let page = server.get(&format!("/api/v1/events?type={kind}&limit=100")).expect(200);
    page["items"].as_array().unwrap().clone()
}

#[test]
fn each_value_tells_its_source_and_a_variable_locks_it() {
    let server = with(LISTENS)
        .env("PANOTTI_PLUGIN_P__MODE", "high")
        .env("PANOTTI_PLUGIN_P__NET__PORT", "8080")
        .env("PANOTTI_PLUGIN_P__MOED", "high")
        .env("PANOTTI_PLUGIN_Q__MODE", "high")
        .plugin("filled", "panotti.log.info(panotti.config.key)")
        .plugin_file("filled", "plugin.yaml", "config: { key: \"${PANOTTI_PLUGIN_SHARED__KEY}\" }")
        .env("PANOTTI_PLUGIN_SHARED__KEY", "from elsewhere")
        .start();
    let said =
        |what: &str| server.log_lines().iter().any(|it| it["message"].as_str().unwrap().contains(what));
    assert!(said(
        "PANOTTI_PLUGIN_P__MOED: nothing declares a key `moed` of the config; did you mean `mode`?"
    ));
    assert!(said("PANOTTI_PLUGIN_Q__MODE: there is no plugin whose config it could set"));
    assert!(said("from elsewhere") && !said("PANOTTI_PLUGIN_SHARED__KEY: "));
    assert_eq!(item(&server, "level")["source"], "yaml");
    assert_eq!(
        (&item(&server, "level")["title"], &item(&server, "level")["description"]),
        (&json!("Level"), &json!("how much"))
    );
    let mode = item(&server, "mode");
    assert_eq!(
        (&mode["value"], &mode["source"], &mode["locked"]),
        (&json!("high"), &json!("environment"), &json!(true))
    );
    assert_eq!(item(&server, "net")["value"], json!({ "host": "a.example", "port": 8080 }));
    let refused = server.patch(CONFIG, json!({ "level": 3, "mode": "low" })).problem(409, "conflict");
    assert!(refused["detail"].as_str().unwrap().contains("PANOTTI_PLUGIN_P__MODE"), "{refused}");
    assert_eq!(refused["variables"], json!(["PANOTTI_PLUGIN_P__MODE"]));
    assert_eq!(level(&server)["held"], 2, "all or nothing");
    server.post(CONFIG, json!({ "key": "net", "value": {} })).problem(409, "conflict");
    let row = server.post(CONFIG, json!({ "key": "level", "value": 5 })).expect(201);
    assert_eq!((&row["source"], &row["locked"]), (&json!("database"), &json!(false)));
    let schema = server.get(&format!("{CONFIG}/schema")).expect(200);
    let mode = schema["keys"].as_array().unwrap().iter().find(|it| it["key"] == "mode").unwrap();
    assert_eq!((&mode["locked"], &mode["variable"]), (&json!(true), &json!("PANOTTI_PLUGIN_P__MODE")));
}

#[test]
fn several_values_change_in_one_step_and_the_plugin_is_told_which() {
    let server = with(LISTENS).start();
    let done = server.patch(CONFIG, json!({ "level": 7, "net": { "port": 81 }, "mode": "low" })).expect(200);
    // `mode` is stored, though its value is the default's: the plugin sees no change of it.
    assert_eq!(done["changed"], json!(["level", "mode", "net"]));
    assert_eq!(item(&server, "net")["value"], json!({ "host": "a.example", "port": 81 }));
    let told = level(&server);
    assert_eq!((&told["held"], &told["config"]), (&json!(7), &json!(7)));
    let mut changed: Vec<&str> =
        told["told"]["changed"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    changed.sort_unstable();
    assert_eq!(changed, ["level", "net"]);
    assert_eq!(events(&server, "plugin.config_changed").len(), 1);
    assert_eq!(events(&server, "config.changed").len(), 3);

    let again = server.patch(CONFIG, json!({ "level": 7, "mode": "low" })).expect(200);
    assert_eq!(again["changed"], json!([]));
    assert_eq!(events(&server, "plugin.config_changed").len(), 1, "nothing happened");
    let audit = server.get("/api/v1/audit?action=plugin.config.change").expect(200);
    let changes = audit["items"].as_array().unwrap().iter().filter(|it| it["detail"]["keys"].is_array());
    assert_eq!(changes.count(), 1, "{audit}");

    server.patch(CONFIG, json!({ "level": null, "net": null, "mode": null })).expect(200);
    assert_eq!((&level(&server)["held"], &item(&server, "level")["source"]), (&json!(2), &json!("yaml")));
}

#[test]
fn a_wrong_value_is_told_with_all_others_and_nothing_changes() {
    let server = with(LISTENS).start();
    server.patch(CONFIG, json!({ "level": 5 })).expect(200);
    let wrong = json!({ "level": 99, "mode": "loud", "net": { "port": "x" }, "token": "hunter2" });
    let problem = server.patch(CONFIG, wrong.clone()).problem(422, "invalid");
    let mut at: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().filter_map(|it| it["pointer"].as_str()).collect();
    at.sort_unstable();
    assert_eq!(at, ["/level", "/mode", "/net/port", "/token"]);
    assert!(!problem.to_string().contains("hunter2"), "{problem}");
    assert_eq!((&level(&server)["held"], &item(&server, "level")["value"]), (&json!(5), &json!(5)));

    let check = server.post(&format!("{CONFIG}/validate"), wrong).expect(200);
    assert_eq!((&check["ok"], check["faults"].as_array().unwrap().len()), (&json!(false), 4), "{check}");
    assert!(!check.to_string().contains("hunter2"), "{check}");
    let check = server.post(&format!("{CONFIG}/validate"), json!({ "level": 6, "levle": 1 })).expect(200);
    assert_eq!((&check["ok"], &check["changed"]), (&json!(true), &json!(["level", "levle"])));
    assert!(check["items"].to_string().contains("did you mean `level`?"), "{check}");
    assert_eq!(level(&server)["held"], 5, "a dry run changes nothing");
}

#[test]
fn what_the_plugin_refuses_is_not_stored_and_it_has_its_old_values_back() {
    let server = with(LISTENS).start();
    server.patch(CONFIG, json!({ "level": 5 })).expect(200);
    let log = server.log_length();
    let problem = server.patch(CONFIG, json!({ "level": 13, "mode": "high" })).problem(422, "config_refused");
    assert!(problem["detail"].as_str().unwrap().contains("13 brings bad luck"), "{problem}");
    assert_eq!(problem["errors"][0]["file"], "init.lua", "{problem}");
    let told = level(&server);
    assert_eq!((&told["held"], &told["config"], &told["told"]["level"]), (&json!(5), &json!(5), &json!(5)));
    assert_eq!(
        (&item(&server, "level")["value"], &item(&server, "mode")["source"]),
        (&json!(5), &json!("default"))
    );
    assert_eq!(events(&server, "plugin.config_changed").len(), 1);
    let server = server.restart();
    assert_eq!(level(&server)["held"], 5);
    assert!(log > 0);

    // A secret that it refuses, and names, is told to nobody.
    let problem = server.patch(CONFIG, json!({ "token": "k-hunter2-bad" })).problem(422, "config_refused");
    assert!(!problem.to_string().contains("hunter2") && problem.to_string().contains("***"), "{problem}");
    let all = format!("{:?}{}", server.log_lines(), server.get("/api/v1/plugins/p/status").expect(200));
    assert!(!all.contains("hunter2"), "{all}");
    assert_eq!(item(&server, "token"), Value::Null);
}

#[test]
fn a_plugin_that_does_not_listen_is_made_anew_or_stays_as_it_is() {
    let server = with(LOADS).start();
    server.patch(CONFIG, json!({ "level": 5 })).expect(200);
    assert_eq!(level(&server)["held"], 5);
    let generation = || server.get("/api/v1/plugins/p").expect(200)["state"].clone();
    server.patch(CONFIG, json!({ "level": 13 })).problem(422, "config_refused");
    assert_eq!((&level(&server)["held"], generation()), (&json!(5), json!("running")));
    assert_eq!(item(&server, "level")["value"], 5);
    let place = format!("{CONFIG}/{}", item(&server, "level")["id"]);
    server.put(&place, json!({ "value": 13 })).problem(422, "config_refused");
    server.delete(&place).expect(204);
    assert_eq!(level(&server)["held"], 2);
}

#[test]
fn a_key_that_is_needed_cannot_be_dropped() {
    let yaml = "config_schema: { properties: { key: { type: string } }, required: [key] }";
    let server = Server::with()
        .plugin("p", LISTENS)
        .plugin_file("p", "plugin.yaml", &format!("permissions: {{ routes: true }}\n{yaml}"))
        .start();
    let row = server.post(CONFIG, json!({ "key": "key", "value": "k" })).expect(201);
    crate::common::server::wait_for("the plugin", || {
        (server.get("/api/v1/plugins/p").expect(200)["state"] == "running").then_some(())
    });
    let problem = server.delete(&format!("{CONFIG}/{}", row["id"])).problem(422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/key", "{problem}");
    assert_eq!(item(&server, "key")["value"], "k");
}

#[test]
fn a_version_that_does_not_take_the_stored_values_is_not_gone_back_to() {
    let server = with(LOADS).start();
    let files = server.folder().join("plugins/p/plugin.yaml");
    std::fs::write(&files, YAML.replace("maximum: 20", "maximum: 50")).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    server.patch(CONFIG, json!({ "level": 40 })).expect(200);
    let problem = server.post("/api/v1/plugins/p/rollback", json!({})).problem(422, "plugin_load_failed");
    let told = problem.to_string();
    assert!(told.contains("config.level") && told.contains("stored in the database"), "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("panotti config set"), "{problem}");
    assert_eq!(level(&server)["held"], 40);
    assert!(std::fs::read_to_string(&files).unwrap().contains("maximum: 50"));
    server.patch(CONFIG, json!({ "level": 4 })).expect(200);
    server.post("/api/v1/plugins/p/rollback", json!({})).expect(200);
}

#[test]
fn a_schema_that_is_wrong_is_a_load_error_with_every_line() {
    let yaml = "config_schema:\n  properties:\n    a: { type: strin }\n    b:\n      type: integer\n      minimum: 5\n      maximum: 3\n    c:\n      type: integer\n      default: many\n";
    let server = Server::with().plugin("p", LOADS).plugin_file("p", "plugin.yaml", yaml).start();
    let error = server.get("/api/v1/plugins/p").expect(200)["last_error"].clone();
    let told = error["message"].as_str().unwrap();
    assert_eq!((&error["file"], &error["line"]), (&json!("plugin.yaml"), &json!(3)), "{error}");
    assert!(told.contains("did you mean `string`?") && told.contains("plugin.yaml:6:"), "{told}");
    let mended = yaml.replace("strin }", "string }").replace("minimum: 5", "minimum: 2");
    std::fs::write(server.folder().join("plugins/p/plugin.yaml"), mended).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    let error = server.get("/api/v1/plugins/p").expect(200)["last_error"].clone();
    assert_eq!(error["line"], 10, "{error}");
    assert!(error["message"].as_str().unwrap().contains("the default does not fit"), "{error}");
}

#[test]
fn faults_of_values_name_the_line_the_variable_or_the_database() {
    let yaml = "config:\n  level: much\n  net:\n    port: x\nconfig_schema:\n  properties:\n    level: { type: integer }\n    mode: { type: integer }\n    net: { properties: { port: { type: integer } } }\n    token: { type: string, writeOnly: true }\n  required: [absent]\n";
    let server = Server::with()
        .plugin("p", LOADS)
        .plugin_file("p", "plugin.yaml", yaml)
        .env("PANOTTI_PLUGIN_P__MODE", "loud")
        .start();
    let check = server.post(&format!("{CONFIG}/validate"), json!({})).expect(200);
    let at = |pointer: &str| {
        let found = check["faults"].as_array().unwrap().iter().find(|it| it["pointer"] == pointer).cloned();
        found.unwrap_or_else(|| panic!("{pointer}: {check}"))
    };
    assert_eq!(
        (&at("/level")["file"], &at("/level")["line"], &at("/level")["source"]),
        (&json!("plugin.yaml"), &json!(2), &json!("yaml"))
    );
    assert_eq!(at("/net/port")["line"], 4);
    assert_eq!(at("/mode")["variables"], json!(["PANOTTI_PLUGIN_P__MODE"]));
    assert_eq!((&at("/absent")["source"], &at("/absent")["message"]), (&json!(null), &json!("is required")));
    let error = server.get("/api/v1/plugins/p").expect(200)["last_error"].to_string();
    assert!(
        error.contains("PANOTTI_PLUGIN_P__MODE") && error.contains("plugin.yaml:4: config.net.port"),
        "{error}"
    );
}

#[test]
fn the_command_line_lists_sets_and_checks_and_takes_secrets_from_stdin_alone() {
    use std::io::Write;
    use std::process::{Command, Stdio};

    let server = with(LISTENS).start();
    let data = server.folder().join("data");
    let data = data.to_str().unwrap();
    let run = |args: &[&str]| {
        let out = panotti(server.folder(), &[], &[&["config"], args, &["--data-dir", data]].concat());
        (
            out.status.code().unwrap(),
            String::from_utf8(out.stdout).unwrap(),
            String::from_utf8(out.stderr).unwrap(),
        )
    };
    let listed = run(&["list", "p"]).1;
    assert!(
        listed.contains("level  2") && listed.contains("token  -") && listed.contains("unset"),
        "{listed}"
    );
    assert_eq!(run(&["set", "p", "level", "6"]), (0, "p: level = 6 (database)\n".to_owned(), String::new()));
    assert_eq!(run(&["get", "p", "level"]).1, "6\n");
    let (code, _, told) = run(&["set", "p", "level", "many"]);
    assert!(code == 1 && told.contains("/level"), "{told}");
    let (code, _, told) = run(&["set", "p", "token", "k-hunter2"]);
    assert!(code == 2 && told.contains("--stdin"), "{told}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_panotti"))
        .current_dir(server.folder())
        .args(["config", "set", "p", "token", "--stdin", "--data-dir", data])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"k-hunter2\n").unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), "p: token = (secret) (database)\n");
    assert_eq!(item(&server, "token")["secret"], true);
    let (code, told, _) = run(&["list", "p", "--json"]);
    assert!(code == 0 && !told.contains("hunter2") && serde_json::from_str::<Value>(&told).is_ok());
    let (code, _, told) = run(&["validate", "p", "level", "99"]);
    assert!(code == 1 && told.contains("/level"), "{told}");
    assert_eq!(run(&["validate", "p"]).0, 0);
    assert_eq!(run(&["unset", "p", "level"]).1, "p: level = 2 (yaml)\n");
    let (code, _, told) = run(&["get", "p", "levle"]);
    assert!(code == 1 && told.contains("did you mean `level`?"), "{told}");
}

#[test]
fn changes_at_once_each_happen_whole() {
    let server = with(LISTENS).start();
    let client = Arc::new(server.client());
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let client = Arc::clone(&client);
            std::thread::spawn(move || {
                let level = [4, 13][number % 2];
                let mode = ["low", "high"][number % 2];
                client.patch(CONFIG, json!({ "level": level, "mode": mode })).status
            })
        })
        .collect();
    let mut answers: Vec<u16> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    answers.sort_unstable();
    assert_eq!(answers, [200, 200, 200, 200, 422, 422, 422, 422]);
    assert_eq!((&level(&server)["held"], &level(&server)["config"]), (&json!(4), &json!(4)));
    assert_eq!(item(&server, "mode")["value"], "low");
}
