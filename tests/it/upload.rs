//! Plugins that come as one zip file.

use std::io::{Cursor, Read, Write};

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::client::Answer;

const UPLOAD: &str = "/api/v1/plugins/upload";

fn zip_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (path, text) in entries {
        zip.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn greeter(by: &str) -> String {
    format!("panotti.on.before_recording_start(function(r) return {{ metadata = {{ by = '{by}' }} }} end)")
}

fn send(server: &Server, query: &str, headers: &[(&str, &str)], bytes: &[u8]) -> Answer {
    let headers = [&[("Content-Type", "application/zip")], headers].concat();
    server.send("POST", &format!("{UPLOAD}{query}"), &headers, Some(bytes))
}

fn greeted_by(server: &Server) -> Value {
    server.post("/api/v1/recordings", json!({ "title": "a" })).expect(201)["metadata"]["by"].clone()
}

#[test]
fn a_plugin_comes_as_a_zip_file_runs_and_is_replaced_by_another() {
    let server = Server::start();
    let first = zip_of(&[
        ("greeter-main/init.lua", &greeter("first")),
        ("greeter-main/plugin.yaml", "name: greeter\nversion: 1.0.0\npermissions: { http: [api.example] }\n"),
        ("greeter-main/lib/old.lua", "return 1"),
        ("greeter-main/icon.png", "not text"),
    ]);
    let made = send(&server, "", &[], &first);
    let told = made.expect(201);
    assert_eq!(made.header("location").unwrap(), format!("/api/v1/plugins/{}", told["plugin"]["id"]));
    assert_eq!(
        (&told["plugin"]["name"], &told["plugin"]["state"]),
        (&json!("greeter"), &json!("running")),
        "{told}"
    );
    assert_eq!((&told["created"], &told["waiting"]), (&json!(true), &json!(["http"])), "{told}");
    assert_eq!(told["ignored"][0]["path"], "greeter-main/icon.png");
    assert_eq!(greeted_by(&server), "first");
    let versions = server.get("/api/v1/plugins/greeter/versions").expect(200);
    assert_eq!(versions["items"][0]["origin"], "api", "{versions}");
    assert!(versions["items"][0]["author"].as_str().unwrap().starts_with("key/"), "{versions}");

    let second =
        zip_of(&[("init.lua", &greeter("second")), ("plugin.yaml", "name: greeter\nversion: 2.0.0\n")]);
    let exists = send(&server, "", &[], &second).problem(409, "plugin_exists");
    assert!(exists["hint"].as_str().unwrap().contains("replace=true"), "{exists}");
    let blind = send(&server, "?replace=true", &[], &second).problem(428, "precondition_required");
    let etag = blind["etag"].as_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", told["plugin"]["hash"].as_str().unwrap()));
    send(&server, "?replace=true", &[("If-Match", "\"other\"")], &second).problem(412, "precondition_failed");
    let replaced = send(&server, "?replace=true", &[("If-Match", &etag)], &second).expect(200);
    let same = send(&server, "?replace=true", &[("If-Match", "*")], &second).expect(200);
    assert_eq!(same["plugin"]["hash"], replaced["plugin"]["hash"], "`*` is whatever is there");
    assert_eq!(
        (&replaced["created"], &replaced["edited"]["live"]),
        (&json!(false), &json!(true)),
        "{replaced}"
    );
    assert_eq!(greeted_by(&server), "second");
    let folder = server.folder().join("plugins/greeter");
    assert!(!folder.join("lib").exists() && folder.join("init.lua").exists());
    assert_eq!(server.get("/api/v1/plugins/greeter").expect(200)["version"], "2.0.0");

    let broken = zip_of(&[("init.lua", "return ="), ("plugin.yaml", "name: greeter\n")]);
    let hash = replaced["plugin"]["hash"].as_str().unwrap();
    let refused = send(&server, "?replace=true", &[("If-Match", &format!("\"{hash}\""))], &broken);
    assert_eq!(refused.problem(422, "plugin_load_failed")["errors"][0]["line"], 1);
    assert_eq!(greeted_by(&server), "second");
    let server = server.restart();
    assert_eq!(greeted_by(&server), "second");
}

#[test]
fn what_is_downloaded_can_be_uploaded_elsewhere() {
    let server = Server::with()
        .plugin("greeter", &greeter("first"))
        .plugin_file("greeter", "README.md", "# é")
        .start();
    let archive = server.get("/api/v1/plugins/greeter/archive");
    archive.expect_bytes(200);
    assert_eq!(archive.header("content-type"), Some("application/zip"));
    assert!(archive.header("content-disposition").unwrap().contains("greeter.zip"));
    let known = archive.header("etag").unwrap();
    server
        .send("GET", "/api/v1/plugins/greeter/archive", &[("If-None-Match", known)], None)
        .expect_bytes(304);
    let mut zip = zip::ZipArchive::new(Cursor::new(&archive.body)).unwrap();
    let mut text = String::new();
    zip.by_name("greeter/README.md").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "# é");
    let other = Server::start();
    assert_eq!(send(&other, "", &[], &archive.body).expect(201)["plugin"]["name"], "greeter");
    assert_eq!(greeted_by(&other), "first");
    assert_eq!(send(&other, "?name=second", &[], &archive.body).expect(201)["plugin"]["name"], "second");
}

