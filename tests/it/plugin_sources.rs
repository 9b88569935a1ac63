//! The files of plugins over HTTP, as an editor that is not on this machine changes them.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::client::Answer;

const GREETER: &str = "panotti.on.before_recording_start(function(r) r.metadata.by = 'first' return r end)";
const FILES: &str = "/api/v1/plugins/greeter/files";

fn greeting(by: &str) -> String {
    GREETER.replace("first", by)
}

fn get(server: &Server, path: &str) -> Answer {
    server.get(&format!("{FILES}/{path}"))
}

fn tag(server: &Server, path: &str) -> String {
    let read = get(server, path);
    read.expect_bytes(200);
    read.header("etag").unwrap().to_owned()
}

fn save(server: &Server, path: &str, tag: &str, text: &str) -> Answer {
    server.send("PUT", &format!("{FILES}/{path}"), &[("If-Match", tag)], Some(text.as_bytes()))
}

fn create(server: &Server, path: &str, text: &str) -> Answer {
    server.send("PUT", &format!("{FILES}/{path}"), &[("If-None-Match", "*")], Some(text.as_bytes()))
}

fn greeted_by(server: &Server) -> Value {
    server.post("/api/v1/recordings", json!({ "title": "a" })).expect(201)["metadata"]["by"].clone()
}

fn on_disk(server: &Server, path: &str) -> Option<String> {
    std::fs::read_to_string(server.folder().join("plugins/greeter").join(path)).ok()
}

