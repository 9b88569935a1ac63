//! The journal over HTTP: what is published is found again, by place and filter.

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::client::Client;
use crate::common::server::wait_for;

const HEARS: &str = r#"
    panotti.events.subscribe("shop.*", function(event) panotti.kv.set("last", event.id) end)
    panotti.on("after_recording_end", function() end)
"#;

fn publish(client: &Client, kind: &str, subject: &str) -> Value {
    client.post("/api/v1/events", json!({ "type": kind, "subject": subject, "data": { "n": 1 } })).expect(201)
}

fn subjects(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|it| it["subject"].as_str().unwrap_or("")).collect()
}

#[test]
fn pages_go_forwards_and_backwards_and_filters_narrow_them() {
    let server = Server::start();
    for n in 1..=5 {
        publish(&server, if n % 2 == 0 { "shop.sold" } else { "shop.item.seen" }, &format!("s/{n}"));
    }
    let shop = "/api/v1/events?type=shop.**";
    let first = server.get(&format!("{shop}&limit=2"));
    let page = first.expect(200);
    assert_eq!(subjects(&page), ["s/1", "s/2"]);
    let item = &page["items"][0];
    assert_eq!((&item["specversion"], &item["type"]), (&json!("1.0"), &json!("shop.item.seen")));
    assert!(item["source"].as_str().is_some_and(|it| it.starts_with("http/")), "{item}");
    assert!(item["sequence"].as_str().unwrap().parse::<i64>().is_ok(), "{item}");
    let link = first.header("link").unwrap();
    let next = link.split_once('>').unwrap().0.trim_start_matches('<');
    assert_eq!(subjects(&server.get(next).expect(200)), ["s/3", "s/4"]);
    let newest = server.get(&format!("{shop}&order=desc&limit=2")).expect(200);
    assert_eq!(subjects(&newest), ["s/5", "s/4"]);
    let older = server.get(&format!("{shop}&before={}", newest["next"])).expect(200);
    assert_eq!((subjects(&older), &older["next"]), (vec!["s/3", "s/2", "s/1"], &Value::Null));
    let found = |query: &str| {
        let page = server.get(&format!("/api/v1/events?{query}")).expect(200);
        subjects(&page).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("type=shop.sold,nothing.here"), ["s/2", "s/4"]);
    assert_eq!(found("type=shop.sold&type=shop.*.seen&subject=s/3"), ["s/3"]);
    assert_eq!(found(&format!("correlation_id={}", item["correlationid"].as_str().unwrap())), ["s/1"]);
    assert_eq!(found("subject=s/3&source=plugin/x"), [""; 0]);
    let times = format!("type=shop.**&from={}&to={}", item["time"].as_str().unwrap(), "2100-01-01T00:00:00Z");
    assert_eq!(found(&times).len(), 5);
    assert_eq!(found("type=shop.**&to=2001-01-01T00:00:00Z"), [""; 0]);
}

#[test]
fn wrong_queries_are_told() {
    let server = Server::start();
    for query in
        ["type=Shop", "type=a,,b", "after=-1", "after=x", "limit=1001", "order=up", "frm=1", "from=now"]
    {
        server.get(&format!("/api/v1/events?{query}")).problem(400, "bad_query");
    }
    server.get("/api/v1/events/none").problem(404, "event_not_found");
    let key = server.post("/api/v1/tokens", json!({ "name": "r", "scopes": ["events:read"] })).expect(201);
    let reader = server.with_key(key["token"].as_str());
    reader.get("/api/v1/events").expect(200);
    reader.post("/api/v1/events", json!({ "type": "a.b" })).problem(403, "scope_missing");
}

