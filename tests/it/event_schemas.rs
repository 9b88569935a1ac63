//! What the data of events must be like.

use serde_json::{Value, json};

use crate::common::Server;

/// Tells the event of a clip's metadata and answers what came of it, told in both ways.
const TELLER: &str = r#"panotti.on.on_clip_captured(function(clip)
  local ok, err = pcall(panotti.events.publish, "shop.sold", clip.metadata.data)
  local _, row, fault = pcall(panotti.db.execute, "INSERT INTO events (type, data) VALUES ('shop.sold', ?)",
    { panotti.json.encode(clip.metadata.data) })
  return { metadata = { ok = ok, err = tostring(err), row = row ~= nil, fault = fault and fault.message } }
end)"#;

fn tell(server: &Server, data: Value) -> Value {
    let body = json!({"title": "t", "file_path": "/x", "metadata": {"data": data}});
    server.post("/api/v1/clips", body).expect(201)["metadata"].clone()
}

fn sold() -> Value {
    json!({
        "type": "object", "required": ["item"],
        "properties": { "item": { "type": "string", "pattern": "^[a-z]+$" }, "prices": { "items": { "minimum": 0 } } },
    })
}

const PLACE: &str = "/api/v1/events/types/shop.sold/schema";

#[test]
fn who_publishes_other_data_than_the_schema_says_is_told_where() {
    let server = Server::with().plugin("teller", TELLER).plugin_file(
        "teller",
        "plugin.yaml",
        "permissions: { db: true }",
    );
    let server = server.start();
    server.get(PLACE).problem(404, "event_schema_not_found");
    assert_eq!(tell(&server, json!(7))["ok"], true);
    let set = server.put(PLACE, sold()).expect(200);
    assert_eq!((&set["type"], &set["schema"]), (&json!("shop.sold"), &sold()));
    assert_eq!(server.get(PLACE).expect(200), set);

    assert_eq!(tell(&server, json!({"item": "hat", "prices": [1]}))["ok"], true);
    let told = tell(&server, json!({"prices": [1, -2]}));
    for key in ["err", "fault"] {
        let text = told[key].as_str().unwrap();
        assert!(text.contains("does not fit the schema of `shop.sold`"), "{text}");
        assert!(text.contains("/item is required") && text.contains("/prices/1 -2 is less than"), "{text}");
    }
    assert_eq!((&told["ok"], &told["row"]), (&json!(false), &json!(false)));

    let told = server.post("/api/v1/events", json!({"type": "shop.sold", "data": {"item": 7}}));
    let told = told.problem(422, "invalid");
    assert_eq!(told["errors"][0]["pointer"], "/data/item", "{told}");
    server.post("/api/v1/events", json!({"type": "shop.sold", "data": {"item": "hat"}})).expect(201);

    let server = server.kill_and_restart();
    assert_eq!(tell(&server, json!({}))["ok"], false, "it is kept");
    server.put("/api/v1/events/types/shop.unheard/schema", sold()).expect(200);
    let types = server.get("/api/v1/events/types").expect(200);
    let listed: Vec<_> =
        types["items"].as_array().unwrap().iter().filter(|it| it["has_schema"] == true).collect();
    assert_eq!(listed.iter().map(|it| &it["type"]).collect::<Vec<_>>(), ["shop.sold", "shop.unheard"]);
    assert_eq!(listed[1]["count"], 0, "also before its first event");
    server.delete(PLACE).expect(204);
    assert_eq!(tell(&server, json!({}))["ok"], true);
    server.delete(PLACE).problem(404, "event_schema_not_found");
    let acts = server.get("/api/v1/audit").expect(200).to_string();
    assert!(acts.contains("event_schema.set") && acts.contains("event_schema.delete"), "{acts}");
}

#[test]
fn a_schema_of_the_products_own_events_and_one_without_end_are_refused() {
    let server = Server::start();
    let put = |kind: &str, schema: Value| {
        server.put(&format!("/api/v1/events/types/{kind}/schema"), schema).problem(422, "invalid").to_string()
    };
    assert!(put("recording.ended", json!({})).contains("the product's own"));
    assert!(put("Shop", json!({})).contains("must be words"));
    assert!(put("a.b", json!({"$ref": "#"})).contains("without end"));
    assert!(put("a.b", json!({"$ref": "https://example.com/s.json"})).contains("within the schema"));
    assert!(put("a.b", json!({"properties": {"n": {"type": "strin"}}})).contains("/properties/n/type"));
    server.json_with("PUT", PLACE, &[], json!([1])).problem(422, "invalid");
    server.get("/api/v1/events/types/a.b/schema").problem(404, "event_schema_not_found");
}