#[test]
fn a_save_is_live_when_it_is_answered_and_keeps_every_byte() {
    let yaml = "# What people see.\nname: greeter # the folder\nversion: 1.2.0\n";
    let server =
        Server::with().plugin("greeter", GREETER).plugin_file("greeter", "plugin.yaml", yaml).start();
    assert_eq!(greeted_by(&server), "first");
    let listed = server.get(FILES).expect(200);
    let paths: Vec<&str> =
        listed["items"].as_array().unwrap().iter().filter_map(|it| it["path"].as_str()).collect();
    assert_eq!((paths, &listed["items"][1]["kind"]), (vec!["init.lua", "plugin.yaml"], &json!("manifest")));
    assert_eq!(listed["items"][0]["size"], GREETER.len());
    let read = get(&server, "init.lua");
    assert_eq!(read.body, GREETER.as_bytes());
    assert_eq!(read.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    let known = read.header("etag").unwrap();
    assert_eq!(listed["items"][0]["etag"], known);
    let again = server.send("GET", &format!("{FILES}/init.lua"), &[("If-None-Match", known)], None);
    again.expect_bytes(304);

    let saved = save(&server, "init.lua", known, &greeting("second"));
    let edited = saved.expect(200);
    assert_eq!((&edited["live"], &edited["generation"]), (&json!(true), &json!(2)), "{edited}");
    assert_eq!(saved.header("etag").unwrap(), tag(&server, "init.lua"));
    assert_eq!(greeted_by(&server), "second");
    let text = yaml.replace("1.2.0", "1.3.0");
    save(&server, "plugin.yaml", &tag(&server, "plugin.yaml"), &text).expect(200);
    assert_eq!(on_disk(&server, "plugin.yaml").unwrap(), text, "comments stay");
    assert_eq!(server.get("/api/v1/plugins/greeter").expect(200)["version"], "1.3.0");

    let made = create(&server, "lib/deep/words.lua", "return 'third'");
    assert_eq!(made.expect(201)["live"], true);
    assert!(made.header("location").unwrap().ends_with("/files/lib/deep/words.lua"));
    let renamed = server.json_with(
        "POST",
        &format!("{FILES}/rename"),
        &[("If-Match", &tag(&server, "lib/deep/words.lua"))],
        json!({ "from": "lib/deep/words.lua", "to": "lib/words.lua" }),
    );
    renamed.expect(200);
    assert_eq!(
        (on_disk(&server, "lib/words.lua").as_deref(), on_disk(&server, "lib/deep")),
        (Some("return 'third'"), None)
    );
    assert!(!server.folder().join("plugins/greeter/lib/deep").exists(), "a folder left empty goes");
    let gone = server.send(
        "DELETE",
        &format!("{FILES}/lib/words.lua"),
        &[("If-Match", &tag(&server, "lib/words.lua"))],
        None,
    );
    gone.expect(200);
    get(&server, "lib/words.lua").problem(404, "not_found");
    let names: Vec<_> =
        std::fs::read_dir(server.folder().join("plugins/greeter")).unwrap().flatten().collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn nobody_overwrites_what_they_have_not_seen() {
    let server = Server::with().plugin("greeter", GREETER).start();
    let known = tag(&server, "init.lua");
    let blind = server.send("PUT", &format!("{FILES}/init.lua"), &[], Some(b"x"));
    let problem = blind.problem(428, "precondition_required");
    assert!(problem["hint"].as_str().unwrap().contains("If-None-Match: *"), "{problem}");
    server.send("DELETE", &format!("{FILES}/init.lua"), &[], None).problem(428, "precondition_required");
    create(&server, "init.lua", "x").problem(412, "precondition_failed");
    save(&server, "init.lua", "\"nonsense\"", "x").problem(412, "precondition_failed");
    save(&server, "none.lua", &known, "x").problem(412, "precondition_failed");
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let (server, known) = (&server, &known);
        let all: Vec<_> = (0..6)
            .map(|it| scope.spawn(move || save(server, "init.lua", known, &greeting(&format!("n{it}")))))
            .collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let statuses: Vec<u16> = answers.iter().map(|it| it.status).collect();
    assert_eq!(statuses.iter().filter(|it| **it == 200).count(), 1, "{statuses:?}");
    let late = answers.iter().find(|it| it.status != 200).unwrap().problem(412, "precondition_failed");
    assert_eq!(late["etag"], tag(&server, "init.lua"), "{late}");
}

#[test]
fn a_save_that_does_not_load_changes_nothing_and_says_where() {
    let server = Server::with().plugin("greeter", GREETER).start();
    let known = tag(&server, "init.lua");
    let refused = save(&server, "init.lua", &known, "local x = 1\nlocal y = = 2\n");
    let problem = refused.problem(422, "plugin_load_failed");
    let fault = &problem["errors"][0];
    assert_eq!((&fault["file"], &fault["line"]), (&json!("init.lua"), &json!(2)), "{problem}");
    assert!(fault["excerpt"].as_str().is_some_and(|it| it.contains("= = 2")), "{problem}");
    assert_eq!(
        (on_disk(&server, "init.lua").as_deref(), greeted_by(&server)),
        (Some(GREETER), json!("first"))
    );
    assert_eq!(server.get("/api/v1/plugins/greeter").expect(200)["state"], "running");
    assert_eq!(tag(&server, "init.lua"), known);
}

#[test]
fn a_plugin_that_does_not_run_is_mended_by_a_save() {
    let server = Server::with().plugin("greeter", "error('not yet')").start();
    let still = save(&server, "init.lua", &tag(&server, "init.lua"), "\n\nerror('not at all')");
    let edited = still.expect(200);
    assert_eq!((&edited["live"], &edited["fault"]["line"]), (&json!(false), &json!(3)), "{edited}");
    let mended = save(&server, "init.lua", &tag(&server, "init.lua"), GREETER).expect(200);
    assert_eq!((&mended["live"], &mended["fault"]), (&json!(true), &Value::Null), "{mended}");
    let versions = server.get("/api/v1/plugins/greeter/versions").expect(200);
    assert_eq!(
        (&versions["items"][0]["origin"], &versions["total"]),
        (&json!("api"), &json!(1)),
        "{versions}"
    );
    assert_eq!(greeted_by(&server), "first");
}

#[test]
fn paths_and_sizes_that_are_no_plugins_are_refused_by_name() {
    let server = Server::with().plugin("greeter", GREETER).plugin_file("other", "init.lua", "").start();
    for (path, why) in [
        ("..%2fother%2finit.lua", "`..`"),
        ("lib%2f..%2f..%2fx.lua", "`..`"),
        ("%2fetc%2fx.lua", "absolute"),
        (".git%2fx.lua", "hidden"),
        ("lib%5cx.lua", "backslash"),
        ("native.so", "no part of a plugin"),
        ("x%0a.lua", "character"),
    ] {
        let problem = create(&server, path, "return 1").problem(400, "bad_path");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{path}: {problem}");
        assert!([400, 404].contains(&get(&server, path).status), "{path}");
    }
    let problem = create(&server, "big.lua", &"-".repeat(300_000)).problem(413, "too_large");
    assert!(problem["detail"].as_str().unwrap().contains("262144"), "{problem}");
    create(&server, "lib%2Fwords%2Bmore.lua", "return 1").expect(201);
    assert!(on_disk(&server, "lib/words+more.lua").is_some());
    create(&server, "INIT.lua", "").problem(409, "conflict");
    create(&server, "init.lua/x.lua", "").problem(409, "conflict");
    let unknown =
        server.send("PUT", "/api/v1/plugins/nobody/files/init.lua", &[("If-None-Match", "*")], Some(b""));
    unknown.problem(404, "plugin_not_found");
    assert_eq!(server.get(FILES).expect(200)["total"], 2);
}

#[test]
fn code_needs_its_own_scope_and_who_changed_it_is_kept_without_contents() {
    let server = Server::with().plugin("greeter", GREETER).start();
    let key = |scopes: &[&str]| {
        let made = server.post("/api/v1/tokens", json!({ "name": "t", "scopes": scopes })).expect(201);
        made["token"].as_str().unwrap().to_owned()
    };
    let manager = server.with_key(Some(&key(&["plugins:read", "plugins:manage"])));
    for path in [FILES.to_owned(), format!("{FILES}/init.lua"), "/api/v1/plugins/greeter/archive".to_owned()]
    {
        manager.get(&path).problem(403, "scope_missing");
    }
    manager
        .send("PUT", &format!("{FILES}/init.lua"), &[("If-Match", "*")], Some(b""))
        .problem(403, "scope_missing");
    let coder = server.with_key(Some(&key(&["plugins:code"])));
    let text = greeting("a secret of mine");
    coder.send("PUT", &format!("{FILES}/init.lua"), &[("If-Match", "*")], Some(text.as_bytes())).expect(200);
    let audit = server.get("/api/v1/audit?action=plugin.files.change").expect(200);
    let act = &audit["items"][0];
    assert_eq!(act["subject"], "plugin/greeter");
    assert!(act["actor"].as_str().unwrap().starts_with("key/"), "{act}");
    let file = &act["detail"]["files"][0];
    assert_eq!(
        (&file["path"], format!("\"{}\"", file["to"].as_str().unwrap())),
        (&json!("init.lua"), tag(&server, "init.lua"))
    );
    assert!(file["from"].is_string() && !audit.to_string().contains("a secret of mine"), "{audit}");
}

#[test]
fn documents_are_saved_without_a_new_generation() {
    let server = Server::with().plugin("greeter", GREETER).start();
    let before = server.get("/api/v1/plugins/greeter").expect(200)["generation"].clone();
    let edited = create(&server, "README.md", "# Greeter\n").expect(201);
    assert_eq!(
        (&edited["live"], &edited["generation"], &edited["version"]),
        (&json!(true), &before, &Value::Null)
    );
    assert_eq!(on_disk(&server, "README.md").as_deref(), Some("# Greeter\n"));
}

#[test]
fn a_plugin_may_save_its_own_files_from_a_hook() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let source = format!(
        "panotti.on.before_recording_start(function(r)
           if not r.metadata.key then return {{ metadata = {{ by = 'first' }} }} end
           local res, err = panotti.http.request({{
             method = 'PUT', url = 'http://127.0.0.1:{port}/api/v1/plugins/greeter/files/init.lua', body = r.metadata.code,
             headers = {{ ['X-API-Key'] = r.metadata.key, ['If-Match'] = '*' }},
           }})
           return {{ metadata = {{ by = err and err.message or tostring(res.status) }} }}
         end)"
    );
    let server = Server::with()
        .env("PANOTTI_PORT", port)
        .plugin("greeter", &source)
        .plugin_file("greeter", "plugin.yaml", &format!("permissions: {{ http: ['127.0.0.1:{port}'] }}"))
        .start();
    server.post("/api/v1/plugins/greeter/grants", json!({ "all": true })).expect(200);
    let key = server.post("/api/v1/tokens", json!({ "name": "t", "scopes": ["plugins:code"] })).expect(201);
    let asked = json!({ "title": "a", "metadata": { "key": key["token"], "code": GREETER } });
    let answered = server.post("/api/v1/recordings", asked).expect(201);
    assert_eq!(answered["metadata"]["by"], "200", "the old generation finishes its call: {answered}");
    assert_eq!(
        (on_disk(&server, "init.lua").as_deref(), greeted_by(&server)),
        (Some(GREETER), json!("first"))
    );
}

