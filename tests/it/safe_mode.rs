//! Starting in spite of plugins: with all of them off, and without the one that kills the process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::{Builder, wait_for};

fn in_folder(folder: &Arc<tempfile::TempDir>) -> Builder {
    Server::with().in_folder(Arc::clone(folder))
}

fn folder() -> Arc<tempfile::TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

fn status(server: &Server, plugin: &str) -> Value {
    server.get(&format!("/api/v1/plugins/{plugin}/status")).expect(200)
}

fn state(server: &Server, plugin: &str) -> String {
    status(server, plugin)["state"].as_str().unwrap().to_owned()
}

#[test]
fn in_safe_mode_every_plugin_is_off_until_it_is_enabled_and_the_next_start_is_as_before() {
    let folder = folder();
    let mut server = in_folder(&folder)
        .plugin("a", "-- a")
        .plugin("b", "-- b")
        .plugin("c", "-- c")
        .plugin("needs_b", "-- needs_b")
        .plugin_file("needs_b", "plugin.yaml", "dependencies: [b]")
        .start();
    server.post("/api/v1/plugins/c/disable", json!({})).expect(200);
    assert!(server.stop().success());

    let mut server = in_folder(&folder).env("PANOTTI_SAFE_MODE", "true").env("PANOTTI_WATCH", "auto").start();
    for plugin in ["a", "b", "c", "needs_b"] {
        let told = status(&server, plugin);
        assert_eq!(told["state"], "disabled", "{plugin}");
        assert_eq!(told["enabled"], plugin != "c", "what is wanted stays: {plugin}");
        assert!(told["warnings"].to_string().contains("safe mode"), "{told}");
    }
    // An edit, a new folder and a rescan start nothing either.
    fs::write(folder.path().join("plugins/a/init.lua"), "panotti.log.info('edited')").unwrap();
    fs::create_dir(folder.path().join("plugins/late")).unwrap();
    fs::write(folder.path().join("plugins/late/init.lua"), "-- late").unwrap();
    wait_for("the new folder", || (server.get("/api/v1/plugins/late/status").status == 200).then_some(()));
    let rescan = server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(rescan["started"], json!([]));
    // One that is tried runs; one whose need is off does not, and stays wanted.
    server.post("/api/v1/plugins/a/enable", json!({})).expect(200);
    let told = status(&server, "a");
    assert_eq!((&told["state"], &told["warnings"]), (&json!("running"), &json!([])));
    server.post("/api/v1/plugins/needs_b/enable", json!({})).problem(422, "plugin_load_failed");
    assert!(server.stop().success());

    let server = in_folder(&folder).start();
    let states: Vec<String> = ["a", "b", "c", "late", "needs_b"].map(|it| state(&server, it)).into();
    assert_eq!(states, ["running", "running", "disabled", "running", "running"]);
}

