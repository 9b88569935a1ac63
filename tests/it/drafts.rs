//! Drafts of plugins: changed while the live version runs, tried, published at once.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::client::Answer;

const INIT: &str = "local words = require('words')
panotti.on.before_recording_start(function(r) return { metadata = { by = words.by } } end)";
const DRAFT: &str = "/api/v1/plugins/greeter/draft";
const FILES: &str = "/api/v1/plugins/greeter/files";

fn start() -> Server {
    Server::with()
        .plugin("greeter", INIT)
        .plugin_file("greeter", "words.lua", "return { by = 'first' }")
        .plugin_file("greeter", "old.lua", "return 1")
        .start()
}

fn tag(server: &Server, path: &str) -> String {
    let read = server.get(path);
    read.expect_bytes(200);
    read.header("etag").unwrap().to_owned()
}

/// Saves a file that is there, live or in the draft.
fn save(server: &Server, under: &str, path: &str, text: &str) -> Answer {
    let path = format!("{under}/{path}");
    server.send("PUT", &path, &[("If-Match", &tag(server, &path))], Some(text.as_bytes()))
}

fn draft(server: &Server, path: &str, text: &str) -> Answer {
    save(server, &format!("{DRAFT}/files"), path, text)
}

fn greeted_by(server: &Server) -> Value {
    server.post("/api/v1/recordings", json!({ "title": "a" })).expect(201)["metadata"]["by"].clone()
}