#[test]
fn what_a_cut_off_change_left_is_gone_after_a_start() {
    let server = Server::with().plugin("greeter", GREETER).start();
    let plugins = server.folder().join("plugins");
    for left in ["greeter/.panotti-1", ".panotti-2"] {
        std::fs::create_dir(plugins.join(left)).unwrap();
        std::fs::write(plugins.join(left).join("1"), "half").unwrap();
    }
    let server = server.kill_and_restart();
    assert!(!plugins.join("greeter/.panotti-1").exists() && !plugins.join(".panotti-2").exists());
    assert_eq!(greeted_by(&server), "first");
}

#[test]
fn what_somebody_writes_while_an_edit_is_made_is_not_overwritten() {
    let server = Server::with().plugin("greeter", GREETER).start();
    let known = tag(&server, "init.lua");
    let slow = format!("panotti.on.on_load(function() panotti.sleep(2) end)\n{}", greeting("http"));
    let by_hand = greeting("hand");
    let saved = std::thread::scope(|scope| {
        let saving = scope.spawn(|| save(&server, "init.lua", &known, &slow));
        std::thread::sleep(std::time::Duration::from_millis(800));
        std::fs::write(server.folder().join("plugins/greeter/init.lua"), &by_hand).unwrap();
        saving.join().unwrap()
    });
    let problem = saved.problem(412, "precondition_failed");
    assert!(problem["detail"].as_str().unwrap().contains("`init.lua` was changed"), "{problem}");
    assert_eq!(on_disk(&server, "init.lua"), Some(by_hand));
    assert_eq!(greeted_by(&server), "first");
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(greeted_by(&server), "hand");
}