#[test]
fn the_banner_of_safe_mode_says_so() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("plugins/a")).unwrap();
    fs::write(folder.path().join("plugins/a/init.lua"), "-- a").unwrap();
    let mut child = command(&folder).args(["serve", "--safe-mode"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.into_iter().find(|it| it.starts_with("plugins"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told.unwrap().starts_with("plugins   1 disabled  (safe mode: all stay off until you enable one"));
}

/// The server as a bare process, for starts that do not end.
fn command(folder: &Arc<tempfile::TempDir>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_panotti"));
    command
        .current_dir(folder.path())
        .env("PANOTTI_PORT", "0")
        .env("PANOTTI_DATA_DIR", folder.path().join("data"))
        .env("PANOTTI_PLUGIN_DIRS", folder.path().join("plugins"))
        .env("PANOTTI_LOG_FORMAT", "json")
        .env("PANOTTI_LIMITS_LOAD_CPU_MS", "60000")
        .env("PANOTTI_LIMITS_LOAD_WALL_MS", "60000")
        .env("PANOTTI_STARTUP_S", "60")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Starts it and kills it when the plugin `evil` is being loaded; answers what the log said until then.
fn start_and_die(folder: &Arc<tempfile::TempDir>) -> Vec<String> {
    let mut child = command(folder).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        let is_it = line.contains("evil begins");
        said.push(line);
        if is_it {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.last().is_some_and(|it| it.contains("evil begins")), "{said:?}");
    said
}

/// Hangs in its chunk, as one that kills the process would die there.
const EVIL: &str =
    "panotti.log.info('evil begins')\nlocal t = os.clock()\nwhile os.clock() < t + 50 do end\n";

fn with_evil(others: usize) -> Arc<tempfile::TempDir> {
    let folder = folder();
    let write = |name: &str, text: &str| {
        let plugin = folder.path().join("plugins").join(name);
        fs::create_dir_all(&plugin).unwrap();
        fs::write(plugin.join("init.lua"), text).unwrap();
    };
    write("evil", EVIL);
    // Names before and after it.
    (0..others).for_each(|n| write(&format!("{}{n}", if n % 2 == 0 { "a" } else { "z" }), "-- good"));
    write("needs_evil", "-- good");
    fs::write(folder.path().join("plugins/needs_evil/plugin.yaml"), "dependencies: [evil]").unwrap();
    folder
}

#[test]
fn a_plugin_whose_start_killed_the_process_three_times_is_quarantined_and_nobody_else() {
    let folder = with_evil(8);
    start_and_die(&folder);
    start_and_die(&folder);
    let said = start_and_die(&folder).join("\n");
    assert!(said.contains("one by one"), "{said}");

    let server = in_folder(&folder).start();
    let told = status(&server, "evil");
    assert_eq!((&told["state"], &told["enabled"]), (&json!("quarantined"), &json!(true)));
    let why = told["last_error"]["message"].as_str().unwrap();
    assert_eq!(why, "the server died 3 times in a row while it was started");
    assert_eq!(state(&server, "needs_evil"), "failed");
    for n in 0..8 {
        assert_eq!(state(&server, &format!("{}{n}", if n % 2 == 0 { "a" } else { "z" })), "running");
    }
    let events = server.get("/api/v1/events?type=plugin.quarantined").expect(200);
    assert_eq!(events["items"][0]["subject"], "plugin/evil");

    // It stays so, also with a rescan and after another start, until its files are others.
    let server = server.restart();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(state(&server, "evil"), "quarantined");
    fs::write(folder.path().join("plugins/evil/init.lua"), "-- mended").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!((state(&server, "evil"), state(&server, "needs_evil")), ("running".into(), "running".into()));
    assert!(!folder.path().join("data/starting.json").exists(), "nothing is left noted");
}

#[test]
fn a_quarantined_plugin_that_is_enabled_is_tried_again_and_a_start_that_ends_makes_the_row_of_deaths_end() {
    let folder = with_evil(1);
    start_and_die(&folder);
    start_and_die(&folder);
    // It is not the plugin: this time it loads, and the next death is the first one again.
    let evil = folder.path().join("plugins/evil/init.lua");
    let whole = fs::read_to_string(&evil).unwrap();
    fs::write(&evil, whole.replace("t + 50", "t + 0.01")).unwrap();
    drop(in_folder(&folder).start());
    fs::write(&evil, &whole).unwrap();
    (0..3).for_each(|_| drop(start_and_die(&folder)));
    let server = in_folder(&folder).env("PANOTTI_LIMITS_LOAD_CPU_MS", 1000).start();
    assert_eq!(state(&server, "evil"), "quarantined");
    // Enabling tries it, whatever comes of it.
    let problem = server.post("/api/v1/plugins/evil/enable", json!({})).problem(422, "plugin_load_failed");
    assert_eq!(problem["errors"][0]["line"], 3, "{problem}");
    assert!(!folder.path().join("data/starting.json").exists());
}
