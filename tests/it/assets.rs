//! Files that plugins keep for clients, and what they tell the admin.

use serde_json::json;

use crate::common::Server;
use crate::common::server::wait_for;

const KEEPER: &str = r#"panotti.on.on_clip_captured(function(clip)
  local a = assert(panotti.assets.save("cover.png", "bytes of " .. clip.title))
  local b = assert(panotti.assets.save("page.html", "bytes of " .. clip.title))
  local names = {}
  for _, it in panotti.assets.list() do table.insert(names, it.name) end
  local none = panotti.assets.exists("none")
  local _, err = pcall(panotti.assets.save, "big.bin", string.rep("x", 2 * 1024 * 1024))
  return { metadata = { url = a.url, same = a.sha256 == b.sha256, names = names, none = none == nil, err = string.find(err, "limits.assets_mib", 1, true) ~= nil,
    read = panotti.assets.read("cover.png") } }
end)"#;

#[test]
fn assets_are_served_by_their_hash_and_go_with_a_purge() {
    let server = Server::with()
        .plugin("keeper", KEEPER)
        .plugin_file("keeper", "plugin.yaml", "permissions: { assets: true }\nlimits: { assets_mib: 1 }")
        .start();
    let clip = |title: &str| {
        server.post("/api/v1/clips", json!({"title": title, "file_path": "/x"})).expect(201)["metadata"]
            .clone()
    };
    let told = clip("one");
    assert_eq!(
        told,
        json!({"url": "/api/v1/plugins/keeper/assets/cover.png", "same": true, "names": ["cover.png", "page.html"],
            "none": true, "err": true, "read": "bytes of one"})
    );
    let url = told["url"].as_str().unwrap();
    let got = server.get(url);
    assert_eq!(
        (got.body.as_slice(), got.header("content-type")),
        (b"bytes of one".as_slice(), Some("image/png"))
    );
    assert_eq!(got.header("content-disposition"), None);
    let tag = got.header("etag").unwrap().to_owned();
    assert_eq!(server.send("GET", url, &[("If-None-Match", &tag)], None).status, 304);
    let page = server.get("/api/v1/plugins/keeper/assets/page.html");
    assert!(
        page.header("content-disposition").unwrap().starts_with("attachment"),
        "no page of a plugin is shown"
    );
    clip("two");
    assert_eq!(server.send("GET", url, &[("If-None-Match", &tag)], None).body, b"bytes of two");
    let folder = server.folder().join("data/plugins/keeper/assets");
    wait_for("the former bytes are gone", || {
        (std::fs::read_dir(&folder).unwrap().count() == 1).then_some(())
    });
    let list = server.get("/api/v1/plugins/keeper/assets").expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert_eq!(list["items"][0]["url"], url);
    server.delete(url).expect(204);
    server.get(url).problem(404, "not_found");
    server.delete(url).problem(404, "not_found");
    server.delete("/api/v1/plugins/keeper?purge=true").expect(204);
    assert!(!folder.exists());
}

#[test]
fn bytes_that_a_crash_left_without_a_name_go_at_the_next_start() {
    let server = Server::with()
        .plugin("keeper", KEEPER)
        .plugin_file("keeper", "plugin.yaml", "permissions: { assets: true }\nlimits: { assets_mib: 1 }")
        .start();
    server.post("/api/v1/clips", json!({"title": "one", "file_path": "/x"})).expect(201);
    let folder = server.folder().join("data/plugins/keeper/assets");
    let lost = folder.join("0".repeat(64));
    std::fs::write(&lost, "bytes").unwrap();
    let server = server.kill_and_restart();
    assert!(!lost.exists());
    wait_for("the line that tells it", || {
        server.log_lines().into_iter().find(|it| it.to_string().contains("never finished: 1"))
    });
    let kept = server.get("/api/v1/plugins/keeper/assets/cover.png");
    assert_eq!(kept.body.as_slice(), b"bytes of one".as_slice());
}

#[test]
fn a_notification_is_logged_published_and_handed_to_the_admins_program() {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let tool = folder.path().join("tool.sh");
    std::fs::write(&tool, format!("#!/bin/sh\nprintf '%s|%s' \"$1\" \"$2\" > {}\n", said.display())).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = Server::with()
        .plugin(
            "caller",
            r#"panotti.events.subscribe("plugin.notified", function(event) panotti.kv.set("heard", event.data) end)
               panotti.on.on_clip_captured(function(clip)
                 if clip.title == "tell" then panotti.notify("Disk", "nearly\nfull", { level = "warning" }) end
                 if clip.title == "flood" then for i = 1, 50 do panotti.notify("x" .. i) end end
                 return { metadata = { heard = panotti.kv.get("heard") } }
               end)"#,
        )
        .plugin_file("caller", "plugin.yaml", "permissions: { notify: true }")
        .env("PANOTTI_NOTIFY_TOOL", tool.display())
        .start();
    let clip = |title: &str| {
        server.post("/api/v1/clips", json!({"title": title, "file_path": "/x"})).expect(201)["metadata"]
            .clone()
    };
    clip("tell");
    let heard = wait_for("the event", || Some(clip("x")["heard"].clone()).filter(|it| !it.is_null()));
    assert_eq!(
        (&heard["title"], &heard["level"], &heard["plugin"]),
        (&json!("Disk"), &json!("warning"), &json!("caller"))
    );
    server.wait_for_log("the line", |it| {
        it["message"].as_str().unwrap_or("").starts_with("notifies: Disk: nearly")
    });
    wait_for("the program", || {
        std::fs::read_to_string(&said).ok().filter(|it| it.starts_with("Disk|nearly"))
    });
    clip("flood");
    let status = server.get("/api/v1/plugins/caller/status").expect(200);
    assert_eq!(status["last_error"]["outcome"], "limit");
    assert!(
        status["last_error"]["message"].as_str().unwrap().contains("limits.notifications_per_min"),
        "{status}"
    );
}
