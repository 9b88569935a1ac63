//! The author's guide and the README are true: their scripts run, their errors are the real ones, their tables are those of the code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use panotti::config::SETTINGS;
use panotti::hooks::Hook;
use panotti::hooks::catalogue::Payload;
use serde_json::Value;

use crate::common::Server;

/// One block of the guide: what stands behind its fence, and its text.
struct Block {
    line: usize,
    info: String,
    text: String,
}

impl Block {
    /// `key=value` or `key="a value"` behind the fence.
    fn option(&self, key: &str) -> Option<String> {
        let rest = self.info.split_once(&format!(" {key}="))?.1;
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(value, _)| value.to_owned()),
            None => rest.split_whitespace().next().map(str::to_owned),
        }
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("user_plugins/README.md")
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(_), true) => open = false,
            (Some(info), false) => {
                open = true;
                found.push(Block { line: number + 1, info: info.to_owned(), text: String::new() });
            }
            (None, true) => {
                let block = found.last_mut().expect("an open block");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    found
}

/// A plugin of the guide: its files, and what it must fail with.
#[derive(Default)]
pub struct Plugin {
    pub files: Vec<(String, String)>,
    pub fails: Option<String>,
}

/// The plugins of the guide by name.
pub fn plugins() -> BTreeMap<String, Plugin> {
    let guide = fs::read_to_string(path()).unwrap();
    let readme = fs::read_to_string(path().parent().unwrap().with_file_name("README.md")).unwrap();
    let mut plugins: BTreeMap<String, Plugin> = BTreeMap::new();
    for block in blocks(&guide).into_iter().chain(blocks(&readme)) {
        let language = block.info.split_whitespace().next().unwrap_or_default();
        let named = block.option("plugin");
        let file = match (language, &named) {
            ("lua", _) => block.option("file").unwrap_or_else(|| "init.lua".to_owned()),
            ("yaml", Some(_)) => "plugin.yaml".to_owned(),
            ("sql", Some(_)) => block.option("file").unwrap_or_default(),
            _ => continue,
        };
        let name = named.unwrap_or_else(|| format!("line_{}", block.line));
        let plugin = plugins.entry(name).or_default();
        plugin.fails = plugin.fails.take().or_else(|| block.option("fails"));
        plugin.files.push((file, block.text));
    }
    // A manifest that is shown alone still has to be a right one.
    for Plugin { files, .. } in plugins.values_mut() {
        if !files.iter().any(|(file, _)| file == "init.lua") {
            files.push(("init.lua".to_owned(), String::new()));
        }
    }
    plugins
}