#[test]
fn an_event_is_found_with_what_became_of_its_deliveries() {
    let server = Server::with().plugin("shop", HEARS).start();
    let answer =
        server.post("/api/v1/events?wait=30", json!({ "type": "shop.sold", "priority": "critical" }));
    let event = answer.expect(201);
    let delivery = &event["deliveries"][0];
    assert_eq!((&delivery["subscriber"], &delivery["state"]), (&json!("shop"), &json!("done")), "{event}");
    let found = server.get(answer.header("location").unwrap()).expect(200);
    assert_eq!((&found["id"], &found["priority"]), (&event["id"], &json!("critical")));
    let delivery = &found["deliveries"][0];
    assert_eq!((&delivery["attempts"], &delivery["next_at"]), (&json!(1), &Value::Null));
    assert!(delivery["began_at"].is_string() && delivery["ended_at"].is_string(), "{delivery}");

    let stats = server.get("/api/v1/events/stats").expect(200);
    assert_eq!((&stats["events"]["shop.sold"], &stats["published"]["shop.sold"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&stats["deliveries"]["states"]["ready"], &stats["deliveries"]["oldest_open_s"]),
        (&json!(0), &Value::Null)
    );
    let types = server.get("/api/v1/events/types").expect(200);
    let of =
        |kind: &str| types["items"].as_array().unwrap().iter().find(|it| it["type"] == kind).unwrap().clone();
    assert_eq!((&of("shop.sold")["count"], &of("shop.sold")["built_in"]), (&json!(1), &json!(false)));
    assert!(of("clip.created")["description"].is_string());
    let few = server.get("/api/v1/events/types?limit=2&after=clip.deleted").expect(200);
    assert_eq!((&few["items"][0]["type"], &few["next"]), (&json!("clip.processed"), &json!("clip.updated")));
    let listens = server.get("/api/v1/events/subscriptions").expect(200);
    let listens: Vec<_> =
        listens["items"].as_array().unwrap().iter().map(|it| (&it["pattern"], &it["hook"])).collect();
    assert_eq!(
        listens,
        [(&json!("recording.ended"), &json!("after_recording_end")), (&json!("shop.*"), &Value::Null)]
    );
}

#[test]
fn what_may_not_be_published_says_why() {
    let server = Server::with().env("PANOTTI_BODY_MAX_BYTES", 2_000_000).start();
    let refused = |body: Value| server.post("/api/v1/events", body).problem(422, "invalid");
    for first in ["recording", "track", "clip", "plugin", "library", "config", "server", "webhook"] {
        let problem = refused(json!({ "type": format!("{first}.x") }));
        assert!(problem["detail"].as_str().unwrap().contains(&format!("`{first}.`")), "{problem}");
    }
    let grammar = refused(json!({ "type": "Shop Sold" }));
    assert!(grammar["detail"].as_str().unwrap().contains("a-z 0-9 _ joined by dots"), "{grammar}");
    let several =
        refused(json!({ "type": 1, "priority": "urgent", "ttl": -1, "subject": 7, "source": "me" }));
    assert_eq!(several["errors"].as_array().unwrap().len(), 5, "{several}");
    server.post("/api/v1/events?wait=31", json!({ "type": "a.b" })).problem(400, "bad_query");
    let huge = json!({ "type": "a.b", "data": "x".repeat(40 << 20) });
    let told = server.post("/api/v1/events", huge).problem(413, "too_large");
    assert!(told["detail"].as_str().unwrap().contains("body_max_bytes"), "{told}");
    assert_eq!(server.get("/api/v1/events?type=a.**").expect(200)["items"], json!([]));
}

#[test]
fn a_retry_with_its_key_is_told_once() {
    let server = Server::start();
    let send = |n: i64| {
        let body = json!({ "type": "shop.sold", "data": n });
        server.json_with("POST", "/api/v1/events", &[("Idempotency-Key", "k1")], body)
    };
    let (first, again) = (send(1), send(1));
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    send(2).problem(422, "idempotency_key_reused");
    assert_eq!(server.get("/api/v1/events?type=shop.*").expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn cloud_events_come_in_all_three_modes_and_a_repeat_is_the_same_event() {
    let server = Server::start();
    let send = |kind: &str, headers: &[(&str, &str)], body: Value| {
        let mut all = vec![("Content-Type", kind)];
        all.extend_from_slice(headers);
        server.send("POST", "/api/v1/events", &all, Some(body.to_string().as_bytes()))
    };
    let event = |id: &str, data: i64| json!({ "specversion": "1.0", "id": id, "source": "/till", "type": "shop.sold", "subject": "ü", "data": data });
    let structured = send("application/cloudevents+json; charset=utf-8", &[], event("1", 7)).expect(201);
    assert!(structured["source"].as_str().unwrap().starts_with("http/") && structured["id"] != "1");
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/till"),
        ("ce-type", "shop.sold"),
        ("ce-subject", "%C3%BC"),
    ];
    let binary = send("application/json", &attributes, json!(7));
    assert_eq!(binary.expect(201)["id"], structured["id"], "the same source and id");
    assert_eq!(binary.header("idempotency-replayed"), Some("true"));
    let unsaid = server.send("POST", "/api/v1/events", &attributes, Some(b"7"));
    assert_eq!(unsaid.expect(201)["id"], structured["id"], "data of no told type is JSON");
    send("application/cloudevents+json", &[], event("1", 8)).problem(422, "idempotency_key_reused");

    let batch = "application/cloudevents-batch+json";
    let both = send(batch, &[], json!([event("1", 7), event("2", 7)])).expect(201);
    assert_eq!(both["items"][0]["id"], structured["id"]);
    let broken =
        json!([event("3", 7), { "specversion": "1.0", "id": "4", "source": "/till", "type": "clip.sold" }]);
    assert_eq!(send(batch, &[], broken).problem(422, "invalid")["errors"][0]["pointer"], "/1/type");
    send(batch, &[], json!([])).problem(422, "invalid");
    send("application/cloudevents+xml", &[], json!(1)).problem(415, "unsupported_media_type");
    let refused = send("text/plain", &[], json!(1)).problem(415, "unsupported_media_type");
    let document = server.get("/api/openapi.json").expect(200);
    let publish = &document["paths"]["/api/v1/events"]["post"];
    // Generators make clients that fail at every event when a list is among the schemas: it stands in words.
    assert!(
        publish["description"].as_str().or(publish["summary"].as_str()).unwrap().contains(batch),
        "{publish}"
    );
    let kinds = publish["requestBody"]["content"].as_object().unwrap();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    for kind in ["application/json", "application/cloudevents+json"] {
        assert!(kinds[kind]["schema"].is_object(), "{kind}");
    }
    for kind in ["application/json", "application/cloudevents+json", batch] {
        assert!(refused["detail"].as_str().unwrap().contains(kind), "{refused}");
    }
    let found = server.get("/api/v1/events?type=shop.*").expect(200);
    assert_eq!(
        (subjects(&found), &found["items"][1]["data"]),
        (vec!["ü", "ü"], &json!(7)),
        "none of the broken batch"
    );
}

#[test]
fn what_a_call_publishes_after_it_subscribed_is_told_to_that_subscription() {
    let source = r#"
        local E, got = panotti.events, 0
        local function listen(kind) E.subscribe(kind, function() got = got + 1 end) end
        E.subscribe("go.on", function(event)
          listen("of.event." .. event.data.i)
          E.publish("of.event." .. event.data.i, {})
        end)
        panotti.route("POST", "/go", function(request)
          local i = request.json.i
          listen("of.route." .. i)
          E.publish("of.route." .. i, {})
          panotti.task.spawn(function()
            listen("of.task." .. i)
            E.publish("of.task." .. i, {})
          end)
          E.publish("go.on", { i = i })
        end)
        panotti.route("GET", "/got", function() return { got = got } end)
    "#;
    let server = Server::with()
        .plugin("late", source)
        .plugin_file("late", "plugin.yaml", "permissions: { routes: true }")
        .env("PANOTTI_LIMITS_HOOKS", 1000)
        .start();
    for i in 0..40 {
        server.post("/api/v1/plugins/late/x/go", json!({ "i": i })).expect(204);
    }
    wait_for("all to be heard", || {
        let got = server.get("/api/v1/plugins/late/x/got").expect(200)["got"].clone();
        (got == json!(3 * 40)).then_some(())
    });
}
