//! Webhooks: other servers are told, signed, in order, until they have heard it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::receiver::{Hit, Receiver, verified};
use crate::common::server::wait_for;

fn started() -> Server {
    Server::with().env("PANOTTI_WEBHOOK_HOSTS", "127.0.0.1").start()
}

/// Has `receiver` told; id and secret of the webhook.
fn hook(server: &Server, receiver: &Receiver, events: &[&str]) -> (String, String) {
    let body = json!({ "name": "test", "url": receiver.url(), "events": events });
    let made = server.post("/api/v1/webhooks", body).expect(201);
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

fn record(server: &Server, id: &str) {
    server.post("/api/v1/recordings", json!({ "id": id, "title": "T" })).expect(201);
}

fn attempts(server: &Server, id: &str) -> Vec<Value> {
    let page = server.get(&format!("/api/v1/webhooks/{id}/deliveries")).expect(200);
    page["items"].as_array().unwrap().clone()
}

#[test]
fn an_event_arrives_as_a_cloud_event_that_is_signed() {
    let (server, receiver) = (started(), Receiver::that(|_, _| (204, "")));
    let (id, secret) = hook(&server, &receiver, &["recording.started"]);
    record(&server, "a");
    let hit = receiver.wait_for(1).remove(0);
    assert_eq!(hit.header("content-type"), "application/cloudevents+json");
    assert!(hit.header("user-agent").starts_with("panotti/"));
    assert!(verified(&hit, &secret), "{hit:?}");
    let sent: i64 = hit.header("webhook-timestamp").parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - sent).abs() < 300, "{sent} {now}");
    let event = hit.json();
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("recording.started")));
    assert_eq!((&event["subject"], &event["data"]["title"]), (&json!("recording/a"), &json!("T")));
    assert_eq!(event["id"], hit.header("webhook-id"));

    let noted = wait_for("the attempt", || attempts(&server, &id).pop());
    assert_eq!(
        (&noted["status"], &noted["kind"], &noted["attempt"]),
        (&json!(204), &json!("delivery"), &json!(1))
    );
    assert_eq!((&noted["event_id"], &noted["error"]), (&event["id"], &Value::Null));

    // The secret was shown once.
    let bare = secret.trim_start_matches("whsec_");
    for path in [
        "/api/v1/webhooks".to_owned(),
        format!("/api/v1/webhooks/{id}"),
        "/api/v1/audit".to_owned(),
        format!("/api/v1/webhooks/{id}/deliveries"),
    ] {
        assert!(!server.get(&path).expect(200).to_string().contains(bare), "{path}");
    }
    assert!(!server.log_lines().iter().any(|it| it.to_string().contains(bare)));
}

#[test]
fn what_failed_comes_again_in_order_and_other_subjects_go_on() {
    let refused = AtomicBool::new(false);
    let receiver = Receiver::that(move |hit, _| {
        let first = hit.json()["subject"] == "recording/a" && !refused.swap(true, Ordering::SeqCst);
        if first { (500, "not now") } else { (200, "") }
    });
    let server = started();
    let (id, secret) = hook(&server, &receiver, &["recording.*"]);
    record(&server, "a");
    receiver.wait_for(1);
    server.patch("/api/v1/recordings/a", json!({ "title": "U" })).expect(200);
    record(&server, "b");
    let hits = receiver.wait_for(4);
    let told: Vec<String> = hits.iter().map(told).collect();
    let expected =
        ["recording/a started", "recording/b started", "recording/a started", "recording/a updated"];
    assert_eq!(told, expected.map(str::to_owned));
    assert_eq!(hits[0].header("webhook-id"), hits[2].header("webhook-id"), "so that a receiver can tell");
    assert!(hits.iter().all(|it| verified(it, &secret)));
    let noted = wait_for("four attempts", || Some(attempts(&server, &id)).filter(|it| it.len() == 4));
    let first = &noted[3];
    assert_eq!((&first["status"], &first["answer"]), (&json!(500), &json!("not now")));
    assert_eq!((&noted[1]["attempt"], &noted[1]["event_id"]), (&json!(2), &first["event_id"]));
    assert_eq!(server.get(&format!("/api/v1/webhooks/{id}")).expect(200)["failing_since"], Value::Null);
    let page = format!("/api/v1/webhooks/{id}/deliveries?limit=2&before={}", noted[0]["id"]);
    assert_eq!(server.get(&page).expect(200)["items"], json!(noted[1..3]));
}