#[test]
fn a_new_plugin_that_does_not_load_is_there_with_its_fault_and_what_is_none_makes_nothing() {
    let server = Server::start();
    let told = send(&server, "?name=later", &[], &zip_of(&[("init.lua", "\nerror('no')")])).expect(201);
    assert_eq!((&told["plugin"]["state"], &told["fault"]["line"]), (&json!("failed"), &json!(2)), "{told}");
    let off = zip_of(&[("init.lua", ""), ("plugin.yaml", "name: off\nenabled: false\n")]);
    assert_eq!(send(&server, "", &[], &off).expect(201)["plugin"]["state"], "disabled");

    let nameless = zip_of(&[("init.lua", "")]);
    assert!(
        send(&server, "", &[], &nameless).problem(422, "invalid")["hint"]
            .as_str()
            .unwrap()
            .contains("?name=")
    );
    send(&server, "?name=../x", &[], &nameless).problem(422, "invalid");
    let named = zip_of(&[("init.lua", ""), ("plugin.yaml", "name: one\n")]);
    send(&server, "?name=other", &[], &named).problem(422, "invalid");
    send(&server, "?name=empty", &[], &zip_of(&[("README.md", "")])).problem(422, "plugin_load_failed");
    let yaml = zip_of(&[("init.lua", ""), ("plugin.yaml", "name: odd\nversion: [\n")]);
    let odd = send(&server, "?name=odd", &[], &yaml).problem(422, "plugin_load_failed");
    assert_eq!(odd["errors"][0]["file"], "plugin.yaml", "{odd}");
    send(&server, "?name=x", &[], b"no zip").problem(422, "invalid");
    server.json_with("POST", UPLOAD, &[], json!({})).problem(415, "unsupported_media_type");
    let folders: Vec<_> = std::fs::read_dir(server.folder().join("plugins")).unwrap().flatten().collect();
    assert_eq!(folders.len(), 2, "{folders:?}");
}

#[test]
fn hostile_zip_files_leave_nothing_behind() {
    let server = Server::start();
    let slip = zip_of(&[("init.lua", ""), ("../../evil.lua", "x")]);
    let problem = send(&server, "?name=evil", &[], &slip).problem(422, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("leads out"), "{problem}");
    let bomb = zip_of(&[("init.lua", &"\0".repeat(40 << 20))]);
    assert!(bomb.len() < 100_000);
    let problem = send(&server, "?name=bomb", &[], &bomb).problem(413, "too_large");
    assert!(problem["detail"].as_str().unwrap().contains("262144"), "{problem}");
    let mut large = zip_of(&[("init.lua", "")]);
    large.resize(5 << 20, 0);
    assert_eq!(send(&server, "?name=large", &[], &large).problem(413, "too_large")["limit_bytes"], 4 << 20);
    assert_eq!(std::fs::read_dir(server.folder().join("plugins")).unwrap().count(), 0);
    assert!(!server.folder().join("evil.lua").exists());
    assert_eq!(server.get("/api/v1/plugins").expect(200)["total"], 0);
}