#[test]
fn a_draft_is_kept_beside_the_live_version_and_goes_live_at_once() {
    let server = start();
    server.get(DRAFT).problem(404, "not_found");
    let text = "return { by = 'drafted', more = require('more') }";
    assert_eq!(draft(&server, "words.lua", text).expect(200)["files"][0]["change"], "changed");
    let create = |path: &str, text: &str| {
        let path = format!("{DRAFT}/files/{path}");
        server.send("PUT", &path, &[("If-None-Match", "*")], Some(text.as_bytes()))
    };
    create("words.lua", "x").problem(412, "precondition_failed");
    create("more.lua", "return 1").expect(201);
    let gone = format!("{DRAFT}/files/old.lua");
    server.send("DELETE", &gone, &[], None).problem(428, "precondition_required");
    server.send("DELETE", &gone, &[("If-Match", &tag(&server, &gone))], None).expect(200);
    assert_eq!(greeted_by(&server), "first", "nothing of it is live");
    assert_eq!(server.get(FILES).expect(200)["total"], 3);

    let server = server.restart();
    let view = server.get(DRAFT).expect(200);
    let changes: Vec<(&str, &str)> = view["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["path"].as_str().unwrap(), it["change"].as_str().unwrap()))
        .collect();
    assert_eq!(changes, [("more.lua", "added"), ("old.lua", "deleted"), ("words.lua", "changed")]);
    assert_eq!((&view["conflicts"], &view["changed_on_disk"]), (&json!([]), &json!([])), "{view}");
    assert_eq!(view["base_hash"], view["live_hash"]);
    assert_eq!(server.get(&format!("{DRAFT}/files/words.lua")).body, text.as_bytes());
    assert_eq!(
        server.get(&format!("{DRAFT}/files/init.lua")).body,
        INIT.as_bytes(),
        "the live one shows through"
    );
    server.get(&format!("{DRAFT}/files/old.lua")).problem(404, "not_found");
    assert_eq!(greeted_by(&server), "first");

    let published = server.post(&format!("{DRAFT}/publish?note=tidy"), json!({})).expect(200);
    assert_eq!(published["live"], true, "{published}");
    assert_eq!(greeted_by(&server), "drafted");
    assert!(!server.folder().join("plugins/greeter/old.lua").exists());
    server.get(DRAFT).problem(404, "not_found");
    let audit = server.get("/api/v1/audit?subject=plugin/greeter").expect(200);
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().filter_map(|it| it["action"].as_str()).collect();
    assert_eq!(&actions[..2], ["plugin.draft.publish", "plugin.files.change"], "{audit}");
    assert!(actions.contains(&"plugin.draft.change") && !audit.to_string().contains("drafted"), "{audit}");
}

#[test]
fn what_somebody_else_changed_meanwhile_is_not_overwritten_unawares() {
    let server = start();
    draft(&server, "words.lua", "return { by = 'mine' }").expect(200);
    draft(&server, "old.lua", "return 2").expect(200);
    save(&server, FILES, "words.lua", "return { by = 'theirs' }").expect(200);
    save(&server, FILES, "init.lua", &format!("{INIT}\n-- theirs")).expect(200);
    let view = server.get(DRAFT).expect(200);
    assert_eq!(view["conflicts"], json!(["words.lua"]), "{view}");
    assert_eq!(view["changed_on_disk"], json!(["init.lua", "words.lua"]), "{view}");
    let refused = server.post(&format!("{DRAFT}/publish"), json!({})).problem(409, "conflict");
    assert_eq!(refused["conflicts"], json!(["words.lua"]), "{refused}");
    assert_eq!(greeted_by(&server), "theirs");
    let revert = format!("{DRAFT}/files/words.lua?revert=true");
    let view = server.send("DELETE", &revert, &[], None).expect(200);
    assert_eq!((&view["conflicts"], &view["files"][0]["path"]), (&json!([]), &json!("old.lua")), "{view}");
    draft(&server, "words.lua", "return { by = 'both' }").expect(200);
    save(&server, FILES, "words.lua", "return { by = 'again' }").expect(200);
    server.post(&format!("{DRAFT}/publish"), json!({})).problem(409, "conflict");
    server.post(&format!("{DRAFT}/publish?force=true"), json!({})).expect(200);
    assert_eq!(greeted_by(&server), "both");
    let init = server.get(&format!("{FILES}/init.lua"));
    assert!(
        String::from_utf8(init.body).unwrap().ends_with("-- theirs"),
        "what the draft leaves alone stays"
    );
}

#[test]
fn a_check_tells_whether_a_draft_would_run_and_runs_nothing_live() {
    let server = start();
    server.post(&format!("{DRAFT}/check"), json!({})).problem(404, "not_found");
    draft(&server, "init.lua", &format!("{INIT}\npanotti.on.on_clip_captured(function(c) return c end)"))
        .expect(200);
    let before = server.get("/api/v1/plugins/greeter/status").expect(200);
    let good = server.post(&format!("{DRAFT}/check"), json!({})).expect(200);
    assert_eq!(
        (&good["ok"], &good["hooks_added"], &good["fault"]),
        (&json!(true), &json!(["on_clip_captured"]), &Value::Null)
    );
    draft(&server, "init.lua", "local x = 1\nnot_there.call()").expect(200);
    let bad = server.post(&format!("{DRAFT}/check"), json!({})).expect(200);
    assert_eq!(
        (&bad["ok"], &bad["fault"]["file"], &bad["fault"]["line"]),
        (&json!(false), &json!("init.lua"), &json!(2)),
        "{bad}"
    );
    let refused = server.post(&format!("{DRAFT}/publish"), json!({})).problem(422, "plugin_load_failed");
    assert_eq!(refused["errors"][0]["line"], 2, "{refused}");
    server.get(DRAFT).expect(200);
    let after = server.get("/api/v1/plugins/greeter").expect(200);
    assert_eq!(
        (&after["state"], &after["hash"], greeted_by(&server)),
        (&json!("running"), &before["hash"], json!("first"))
    );
}

#[test]
fn what_lies_in_a_folder_is_validated_without_going_live() {
    let server = start();
    let validated = || server.post("/api/v1/plugins/greeter/validate", json!({})).expect(200);
    let before = server.get("/api/v1/plugins/greeter").expect(200);
    let same = validated();
    assert_eq!(
        (&same["ok"], &same["hash"], &same["hooks_added"]),
        (&json!(true), &before["hash"], &json!([]))
    );
    // The harness does not watch the folder, so nothing but the question looks at it.
    let file = server.folder().join("plugins/greeter/init.lua");
    std::fs::write(&file, format!("{INIT}\npanotti.on.on_clip_captured(function(c) return c end)")).unwrap();
    assert_eq!(validated()["hooks_added"], json!(["on_clip_captured"]));
    std::fs::write(&file, "local x = 1\nnot_there.call()").unwrap();
    let bad = validated();
    assert_eq!((&bad["ok"], &bad["fault"]["line"]), (&json!(false), &json!(2)), "{bad}");
    let after = server.get("/api/v1/plugins/greeter").expect(200);
    assert_eq!((&after["hash"], greeted_by(&server)), (&before["hash"], json!("first")));
    server.post("/api/v1/plugins/nobody/validate", json!({})).problem(404, "plugin_not_found");
}

#[test]
fn the_files_of_a_plugin_are_drafted_by_a_word_in_the_query_and_a_draft_is_dropped_whole() {
    let server = start();
    let put = |headers: &[(&str, &str)], text: &str| {
        server.send("PUT", &format!("{FILES}/words.lua?draft=true"), headers, Some(text.as_bytes()))
    };
    let live = tag(&server, &format!("{FILES}/words.lua"));
    let first = put(&[("If-Match", &live)], "return { by = 'a' }");
    assert_eq!(first.expect(200)["files"][0]["path"], "words.lua");
    put(&[("If-Match", &live)], "return { by = 'b' }").problem(412, "precondition_failed");
    put(&[("If-Match", first.header("etag").unwrap())], "return { by = 'b' }").expect(200);
    let body = json!({ "from": "old.lua", "to": "lib/old.lua" });
    let renamed = server
        .json_with("POST", &format!("{FILES}/rename?draft=true"), &[("If-Match", "*")], body)
        .expect(200);
    assert_eq!(renamed["files"].as_array().unwrap().len(), 3, "{renamed}");
    put(&[("If-None-Match", "*")], "x").problem(412, "precondition_failed");
    let path = format!("{DRAFT}/files/.hidden.lua");
    server.send("PUT", &path, &[("If-None-Match", "*")], Some(b"")).problem(400, "bad_path");
    assert_eq!(server.delete(DRAFT).status, 204);
    server.delete(DRAFT).problem(404, "not_found");
    assert!(!server.folder().join("data/plugins/greeter/draft").exists());
    assert_eq!(greeted_by(&server), "first");
}

fn add(server: &Server, path: &str, text: &str) {
    let path = format!("{DRAFT}/files/{path}");
    server.send("PUT", &path, &[("If-None-Match", "*")], Some(text.as_bytes())).expect(201);
}

fn migrations(server: &Server) -> Vec<u64> {
    let found = server.get("/api/v1/plugins/greeter/migrations").expect(200);
    found["items"].as_array().unwrap().iter().filter_map(|it| it["number"].as_u64()).collect()
}

#[test]
fn a_check_changes_nothing_in_the_world_and_says_where_it_would() {
    let yaml = "permissions: { db: true, recordings: [read, write], assets: true }";
    let server = Server::with()
        .plugin("greeter", INIT)
        .plugin_file("greeter", "words.lua", "return { by = 'first' }")
        .plugin_file("greeter", "plugin.yaml", yaml)
        .plugin_file("greeter", "migrations/0001_a/up.sql", "CREATE TABLE words (word TEXT)")
        .start();
    let check = || server.post(&format!("{DRAFT}/check"), json!({})).expect(200);
    let looks =
        "panotti.fs.read('state'); panotti.fs.list(''); panotti.recordings.list(); panotti.kv.get('x')
        panotti.kv.list(''); panotti.time.now(); panotti.uuid()
        panotti.on.before_recording_start(function() end)";
    draft(&server, "init.lua", looks).expect(200);
    add(&server, "migrations/0002_b/up.sql", "DROP TABLE words; CREATE TABLE others (x TEXT)");
    let seen = check();
    assert_eq!((&seen["ok"], &seen["fault"]), (&json!(true), &Value::Null), "{seen}");
    assert_eq!(migrations(&server), [1], "a draft's migration was applied");
    for call in [
        "panotti.fs.write('evil', 'x')",
        "panotti.fs.remove('evil')",
        "panotti.assets.save('evil', 'x')",
        "panotti.recordings.create({ id = 'evil' })",
        "panotti.db.execute('DELETE FROM words')",
        "panotti.kv.cas('evil', nil, 1)",
    ] {
        draft(&server, "init.lua", &format!("local a = 1\n{call}")).expect(200);
        let seen = check();
        let fault = &seen["fault"];
        assert_eq!(
            (&seen["ok"], &fault["file"], &fault["line"]),
            (&json!(false), &json!("init.lua"), &json!(2))
        );
        let name = call.split('(').next().unwrap();
        assert!(fault["message"].as_str().unwrap().contains(name), "{fault}");
    }
    server.get("/api/v1/recordings/evil").problem(404, "recording_not_found");
    assert!(!server.folder().join("data/plugins/greeter/files/evil").exists());
    assert!(!server.folder().join("data/plugins/greeter/assets").exists());
    draft(&server, "migrations/0002_b/up.sql", "CREATE TABEL others (x TEXT)").expect(200);
    let fault = check()["fault"].clone();
    assert_eq!((&fault["file"], &fault["line"]), (&json!("migrations/0002_b/up.sql"), &json!(1)));
}

#[test]
fn a_refused_edit_leaves_the_plugins_database_as_it_was() {
    let server = Server::with()
        .plugin("greeter", INIT)
        .plugin_file("greeter", "words.lua", "return { by = 'first' }")
        .plugin_file("greeter", "plugin.yaml", "permissions: { db: true }")
        .plugin_file("greeter", "migrations/0001_a/up.sql", "CREATE TABLE words (word TEXT)")
        .start();
    add(&server, "migrations/0002_b/up.sql", "CREATE TABLE wrong (x TEXT)");
    draft(&server, "words.lua", "return { by = 'drafted' } +").expect(200);
    let publish = format!("{DRAFT}/publish");
    server.post(&publish, json!({})).problem(422, "plugin_load_failed");
    assert_eq!((migrations(&server), greeted_by(&server)), (vec![1], json!("first")));
    // It was never applied, so it may be written anew.
    draft(&server, "migrations/0002_b/up.sql", "CREATE TABLE others (x TEXT)").expect(200);
    draft(&server, "words.lua", "return { by = 'drafted' }").expect(200);
    server.post(&publish, json!({})).expect(200);
    assert_eq!((migrations(&server), greeted_by(&server)), (vec![1, 2], json!("drafted")));
}