fn told(hit: &Hit) -> String {
    let event = hit.json();
    format!(
        "{} {}",
        event["subject"].as_str().unwrap(),
        event["type"].as_str().unwrap().trim_start_matches("recording.")
    )
}

#[test]
fn an_event_is_told_again_on_demand() {
    let (server, receiver) = (started(), Receiver::that(|_, _| (200, "")));
    let (id, secret) = hook(&server, &receiver, &["recording.started"]);
    record(&server, "a");
    let first = receiver.wait_for(1).remove(0);
    let event = first.header("webhook-id");
    let again = format!("/api/v1/webhooks/{id}/deliveries/{event}/redeliver");
    let once = [("Idempotency-Key", "k1")];
    let wanted = server.send("POST", &again, &once, None).expect(202);
    assert_eq!(wanted, json!({ "webhook": id, "event_id": event }));
    let repeated = server.send("POST", &again, &once, None);
    assert_eq!(repeated.header("idempotency-replayed"), Some("true"));
    let hits = receiver.wait_for(2);
    assert_eq!((hits[1].header("webhook-id"), &hits[1].body), (event, &first.body));
    assert!(verified(&hits[1], &secret));
    let noted = wait_for("both attempts", || Some(attempts(&server, &id)).filter(|it| it.len() == 2));
    assert_eq!(noted[0]["kind"], "again");

    let unknown = format!("/api/v1/webhooks/{id}/deliveries/nothing/redeliver");
    server.send("POST", &unknown, &[], None).problem(404, "event_not_found");
    server.patch(&format!("/api/v1/webhooks/{id}"), json!({ "enabled": false })).expect(200);
    server.send("POST", &again, &[], None).problem(409, "conflict");
}

#[test]
fn after_a_rotation_both_secrets_sign() {
    let (server, receiver) = (started(), Receiver::that(|_, _| (200, "")));
    let (id, old) = hook(&server, &receiver, &["recording.started"]);
    let rotated = server.send("POST", &format!("/api/v1/webhooks/{id}/rotate-secret"), &[], None);
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    let rotated = rotated.expect(200);
    let new = rotated["secret"].as_str().unwrap();
    assert!(new != old && rotated["old_secret_until"].is_string());
    record(&server, "a");
    let hit = receiver.wait_for(1).remove(0);
    assert_eq!(hit.header("webhook-signature").split(' ').count(), 2);
    assert!(verified(&hit, &old) && verified(&hit, new));

    // One can bring a secret of one's own, if it is one.
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let url = format!("/api/v1/webhooks/{id}/rotate-secret");
    assert_eq!(server.post(&url, json!({ "secret": own })).expect(200)["secret"], own);
    server.post(&url, json!({ "secret": "whsec_dG9vIHNob3J0" })).problem(422, "invalid");
}

#[test]
fn a_receiver_that_is_gone_is_switched_off_and_gets_what_waited_when_it_is_switched_on() {
    let gone = Arc::new(AtomicBool::new(true));
    let said = Arc::clone(&gone);
    let receiver =
        Receiver::that(move |_, _| if said.load(Ordering::SeqCst) { (410, "") } else { (200, "") });
    let watcher = Receiver::that(|_, _| (200, ""));
    let server = started();
    let (id, _) = hook(&server, &receiver, &["recording.started"]);
    hook(&server, &watcher, &["webhook.*"]);
    record(&server, "a");
    let heard = watcher.wait_for(1).remove(0).json();
    assert_eq!((&heard["type"], &heard["data"]["id"]), (&json!("webhook.disabled"), &json!(id)));
    let path = format!("/api/v1/webhooks/{id}");
    let off = server.get(&path).expect(200);
    assert_eq!(off["enabled"], false);
    assert!(off["disabled_reason"].as_str().unwrap().contains("410"), "{off}");
    let acts = server.get(&format!("/api/v1/audit?action=webhook.disable&subject=webhook/{id}")).expect(200);
    assert_eq!(acts["items"][0]["actor"], "server");

    gone.store(false, Ordering::SeqCst);
    server.patch(&path, json!({ "enabled": true })).expect(200);
    let hits = receiver.wait_for(2);
    assert_eq!(hits[0].header("webhook-id"), hits[1].header("webhook-id"));
}

