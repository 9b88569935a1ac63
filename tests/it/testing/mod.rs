//! `panotti test`: what tests can do, what they tell, and that they touch nothing.

mod over_http;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::command_line::panotti;

/// Runs the command: the exit code, stdout, stderr.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let out = panotti(folder, &[], args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn report(folder: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let (code, out, told) = run(folder, &[&["test", "--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{told}")))
}

/// The case of a report with this name.
fn case(report: &Value, name: &str) -> Value {
    let files = report["plugins"].as_array().unwrap().iter().flat_map(|it| it["files"].as_array().unwrap());
    let mut cases = files.flat_map(|it| it["cases"].as_array().unwrap());
    cases.find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}")).clone()
}

#[test]
fn whatever_a_test_may_do_works_as_its_own_tests_say() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, told) = run(folder.path(), &["test", source("tests/it/testing/all").to_str().unwrap()]);
    assert_eq!(code, Some(0), "{out}{told}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is written here");
}

#[test]
fn the_tests_of_the_shipped_plugins_all_go_well() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, told) = run(folder.path(), &["test", source("user_plugins").to_str().unwrap()]);
    assert_eq!(code, Some(0), "{out}{told}");
    let plugins = fs::read_dir(source("user_plugins")).unwrap().map(|it| it.unwrap().path());
    for plugin in
        plugins.filter(|it| it.is_dir() && !it.file_name().unwrap().to_string_lossy().starts_with('.'))
    {
        let name = plugin.file_name().unwrap().to_string_lossy().into_owned();
        assert!(out.contains(&format!("{name}/tests/")), "{name} has no tests:\n{out}");
    }
}

#[test]
fn the_tests_of_every_template_go_well() {
    let folder = tempfile::tempdir().unwrap();
    for template in ["clip-tagger", "recording-guard", "http-route", "scheduled"] {
        let name = template.replace('-', "_");
        assert_eq!(run(folder.path(), &["new", &name, "--template", template]).0, Some(0));
    }
    let (code, out, told) = run(folder.path(), &["test"]);
    assert_eq!(code, Some(0), "{out}{told}");
    assert!(out.contains(" of 4 plugins: "), "{out}");
}

