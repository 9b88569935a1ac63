//! The journal as server-sent events: nothing is lost, nothing comes twice, nobody is waited for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::client::Client;
use crate::common::server::wait_for;
use crate::common::sse::Sse;

fn publish(client: &Client, kind: &str, data: Value) -> i64 {
    let event = client.post("/api/v1/events", json!({ "type": kind, "data": data })).expect(201);
    event["sequence"].as_str().unwrap().parse().unwrap()
}

fn open_streams(server: &Server) -> u64 {
    server.get("/api/v1/events/stats").expect(200)["streams"].as_u64().unwrap()
}

#[test]
fn a_stream_tells_what_is_published_and_goes_on_where_it_broke_off_also_after_a_restart() {
    let server = Server::start();
    let mut live = Sse::open(&server, "?type=shop.*", &[]);
    assert!(live.head.contains("text/event-stream") && live.head.contains("no-store"), "{}", live.head);
    let begun = live.block().unwrap();
    // With data: there are clients that read an id only where there are.
    assert_eq!((begun.event.as_deref(), begun.id), (Some("start"), Some(0)));
    assert_eq!(begun.data.unwrap(), json!({ "sequence": "0" }));
    publish(&server, "other.x", json!(0));
    let first = publish(&server, "shop.sold", json!({ "text": "two\nlines" }));
    let told = live.event();
    assert_eq!((told.event.as_deref(), told.id), (Some("shop.sold"), Some(first)));
    let data = told.data.unwrap();
    assert_eq!((&data["specversion"], &data["data"]["text"]), (&json!("1.0"), &json!("two\nlines")));
    let missed = [publish(&server, "shop.a", json!(1)), publish(&server, "shop.b", json!(2))];
    let server = server.restart();
    assert!(std::iter::from_fn(|| live.block()).count() <= 2, "the stop ends the stream");
    let third = publish(&server, "shop.c", json!(3));
    let mut again =
        Sse::open(&server, "?type=shop.*&event_name=message", &[("Last-Event-ID", &first.to_string())]);
    let ids: Vec<_> = (0..3).map(|_| again.event()).map(|it| (it.event, it.id.unwrap())).collect();
    assert_eq!(ids, [(None, missed[0]), (None, missed[1]), (None, third)]);
    let mut by_query = Sse::open(&server, &format!("?type=shop.*&last_event_id={}", missed[1]), &[]);
    assert_eq!(by_query.event().id, Some(third));
}

#[test]
fn a_place_that_is_not_there_is_a_gap_and_nonsense_is_refused() {
    let server = Server::start();
    let last = publish(&server, "a.b", json!(1));
    let mut stream = Sse::open(&server, "", &[("Last-Event-ID", &(last + 5).to_string())]);
    let gap = stream.event();
    assert_eq!(gap.event.as_deref(), Some("gap"));
    assert_eq!(gap.data.unwrap(), json!({ "from": (last + 1).to_string(), "to": (last + 5).to_string() }));
    let next = publish(&server, "a.b", json!(2));
    assert_eq!(stream.event().id, Some(next));
    for wrong in ["x", "-1", "1.5", "99999999999999999999"] {
        server
            .send("GET", "/api/v1/events/stream", &[("Last-Event-ID", wrong)], None)
            .problem(400, "bad_header");
    }
    server.get("/api/v1/events/stream?last_event_id=x").problem(400, "bad_query");
    server.get("/api/v1/events/stream?type=A").problem(400, "bad_query");
    server.get("/api/v1/events/stream?limit=1").problem(400, "bad_query");
    assert_eq!(server.send("HEAD", "/api/v1/events/stream", &[], None).status, 200);
}

#[test]
fn a_stream_more_than_there_may_be_is_turned_away_until_one_ends() {
    let server = Server::with().env("PANOTTI_MAX_EVENT_STREAMS", 1).start();
    let held = Sse::open(&server, "", &[]);
    let turned = server.get("/api/v1/events/stream");
    assert!(turned.problem(503, "overloaded")["detail"].as_str().unwrap().contains("max_event_streams"));
    assert_eq!(turned.header("retry-after"), Some("5"));
    drop(held);
    wait_for("the place of a client that went away", || (open_streams(&server) == 0).then_some(()));
    Sse::open(&server, "", &[]).block().unwrap();
}

#[test]
fn a_key_that_is_revoked_ends_its_stream() {
    let server = Server::start();
    let made = server.post("/api/v1/tokens", json!({ "name": "s", "scopes": ["events:read"] })).expect(201);
    let mut stream = Sse::with_key(&server, "", &[], made["token"].as_str().unwrap());
    stream.block().unwrap();
    server.delete(&format!("/api/v1/tokens/{}", made["id"].as_str().unwrap())).expect(204);
    let began = Instant::now();
    while stream.block().is_some() {}
    assert!(began.elapsed() < Duration::from_secs(20));
    wait_for("its place", || (open_streams(&server) == 0).then_some(()));
}

#[test]
fn hooks_around_requests_are_asked_about_a_stream_before_its_first_byte() {
    let server = Server::with()
        .plugin(
            "around",
            r#"
            panotti.on("before_request", function(request) end)
            panotti.on("after_request", function(response) return { headers = { ["x-seen"] = "yes" } } end)
        "#,
        )
        .start();
    let mut stream = Sse::open(&server, "?type=shop.*", &[]);
    assert!(stream.head.to_lowercase().contains("x-seen: yes"), "{}", stream.head);
    let seq = publish(&server, "shop.sold", json!(1));
    assert_eq!(stream.event().id, Some(seq));
}

#[test]
fn a_client_that_does_not_read_costs_no_memory_and_no_stop() {
    let mut server = Server::with().env("PANOTTI_SHUTDOWN_S", 8).start();
    let memory = |server: &Server| {
        let text = String::from_utf8(server.get("/metrics").body).unwrap();
        let line =
            text.lines().find(|it| it.starts_with("process_resident_memory_bytes")).unwrap().to_owned();
        line.split(' ').next_back().unwrap().parse::<f64>().unwrap()
    };
    let streams: Vec<Sse> = (0..20).map(|_| Sse::open(&server, "?last_event_id=0", &[])).collect();
    let data = "x".repeat(500_000);
    (0..20).for_each(|_| _ = publish(&server, "big.one", json!(data)));
    let before = memory(&server);
    (0..100).for_each(|_| _ = publish(&server, "big.one", json!(data)));
    let grown = memory(&server) - before;
    assert!(grown < 60e6, "{grown} bytes more: 20 streams that kept what is not read would hold 1 GB");
    let began = Instant::now();
    assert!(server.stop().success());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(server.log_lines().iter().any(|it| it["message"].as_str().unwrap_or("").contains("do not read")));
    drop(streams);
}