#[test]
fn an_edit_that_ended_with_the_process_is_taken_back_before_the_plugin_is_loaded() {
    let new = "return 'new'";
    let hash = blake3::hash(new.as_bytes()).to_hex().to_string();
    let file = |kept: u32, after: &str| json!({ "kept": kept, "was_there": true, "after": after });
    let plan =
        json!({ "files": { "lib/a.lua": file(3, &hash), "lib/b.lua": file(4, &hash) }, "folders": [] });
    let source = "local a, b = require('lib.a'), require('lib.b')
        assert(a == b, 'half a version')
        panotti.on.before_recording_start(function(r) r.metadata.by = a return r end)";
    let server = Server::with()
        .plugin("greeter", source)
        .plugin_file("greeter", "lib/a.lua", new)
        .plugin_file("greeter", "lib/b.lua", "return 'old'")
        .plugin_file("greeter", ".panotti-1/plan", &plan.to_string())
        .plugin_file("greeter", ".panotti-1/2", new)
        .plugin_file("greeter", ".panotti-1/3", "return 'old'")
        .start();
    assert_eq!(greeted_by(&server), "old");
    assert_eq!(on_disk(&server, "lib/a.lua").as_deref(), Some("return 'old'"));
    assert!(!server.folder().join("plugins/greeter/.panotti-1").exists());
}

#[test]
fn a_hook_that_nobody_calls_is_told_of_however_the_files_came_in() {
    let source = "-- on_clip_captured tags clips\nfunction on_clip_captured(clip)\n  return {}\nend\n";
    let server = Server::with().plugin("greeter", source).start();
    let warnings =
        |server: &Server| server.get("/api/v1/plugins/greeter/status").expect(200)["warnings"].clone();
    let at_the_start = warnings(&server);
    assert!(at_the_start[0].as_str().unwrap().starts_with("init.lua:2: nothing calls"), "{at_the_start}");
    let known = tag(&server, "init.lua");
    save(&server, "init.lua", &known, &format!("{source}local x = 1\n")).expect(200);
    assert_eq!(warnings(&server), at_the_start);
    let validated = server.post("/api/v1/plugins/greeter/validate", json!({})).expect(200);
    assert_eq!(validated["warnings"], at_the_start);
}