#[test]
fn the_tests_of_the_guide_go_well() {
    let folder = tempfile::tempdir().unwrap();
    let with_tests = |it: &crate::guide::Plugin| it.files.iter().any(|(file, _)| file.starts_with("tests/"));
    let plugins: Vec<_> = crate::guide::plugins().into_iter().filter(|(_, it)| with_tests(it)).collect();
    assert!(!plugins.is_empty());
    for (name, plugin) in &plugins {
        for (file, text) in &plugin.files {
            let path = folder.path().join("user_plugins").join(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let (code, out, told) = run(folder.path(), &["test"]);
    assert_eq!(code, Some(0), "{out}{told}");
}

#[test]
fn what_goes_wrong_is_told_with_file_line_and_difference() {
    let folder = tempfile::tempdir().unwrap();
    let path = source("tests/it/testing/wrong");
    let path = path.to_str().unwrap();
    let (code, report) = report(folder.path(), &[path, "--timeout", "1", "--seed", "7"]);
    assert_eq!(code, Some(1));
    let summary = &report["summary"];
    assert_eq!((&summary["cases"], &summary["ok"], &summary["failed"]), (&json!(6), &json!(1), &json!(6)));
    assert_eq!(report["seed"], 7);
    assert_eq!(case(&report, "is right")["ok"], true);

    let differs = case(&report, "differs");
    let failure = &differs["failure"];
    assert_eq!((&failure["file"], &failure["line"]), (&json!("tests/wrong_test.lua"), &json!(9)));
    assert_eq!(failure["message"], "3 differences");
    let detail =
        "list[2]: got 2, wanted 3\n.more: got nothing, wanted true\n.title: got \"logged\", wanted \"other\"";
    assert!(failure["detail"].as_str().unwrap().contains(detail), "{failure:#}");
    assert!(failure["excerpt"].as_str().unwrap().contains(">    9 |"), "{failure:#}");
    assert_eq!(differs["log"][0]["message"], "something is odd");

    let caught = &case(&report, "is caught in the plugin")["failure"];
    assert_eq!(caught["message"], "before_recording_start failed in the plugin: init.lua:3: kaboom");
    for (name, line) in [("hangs", 17..=22), ("waits for what never comes", 25..=28)] {
        let failure = &case(&report, name)["failure"];
        assert!(failure["message"].as_str().unwrap().contains("longer than its time"), "{failure:#}");
        assert_eq!(failure["file"], "tests/wrong_test.lua", "{failure:#}");
        assert!(line.contains(&failure["line"].as_i64().unwrap()), "{failure:#}");
    }
    let broken = &report["plugins"][0]["files"][0];
    assert_eq!((&broken["file"], &broken["failure"]["line"]), (&json!("broken_test.lua"), &json!(3)));
}

#[test]
fn the_same_seed_gives_the_same_chance_and_a_filter_leaves_the_rest_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = source("tests/it/testing/wrong");
    let said = |seed: &str| {
        let args = [path.to_str().unwrap(), "--filter", "SEED", "--seed", seed];
        let (_, report) = report(folder.path(), &args);
        assert_eq!(report["summary"]["cases"], 1, "{report:#}");
        case(&report, "knows its seed")["failure"]["message"].clone()
    };
    assert_eq!(said("11"), said("11"));
    assert_ne!(said("11"), said("12"));
}

#[test]
fn people_read_a_line_a_case_and_machines_junit() {
    let folder = tempfile::tempdir().unwrap();
    let path = source("tests/it/testing/wrong");
    let junit = folder.path().join("report.xml");
    let args = ["test", path.to_str().unwrap(), "--filter", "i", "--timeout", "1", "--junit"];
    let (code, out, told) = run(folder.path(), &[&args[..], &[junit.to_str().unwrap()]].concat());
    assert_eq!(code, Some(1));
    for part in [
        "wrong/tests/wrong_test.lua\n",
        "  ok      is right (",
        "  failed  differs (",
        "          wrong/tests/wrong_test.lua:9: 3 differences\n",
        "            >    9 |",
        "            warn  something is odd {\"recording\":",
        "wrong/broken_test.lua\n  failed  does not load\n          wrong/broken_test.lua:3: ",
        " 1 ok, ",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert!(told.contains("failed; --seed "), "{told}");
    let xml = fs::read_to_string(junit).unwrap();
    for part in [
        "<?xml",
        "<testsuite name=\"wrong/broken_test.lua\"",
        "<failure message=\"3 differences\">",
        "<error message=",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
}

#[test]
fn where_there_is_nothing_to_run_that_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, told) = run(folder.path(), &["test"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("no tests in 0 plugins"), "{told}");
    let (code, _, told) = run(folder.path(), &["test", "nowhere"]);
    assert_eq!(code, Some(2), "{told}");
    let all = source("tests/it/testing/all");
    let (code, _, told) = run(folder.path(), &["test", all.to_str().unwrap(), "--filter", "no such"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("no case has \"no such\""), "{told}");
}

#[test]
fn a_test_reaches_nothing_of_the_machine_and_the_module_is_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("user_plugins/nosy");
    fs::create_dir_all(plugin.join("tests")).unwrap();
    let init = "panotti.route('GET', '/look', function()
        local _, net = panotti.http.get('http://other.example/')
        local _, program = panotti.process.run('cat', { '/etc/passwd' })
        local ok, disk = pcall(panotti.fs.read, '/etc/passwd')
        return { net = net.code, program = program.code, ok = ok, disk = tostring(disk) }
    end)";
    fs::write(plugin.join("init.lua"), init).unwrap();
    fs::write(
        plugin.join("plugin.yaml"),
        "permissions: { http: true, process: [cat], fs: ['/etc:read'], routes: true }\n",
    )
    .unwrap();
    let test = "local t = require('@panotti/test')
        t.case('looks', function()
            local seen = t.host():request('GET', '/look').json
            t.eq({ seen.net, seen.program, seen.ok }, { 'closed', 'closed', false })
            t.ok(string.find(seen.disk, 'only ones in tests', 1, true), seen.disk)
        end)";
    fs::write(plugin.join("tests/nosy_test.lua"), test).unwrap();
    let (code, out, told) = run(folder.path(), &["test"]);
    assert_eq!(code, Some(0), "{out}{told}");

    let server = crate::common::Server::with().plugin("uses", "require('@panotti/test')").start();
    let error = server.get("/api/v1/plugins/uses/status").expect(200)["last_error"]["message"].clone();
    assert!(error.as_str().unwrap().contains("in tests only"), "{error}");
}

#[test]
fn a_test_is_no_part_of_what_runs() {
    let server = crate::common::Server::with()
        .plugin("p", "panotti.on.before_recording_start(function() return { title = 'p' } end)")
        .start();
    let hash = || server.get("/api/v1/plugins/p").expect(200)["hash"].clone();
    let before = hash();
    let folder = server.folder().join("plugins/p");
    fs::create_dir_all(folder.join("tests")).unwrap();
    fs::write(folder.join("tests/p_test.lua"), "this is no Lua").unwrap();
    fs::write(folder.join("other_test.lua"), "nor is this").unwrap();
    let rescan = server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!((&rescan["reloaded"], &rescan["failed"], hash()), (&json!([]), &json!([]), before));
}

#[test]
fn what_a_plugin_depends_on_runs_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("cal/plugin.yaml", "version: '1.0.0'\n"),
        ("cal/init.lua", "panotti.export('busy', function(day) return day == 'monday' end)"),
        ("user/plugin.yaml", "dependencies: [cal >=1.0]\n"),
        (
            "user/init.lua",
            "local cal = panotti.import('cal')
            panotti.on.before_recording_start(function(recording)
                if cal.busy(recording.title) then return panotti.deny('busy') end
            end)",
        ),
        (
            "user/tests/user_test.lua",
            "local t = require('@panotti/test')
            t.case('asks the calendar', function()
                local _, refused = t.host():fire('before_recording_start', t.recording({ title = 'monday' }))
                t.eq(refused.message, 'busy')
            end)",
        ),
    ] {
        let path = folder.path().join("user_plugins").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (code, out, told) = run(folder.path(), &["test"]);
    assert_eq!(code, Some(0), "{out}{told}");
    fs::remove_dir_all(folder.path().join("user_plugins/cal")).unwrap();
    let (code, out, _) = run(folder.path(), &["test"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("the plugin does not load: it depends on `cal`"), "{out}");
}
