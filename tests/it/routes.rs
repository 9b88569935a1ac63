//! Requests that plugins answer.

use serde_json::{Value, json};

use crate::common::Server;

const SHOP: &str = r#"
panotti.route("GET", "/items/{id}", function(request)
  return { id = request.params.id, q = request.query.q, who = request.token.id ~= nil, secret = request.headers["x-api-key"] }
end, { summary = "Gives an item." })
panotti.route("GET", "/items/all", function() return "everything" end)
panotti.route("POST", "/items", function(request, ctx)
  panotti.kv.incr("made")
  return panotti.respond{ status = 201, json = { got = request.json, made = panotti.kv.get("made"), hook = ctx.hook },
    headers = { ["x-own"] = "yes", ["set-cookie"] = "a=b" } }
end)
panotti.route("DELETE", "/items/{id}", function() end)
panotti.route("GET", "/files/{rest*}", function(request) return request.params.rest end)
panotti.route("GET", "/page", function() return panotti.respond{ body = "<script>1</script>", headers = { ["content-type"] = "text/html" } } end)
panotti.route("GET", "/made", function() return { made = panotti.kv.get("made") } end)
panotti.route("POST", "/refused", function() panotti.kv.incr("made") return panotti.deny("not today", { status = 409 }) end)
panotti.route("GET", "/broken", function() error("at home") end)
panotti.route("GET", "/endless", function() while true do end end)
"#;

fn start() -> Server {
    Server::with()
        .plugin("shop", SHOP)
        .plugin_file("shop", "plugin.yaml", "permissions: { routes: true }\nlimits: { cpu_ms: 100 }")
        .start()
}

const BASE: &str = "/api/v1/plugins/shop/x";

#[test]
fn a_route_is_given_the_request_and_what_it_returns_is_the_answer() {
    let server = start();
    let got = server.get(&format!("{BASE}/items/a%20b?q=1&q=2")).expect(200);
    assert_eq!(got, json!({"id": "a b", "q": "2", "who": true}));
    let escaped = server.get(&format!("{BASE}/items/100%25%2Fx%20y")).expect(200);
    assert_eq!(escaped["id"], "100%/x y");
    let text = server.get(&format!("{BASE}/items/all"));
    assert_eq!(
        (text.status, text.body.as_slice()),
        (200, b"everything".as_slice()),
        "written out comes first"
    );
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    let made = server.post(&format!("{BASE}/items"), json!({"n": [1]}));
    assert_eq!(made.expect(201), json!({"got": {"n": [1]}, "made": 1, "hook": "route"}));
    assert_eq!((made.header("x-own"), made.header("set-cookie")), (Some("yes"), None));
    assert_eq!(server.delete(&format!("{BASE}/items/7")).status, 204);
    assert_eq!(server.get(&format!("{BASE}/files/a/b.txt")).body, b"a/b.txt");
    let page = server.get(&format!("{BASE}/page"));
    assert!(page.header("content-security-policy").unwrap().contains("sandbox"), "{:?}", page.headers);
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let server = server.kill_and_restart();
    assert_eq!(
        server.get(&format!("{BASE}/made")).expect(200),
        json!({"made": 1}),
        "stored before it was answered"
    );
}

#[test]
fn what_does_not_fit_fails_or_is_refused_is_told_as_a_problem() {
    let server = start();
    server.get(&format!("{BASE}/nothing")).problem(404, "not_found");
    let other = server.put(&format!("{BASE}/items/7"), json!({}));
    other.problem(405, "method_not_allowed");
    assert_eq!(other.header("allow"), Some("DELETE, GET"));
    server.get("/api/v1/plugins/nobody/x/y").problem(404, "plugin_not_found");
    let refused = server.post(&format!("{BASE}/refused"), json!({})).problem(409, "hook_denied");
    assert_eq!(refused["detail"], "not today");
    assert_eq!(server.get(&format!("{BASE}/made")).expect(200), json!({}), "a refusal stores nothing");
    let failed = server.get(&format!("{BASE}/broken")).problem(500, "plugin_failed");
    assert!(!failed.to_string().contains("at home"), "{failed}");
    let status = server.get("/api/v1/plugins/shop/status").expect(200);
    assert_eq!((&status["last_error"]["hook"], &status["last_error"]["line"]), (&json!("route"), &json!(16)));
    assert_eq!(status["routes"].as_array().unwrap().len(), 10);
    server.get(&format!("{BASE}/endless")).problem(504, "plugin_timeout");
    let bad =
        server.send("POST", &format!("{BASE}/items"), &[("Content-Type", "application/json")], Some(b"{"));
    bad.problem(400, "not_json");
    server.post("/api/v1/plugins/shop/disable", json!({})).expect(200);
    let gone = server.get(&format!("{BASE}/made"));
    gone.problem(503, "plugin_unavailable");
    assert!(gone.header("retry-after").is_some());
}

#[test]
fn reading_and_changing_need_their_scopes() {
    let server = start();
    let key = |scope: &str| {
        let made = server.post("/api/v1/tokens", json!({"name": "t", "scopes": [scope]})).expect(201);
        server.client().with_key(made["token"].as_str())
    };
    let (reader, manager, other) = (key("plugins:read"), key("plugins:manage"), key("clips:read"));
    reader.get(&format!("{BASE}/made")).expect(200);
    reader.post(&format!("{BASE}/items"), json!({})).problem(403, "scope_missing");
    manager.post(&format!("{BASE}/items"), json!({})).expect(201);
    other.get(&format!("{BASE}/made")).problem(403, "scope_missing");
    server.client().with_key(None).get(&format!("{BASE}/made")).problem(401, "key_missing");
}

#[test]
fn routes_stand_in_the_document_and_come_and_go_with_their_plugin() {
    let server = start();
    let paths = |server: &Server| server.get("/api/openapi.json").expect(200)["paths"].clone();
    let item = &paths(&server)["/api/v1/plugins/shop/x/items/{id}"]["get"];
    assert_eq!(
        (&item["operationId"], &item["summary"]),
        (&json!("shop_get_items_id"), &json!("Gives an item."))
    );
    let path = server.folder().join("plugins/shop/init.lua");
    std::fs::write(&path, "panotti.route('GET', '/other', function() return 'new' end)").unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(server.get(&format!("{BASE}/other")).body, b"new");
    server.get(&format!("{BASE}/made")).problem(404, "not_found");
    assert_eq!(paths(&server)["/api/v1/plugins/shop/x/items/{id}"], Value::Null);
    let twice = "panotti.route('GET', '/a/{b}', print) panotti.route('get', '/a/{c}', print)";
    std::fs::write(&path, twice).unwrap();
    let rescan = server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(rescan["failed"], json!(["shop"]));
    assert_eq!(server.get(&format!("{BASE}/other")).body, b"new", "the old one goes on");
}