#[test]
fn every_script_of_the_guide_loads_or_fails_as_the_guide_says() {
    let plugins = plugins();
    assert!(plugins.len() > 15, "the guide has lost its scripts: {:?}", plugins.keys());
    let mut server = Server::with();
    for (name, Plugin { files, .. }) in &plugins {
        for (file, text) in files {
            server = server.plugin_file(name, file, text);
        }
    }
    let server = server.start();
    let mut wrong = String::new();
    for (name, Plugin { fails, .. }) in &plugins {
        let status = server.get(&format!("/api/v1/plugins/{name}/status")).expect(200);
        let error = &status["last_error"];
        let told = format!(
            "{} {}",
            error["message"].as_str().unwrap_or_default(),
            error["hint"].as_str().unwrap_or_default()
        );
        let fine = match fails {
            None => status["state"] == "running" && error.is_null(),
            Some(message) => status["state"] == "failed" && told.contains(message.as_str()),
        };
        if !fine {
            writeln!(wrong, "{name} (expected {fails:?}): {status:#}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_first_plugin_does_what_the_guide_says() {
    let Plugin { files, .. } = plugins().remove("first").unwrap();
    let server = Server::with().plugin("first", &files[0].1).start();
    let recording = server.post("/api/v1/recordings", serde_json::json!({ "id": "try-1" })).expect(201);
    assert_eq!(
        (recording["title"].as_str(), recording["metadata"]["seen_by"].as_str()),
        (Some("Untitled"), Some("first"))
    );
    let private = serde_json::json!({ "metadata": { "private": true } });
    let problem = server.post("/api/v1/recordings", private).problem(422, "hook_denied");
    assert!(problem["detail"].as_str().unwrap().contains("private meetings are not recorded"), "{problem}");
    server.post("/api/v1/recordings/try-1/end", serde_json::json!({})).expect(200);
    server.wait_for_log("the line of the first plugin", |it| {
        it["message"] == "it is over" && it["plugin"] == "first"
    });
}

#[test]
fn an_edited_plugin_takes_over_after_a_rescan_and_a_broken_edit_changes_nothing() {
    let titled = |title: &str| {
        format!("panotti.on.before_recording_start(function() return {{ title = '{title}' }} end)")
    };
    let server = Server::with().plugin("first", &titled("one")).start();
    let edit = |text: &str| {
        fs::write(server.folder().join("plugins/first/init.lua"), text).unwrap();
        server.post("/api/v1/plugins/rescan", serde_json::json!({})).expect(200)
    };
    let title = || server.post("/api/v1/recordings", serde_json::json!({})).expect(201)["title"].clone();
    assert_eq!(title(), "one");
    assert_eq!(edit(&titled("two"))["reloaded"], serde_json::json!(["first"]));
    assert_eq!(title(), "two");
    assert_eq!(edit("panotti.on.before_recording_start(function(")["failed"], serde_json::json!(["first"]));
    assert_eq!(title(), "two");
    let status = server.get("/api/v1/plugins/first/status").expect(200);
    assert_eq!((&status["state"], &status["last_error"]["outcome"]), (&"running".into(), &"syntax".into()));
}

#[test]
fn the_guide_names_every_module() {
    let guide = fs::read_to_string(path()).unwrap();
    for name in panotti::lua::api::MODULES.iter().map(|it| it.name).filter(|it| !it.is_empty()) {
        let told = [format!("`panotti.{name}"), format!("`{name}`"), format!("`{name}()`")];
        assert!(told.iter().any(|it| guide.contains(it.as_str())), "{name}");
    }
}

#[test]
fn the_tables_of_the_guide_are_those_of_the_code() {
    let kept = fs::read_to_string(path()).unwrap();
    let text = with_block(&with_block(&kept, "hooks", &hooks()), "limits", &limits());
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(path(), &text).unwrap();
    } else {
        assert!(
            kept == text,
            "a table of user_plugins/README.md is stale: run `UPDATE_GENERATED=1 cargo test tables_of_the_guide`"
        );
    }
}

/// `text` with what stands between `<!-- name: … -->` and `<!-- /name -->` replaced.
fn with_block(text: &str, name: &str, block: &str) -> String {
    let (before, rest) = text.split_once(&format!("<!-- {name}:")).expect("the mark");
    let (note, rest) = rest.split_once("-->\n").expect("the end of the mark");
    let (_, after) = rest.split_once(&format!("<!-- /{name} -->")).expect("the end of the block");
    format!("{before}<!-- {name}:{note}-->\n{block}<!-- /{name} -->{after}")
}

fn hooks() -> String {
    let mut text = "| hook | is given | kind | when | may |\n|---|---|---|---|---|\n".to_owned();
    for hook in Hook::ALL {
        let info = hook.info();
        let given =
            info.payload.type_name().map_or_else(|| "-".to_owned(), |it| format!("`{}`", it.to_lowercase()));
        let mut may: Vec<String> = Vec::new();
        if info.may_deny {
            may.push("refuse".to_owned());
        }
        if !info.may_patch.is_empty() {
            may.push(format!("change {}", info.may_patch.join(", ")));
        }
        let may = if may.is_empty() { "-".to_owned() } else { may.join("; ") };
        writeln!(text, "| `{}` | {given} | {} | {} | {may} |", info.name, info.kind.as_str(), info.doc)
            .unwrap();
    }
    text.push_str("\nWhat they are given:\n");
    for payload in [Payload::Recording, Payload::Clip, Payload::Request, Payload::Response, Payload::App] {
        let name = payload.type_name().unwrap_or_default().to_lowercase();
        write!(text, "\n| `{name}` | type | |\n|---|---|---|\n").unwrap();
        for (field, kind, meaning) in payload.fields() {
            writeln!(text, "| `{field}` | `{kind}` | {meaning} |").unwrap();
        }
    }
    text.push_str(
        "\nA type with `?` may be nil. A `Track` has `path`, `size`, `duration`, `codec`, `sample_rate`, `channels` and \
         `sha256`. `config` is the plugin's config, `state` what `on_unload` returned.\n",
    );
    text
}

fn limits() -> String {
    let mut text = "| limit | default | at most | what it bounds |\n|---|---|---|---|\n".to_owned();
    for row in SETTINGS.iter().filter(|it| it.section() == Some("limits")) {
        let unit = if row.unit.is_empty() { String::new() } else { format!(" {}", row.unit) };
        let key = format!("limits_max.{}", row.name());
        let most = SETTINGS.iter().find(|it| it.key == key).expect("its maximum").default_text();
        writeln!(text, "| `{}` | {}{unit} | {most}{unit} | {} |", row.name(), row.default_text(), row.doc)
            .unwrap();
    }
    text
}

#[test]
fn the_error_that_the_guide_shows_is_the_one_an_author_gets() {
    let text = fs::read_to_string(path()).unwrap();
    let shown = blocks(&text).into_iter().find(|it| it.option("shows").as_deref() == Some("status"));
    let shown: Value = serde_json::from_str(&shown.expect("the error in the guide").text).unwrap();
    let Plugin { files, .. } = plugins().remove("mistaken").unwrap();
    let server = Server::with().plugin("mistaken", &files[0].1).start();
    server.post("/api/v1/recordings", serde_json::json!({ "title": "Standup" })).expect(201);
    let status = server.get("/api/v1/plugins/mistaken/status").expect(200);
    assert_eq!(shown["state"], status["state"]);
    let shown = shown["last_error"].as_object().unwrap();
    assert!(shown.len() > 5);
    for (key, value) in shown {
        assert_eq!(value, &status["last_error"][key], "{key}: {status:#}");
    }
}
