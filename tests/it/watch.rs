//! Edits on disk: saved and live, whatever editor or tool wrote them, without a request.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::{Builder, wait_for};

/// A plugin that writes `mark` into the title of every recording.
fn marks(mark: &str) -> String {
    format!("panotti.on.before_recording_start(function() return {{ title = '{mark}' }} end)")
}

fn watched() -> Builder {
    Server::with().env("PANOTTI_WATCH", "auto")
}

fn path(server: &Server, path: &str) -> PathBuf {
    server.folder().join("plugins").join(path)
}

fn write(server: &Server, file: &str, text: &str) {
    let file = path(server, file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn rename(server: &Server, from: &str, to: &str) {
    fs::rename(path(server, from), path(server, to)).unwrap();
}

fn title(server: &Server) -> String {
    let body = json!({"title": "as it was"});
    server.post("/api/v1/recordings", body).expect(201)["title"].as_str().unwrap().to_owned()
}

#[track_caller]
fn live(server: &Server, mark: &str) {
    wait_for(mark, || (title(server) == mark).then_some(()));
}

fn status(server: &Server, plugin: &str) -> Value {
    let answer = server.get(&format!("/api/v1/plugins/{plugin}/status"));
    if answer.status == 200 { answer.expect(200) } else { Value::Null }
}

#[track_caller]
fn wait_for_state(server: &Server, plugin: &str, state: &str) -> Value {
    wait_for(&format!("{plugin} {state}"), || Some(status(server, plugin)).filter(|it| it["state"] == state))
}

fn lines(server: &Server, plugin: &str, text: &str) -> usize {
    let is_it =
        |line: &&Value| line["plugin"] == plugin && line["message"].as_str().unwrap_or("").contains(text);
    server.log_lines().iter().filter(is_it).count()
}

/// Lets an edit of another plugin go live: what came before it has been looked at.
#[track_caller]
fn settle(server: &Server) {
    let generation = status(server, "probe")["generation"].as_u64().unwrap_or(0);
    write(server, "probe/init.lua", &format!("-- {generation}"));
    wait_for("the probe", || status(server, "probe")["generation"].as_u64().filter(|it| *it > generation));
}

#[test]
fn whatever_way_a_file_is_saved_it_is_live_without_a_request() {
    let server = watched().plugin("p", &marks("first")).start();
    assert_eq!(title(&server), "first");
    write(&server, "p/init.lua", &marks("in place"));
    live(&server, "in place");
    write(&server, "p/.init.lua.swp", "swap");
    write(&server, "p/init.lua.tmp", &marks("renamed over"));
    rename(&server, "p/init.lua.tmp", "p/init.lua");
    live(&server, "renamed over");
    // As vim does with backupcopy=no, a probe file first.
    write(&server, "p/4913", "");
    fs::remove_file(path(&server, "p/4913")).unwrap();
    rename(&server, "p/init.lua", "p/init.lua~");
    write(&server, "p/init.lua", &marks("written anew"));
    fs::remove_file(path(&server, "p/init.lua~")).unwrap();
    live(&server, "written anew");
    let sed = Command::new("sed").args(["-i", "s/anew/by sed/"]).arg(path(&server, "p/init.lua")).status();
    assert!(sed.unwrap().success());
    live(&server, "written by sed");
    write(&server, "p/lib/mark.lua", "return 'from a module'");
    write(
        &server,
        "p/init.lua",
        "panotti.on.before_recording_start(function() return { title = require('lib.mark') } end)",
    );
    live(&server, "from a module");
    write(&server, "p/lib/mark.lua", "return 'from its edit'");
    live(&server, "from its edit");
}

#[test]
fn a_touch_and_files_of_no_concern_leave_no_trace() {
    let server = watched().plugin("p", &marks("first")).plugin("broken", "this is no Lua").start();
    settle(&server);
    let known = server.log_length();
    for file in ["p/init.lua", "broken/init.lua"] {
        let text = fs::read_to_string(path(&server, file)).unwrap();
        write(&server, file, &text);
        assert!(Command::new("touch").arg(path(&server, file)).status().unwrap().success());
    }
    write(&server, "p/notes.txt", "mine");
    write(&server, "p/sounds/a.wav", "RIFF");
    settle(&server);
    assert_eq!(status(&server, "p")["generation"], 1);
    let about = |line: &Value| line["plugin"] == "p" || line["plugin"] == "broken";
    let said: Vec<Value> = server.log_since(known).into_iter().filter(about).collect();
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_broken_save_leaves_the_old_version_running_and_is_told_once_with_its_place() {
    let server = watched().plugin("p", &marks("good")).start();
    write(&server, "p/init.lua", "local x = 1\nlocal y = = 2\n");
    let told = wait_for("the fault", || Some(status(&server, "p")).filter(|it| !it["last_error"].is_null()));
    assert_eq!((&told["state"], &told["generation"]), (&json!("running"), &json!(1)));
    let fault = &told["last_error"];
    assert_eq!((&fault["file"], &fault["line"]), (&json!("init.lua"), &json!(2)));
    assert!(fault["excerpt"].as_str().unwrap().contains("local y = = 2"), "{fault}");
    settle(&server);
    assert_eq!(title(&server), "good");
    assert_eq!(lines(&server, "p", "init.lua:2:"), 1, "told once: {:?}", server.log_lines());
    let events = server.get("/api/v1/events?type=plugin.reload_failed").expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
    write(&server, "p/init.lua", &marks("mended"));
    live(&server, "mended");
    assert!(status(&server, "p")["last_error"].is_null());
}

#[test]
fn a_file_that_is_written_bit_by_bit_is_told_of_at_most_now_and_then_and_live_when_it_is_complete() {
    let server = watched().env("PANOTTI_WATCH_QUIET_MS", 400).plugin("p", &marks("good")).start();
    let whole = format!("{}\n-- {}\n", marks("complete"), "x".repeat(200));
    let mut text = String::new();
    for piece in whole.as_bytes().chunks(8) {
        text.push_str(std::str::from_utf8(piece).unwrap());
        write(&server, "p/init.lua", &text);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    live(&server, "complete");
    assert!(lines(&server, "p", "init.lua:") <= 1, "{:?}", server.log_lines());
}

#[test]
fn folders_come_go_and_are_renamed_with_their_plugins() {
    let server = watched().plugin("p", &marks("p")).start();
    write(&server, ".new/init.lua", &marks("q"));
    write(&server, ".new/plugin.yaml", "order: {}\n");
    rename(&server, ".new", "q");
    wait_for_state(&server, "q", "running");
    write(&server, "r/init.lua", "-- written where it is");
    wait_for_state(&server, "r", "running");
    rename(&server, "q", "s");
    wait_for_state(&server, "s", "running");
    wait_for_state(&server, "q", "missing");
    live(&server, "q");
    write(&server, "s/init.lua", &marks("s"));
    live(&server, "s");
    fs::remove_dir_all(path(&server, "s")).unwrap();
    wait_for_state(&server, "s", "missing");
    live(&server, "p");
    rename(&server, "p", ".put-away");
    wait_for_state(&server, "p", "missing");
    rename(&server, ".put-away", "p");
    wait_for_state(&server, "p", "running");
    write(&server, "p/init.lua", &marks("p again"));
    live(&server, "p again");
}

#[test]
fn a_file_that_becomes_a_folder_and_a_link_that_leads_out_are_told_and_not_read() {
    let server =
        watched().plugin("p", "require('extra')\n").plugin_file("p", "extra.lua", "return 1").start();
    let outside = server.folder().join("secret.lua");
    fs::write(&outside, "error('it was read')").unwrap();
    fs::remove_file(path(&server, "p/extra.lua")).unwrap();
    std::os::unix::fs::symlink(&outside, path(&server, "p/extra.lua")).unwrap();
    let told = wait_for("the fault", || Some(status(&server, "p")).filter(|it| !it["last_error"].is_null()));
    assert_eq!(told["state"], "running");
    assert!(!told["last_error"].to_string().contains("it was read"), "{told}");
    // What does not need it runs, with a warning.
    write(&server, "p/init.lua", "panotti.log.info('alone')");
    let warned = wait_for("the warning", || {
        Some(status(&server, "p")).filter(|it| it["warnings"].to_string().contains("extra.lua"))
    });
    assert_eq!(warned["last_error"], Value::Null);
    fs::remove_file(path(&server, "p/init.lua")).unwrap();
    write(&server, "p/init.lua/inner.lua", "return 1");
    let told = wait_for("the fault", || Some(status(&server, "p")).filter(|it| !it["last_error"].is_null()));
    assert_eq!(told["state"], "running", "{told}");
}

#[test]
fn more_permissions_in_the_manifest_wait_for_the_admin_while_the_plugin_runs_on() {
    let server = watched().plugin("p", &marks("as before")).start();
    write(&server, "p/plugin.yaml", "permissions: { http: [api.example] }\n");
    let waiting = wait_for("the request", || {
        let grants = server.get("/api/v1/plugins/p/grants").expect(200);
        Some(grants).filter(|it| it["waiting"] == json!({"http": ["api.example"]}))
    });
    assert!(waiting["in_force"]["http"].is_null(), "{waiting}");
    assert_eq!(status(&server, "p")["state"], "running");
    assert_eq!(title(&server), "as before");
}

#[test]
fn a_plugin_root_that_appears_later_or_is_made_again_is_watched() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let roots = [folder.path().join("plugins"), folder.path().join("later/more")];
    let server = watched()
        .in_folder(folder)
        .env("PANOTTI_PLUGIN_DIRS", std::env::join_paths(&roots).unwrap().to_str().unwrap())
        .start();
    let write = |text: &str| {
        fs::create_dir_all(roots[1].join("p")).unwrap();
        fs::write(roots[1].join("p/init.lua"), text).unwrap();
    };
    write(&marks("late"));
    live(&server, "late");
    write(&marks("edited"));
    live(&server, "edited");
    fs::remove_dir_all(&roots[1]).unwrap();
    wait_for_state(&server, "p", "missing");
    write(&marks("again"));
    live(&server, "again");
    write(&marks("and edited"));
    live(&server, "and edited");
}

#[test]
fn without_help_of_the_operating_system_edits_are_found_by_looking() {
    let server = Server::with()
        .env("PANOTTI_WATCH", "poll")
        .env("PANOTTI_WATCH_POLL_MS", 100)
        .plugin("p", &marks("first"))
        .start();
    write(&server, "p/init.lua", &marks("second"));
    live(&server, "second");
    write(&server, "q/init.lua", "-- new");
    wait_for_state(&server, "q", "running");
    fs::remove_dir_all(path(&server, "q")).unwrap();
    wait_for_state(&server, "q", "missing");
}

#[test]
fn with_the_watcher_off_nothing_is_taken_up_before_a_rescan() {
    let server = Server::with().env("PANOTTI_WATCH", "off").plugin("p", &marks("first")).start();
    write(&server, "p/init.lua", &marks("second"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(title(&server), "first");
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(title(&server), "second");
}

#[test]
fn a_checkout_of_many_plugins_takes_up_all_of_them_once() {
    let mut server = watched();
    for n in 0..60 {
        server = server.plugin(&format!("p{n}"), "-- 1");
    }
    let server = server.start();
    git(&server, &["init", "-q"]);
    git(&server, &["add", "."]);
    git(&server, &["commit", "-qm", "first"]);
    git(&server, &["checkout", "-qb", "other"]);
    // The server sees these, too.
    (0..60).for_each(|n| write(&server, &format!("p{n}/init.lua"), "-- 2"));
    git(&server, &["commit", "-qam", "second"]);
    let all = |generation: u64| {
        wait_for(&format!("generation {generation}"), || {
            let plugins = server.get("/api/v1/plugins?page_size=200").expect(200);
            let items = plugins["items"].as_array().unwrap().clone();
            items.iter().all(|it| it["generation"].as_u64() == Some(generation)).then_some(())
        });
    };
    all(2);
    git(&server, &["checkout", "-q", "-"]);
    all(3);
    git(&server, &["checkout", "-q", "other"]);
    all(4);
}

fn git(server: &Server, args: &[&str]) {
    let run = Command::new("git")
        .current_dir(path(server, ""))
        .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
        .args(args)
        .output();
    // Where there is no git there is no checkout either.
    let Ok(run) = run else { panic!("git is needed") };
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn the_watcher_ends_with_the_server() {
    let mut server = watched().plugin("p", &marks("first")).start();
    let folder = path(&server, "p");
    let writing = std::thread::spawn(move || {
        (0..200).for_each(|n| {
            _ = fs::write(Path::new(&folder).join("init.lua"), format!("-- {n}"));
            std::thread::sleep(std::time::Duration::from_millis(2));
        });
    });
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert!(server.stop().success(), "{:?}", server.log_lines());
    let faults: Vec<Value> = server.log_lines().into_iter().filter(|it| it["level"] == "error").collect();
    assert!(faults.is_empty(), "{faults:?}");
    writing.join().unwrap();
}