#[test]
fn hosts_of_this_machine_are_shut_unless_the_settings_name_them() {
    let (server, receiver) = (Server::start(), Receiver::that(|_, _| (200, "")));
    for url in [&*receiver.url(), "http://localhost:1/", "http://192.168.0.9/", "http://[::1]/"] {
        let body = json!({ "name": "x", "url": url, "events": ["**"] });
        let refused = server.post("/api/v1/webhooks", body).problem(422, "invalid");
        let told = refused["detail"].as_str().unwrap();
        assert!(told.contains("the setting webhook_hosts must name"), "{told}");
        assert!(refused["hint"].as_str().unwrap().contains("PANOTTI_WEBHOOK_HOSTS"), "{refused}");
    }
    for url in ["ftp://a.example/", "no url", "https://a:b@c.example/"] {
        let body = json!({ "name": "x", "url": url, "events": ["**"] });
        server.post("/api/v1/webhooks", body).problem(422, "invalid");
    }
    assert!(receiver.hits().is_empty());
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::that(|_, _| (200, ""));
    let receiver = Receiver::redirecting(&elsewhere.url());
    let server = started();
    let (id, _) = hook(&server, &receiver, &["recording.started"]);
    let tried = server.send("POST", &format!("/api/v1/webhooks/{id}/test"), &[], None).expect(200);
    assert_eq!(tried["status"], 307);
    assert!(tried["error"].as_str().unwrap().contains("change the url of the webhook"), "{tried}");
    assert!(elsewhere.hits().is_empty());
}

#[test]
fn a_test_sends_a_ping_and_tells_what_came_back() {
    let (server, receiver) = (started(), Receiver::that(|_, _| (200, "pong")));
    let (id, secret) = hook(&server, &receiver, &["clip.created"]);
    let path = format!("/api/v1/webhooks/{id}/test");
    let tried = server.send("POST", &path, &[], None).expect(200);
    assert_eq!(
        (&tried["status"], &tried["answer"], &tried["error"]),
        (&json!(200), &json!("pong"), &Value::Null)
    );
    let hit = receiver.wait_for(1).remove(0);
    assert!(verified(&hit, &secret));
    assert_eq!(hit.json()["type"], "webhook.ping");
    assert_eq!(attempts(&server, &id), [tried]);
    drop(receiver);
    let tried = server.send("POST", &path, &[], None).expect(200);
    assert!(tried["status"].is_null() && tried["error"].is_string(), "{tried}");
}

#[test]
fn nothing_is_lost_when_the_server_dies() {
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&ready);
    let receiver = Receiver::that(move |hit, _| {
        let ready = asked.load(Ordering::SeqCst);
        if !ready && hit.json()["subject"] == "recording/slow" {
            std::thread::sleep(Duration::from_secs(3));
        }
        if ready { (200, "") } else { (503, "") }
    });
    let server = started();
    let (_, secret) = hook(&server, &receiver, &["recording.started"]);
    record(&server, "a");
    receiver.wait_for(1);
    record(&server, "slow");
    receiver.wait_for(2);
    ready.store(true, Ordering::SeqCst);
    let server = server.kill_and_restart();
    record(&server, "b");
    let hits = wait_for("all three", || {
        let told = |it: &Hit, subject: &str| it.json()["subject"] == subject;
        let hits = receiver.hits();
        let after = &hits[2..];
        ["recording/a", "recording/slow", "recording/b"]
            .iter()
            .all(|s| after.iter().any(|it| told(it, s)))
            .then_some(hits)
    });
    assert!(hits.iter().all(|it| verified(it, &secret)));
}

#[test]
fn a_receiver_that_does_not_answer_holds_up_no_stop_and_is_told_after_it() {
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    let receiver = Receiver::that(move |_, _| {
        if is_slow.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(15));
        }
        (200, "")
    });
    let start = Server::with().env("PANOTTI_WEBHOOK_HOSTS", "127.0.0.1").env("PANOTTI_SHUTDOWN_S", 8);
    let mut server = start.start();
    hook(&server, &receiver, &["recording.started"]);
    record(&server, "a");
    receiver.wait_for(1);
    assert!(server.stop().success());
    let forced = server.log_lines().into_iter().find(|it| it.to_string().contains("not waited for"));
    assert_eq!(forced, None);
    slow.store(false, Ordering::SeqCst);
    let server = server.restart_stopped();
    let hits = receiver.wait_for(2);
    assert_eq!(hits[0].header("webhook-id"), hits[1].header("webhook-id"));
    let tasks = server.get("/api/v1/recordings/a/tasks").expect(200);
    assert_eq!(tasks["items"], json!([]), "what is no plugin has a log of its own");
}

#[test]
fn only_what_fits_the_filter_is_told_and_a_change_is_in_force_at_once() {
    let (server, receiver) = (started(), Receiver::that(|_, _| (200, "")));
    let body = json!({
        "name": "long", "url": receiver.url(), "events": ["recording.started"], "when": { "data.title": { "prefix": "L" } },
    });
    let made = server.json_with("POST", "/api/v1/webhooks", &[("Idempotency-Key", "k")], body.clone());
    let tag = made.header("etag").unwrap().to_owned();
    let made = made.expect(201);
    let repeated =
        server.json_with("POST", "/api/v1/webhooks", &[("Idempotency-Key", "k")], body).expect(201);
    assert_eq!((&repeated["id"], repeated.get("secret")), (&made["id"], None), "the secret is shown once");
    let path = format!("/api/v1/webhooks/{}", made["id"].as_str().unwrap());
    server.post("/api/v1/recordings", json!({ "id": "a", "title": "Short" })).expect(201);
    server.post("/api/v1/recordings", json!({ "id": "b", "title": "Long" })).expect(201);
    assert_eq!(receiver.wait_for(1)[0].json()["subject"], "recording/b");

    server.json_with("PATCH", &path, &[("If-Match", &tag)], json!({ "enabled": false })).expect(200);
    server
        .json_with("PATCH", &path, &[("If-Match", &tag)], json!({ "name": "y" }))
        .problem(412, "precondition_failed");
    server.post("/api/v1/recordings", json!({ "id": "c", "title": "Long" })).expect(201);
    server.patch(&path, json!({ "enabled": true, "when": null })).expect(200);
    server.post("/api/v1/recordings", json!({ "id": "d", "title": "Short" })).expect(201);
    assert_eq!(receiver.wait_for(2)[1].json()["subject"], "recording/d");

    server.patch(&path, json!({ "when": { "titel": "x" } })).problem(422, "invalid");
    server.patch(&path, json!({ "events": ["a b"] })).problem(422, "invalid");
    server.patch(&path, json!({ "timeout_s": 61 })).problem(422, "invalid");
    assert_eq!(server.delete(&path).status, 204);
    server.get(&path).problem(404, "webhook_not_found");
    server.post("/api/v1/recordings", json!({ "id": "e", "title": "Long" })).expect(201);
    let acts = server.get("/api/v1/audit?outcome=ok&limit=4").expect(200);
    let acts: Vec<&str> =
        acts["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(acts, ["webhook.delete", "webhook.update", "webhook.update", "webhook.create"]);
    assert_eq!(receiver.hits().len(), 2);
}

#[test]
fn who_may_read_events_sees_webhooks_and_only_an_admin_makes_them() {
    let server = started();
    let key = json!({ "name": "r", "scopes": ["events:read", "events:write"] });
    let made = server.post("/api/v1/tokens", key).expect(201);
    let reader = server.with_key(made["token"].as_str());
    assert_eq!(reader.get("/api/v1/webhooks").expect(200), json!({ "items": [] }));
    let body = json!({ "name": "x", "url": "https://a.example/", "events": ["**"] });
    assert_eq!(reader.post("/api/v1/webhooks", body).problem(403, "scope_missing")["scope"], "admin");
}
