//! Functions of plugins for each other.

use serde_json::{Value, json};

use crate::common::Server;

const CALENDAR: &str = r#"
panotti.export("next_event", function(day, options)
  panotti.kv.incr("asked")
  return { day = day, zone = options.zone, asked = panotti.kv.get("asked") }
end)
panotti.export("broken", function() error("at home") end)
panotti.export("endless", function() while true do end end)
panotti.export("nothing", function() end)
"#;

const CALLER: &str = r#"
local calendar = panotti.import("calendar")
panotti.on.on_clip_captured(function(clip)
  local event, err = calendar.next_event("monday", { zone = "utc" })
  local _, broken = calendar.broken()
  local nothing, none = calendar.nothing()
  local ok, missing = pcall(calendar.next_evnt)
  local _, wrong = pcall(calendar.next_event, "monday", print)
  return { metadata = { event = event, err = err and err.code, broken = broken and broken.code, nothing = nothing == nil and none == nil, missing = missing, wrong = wrong } }
end)"#;

fn clip(server: &Server) -> Value {
    server.post("/api/v1/clips", json!({"title": "t", "file_path": "/x"})).expect(201)["metadata"].clone()
}

#[test]
fn a_plugin_calls_functions_of_another_and_an_edit_of_it_changes_nothing_else() {
    let server = Server::with()
        .plugin("calendar", CALENDAR)
        .plugin("caller", CALLER)
        .plugin_file("caller", "plugin.yaml", "dependencies: [calendar]")
        .start();
    let told = clip(&server);
    assert_eq!(told["event"], json!({"day": "monday", "zone": "utc", "asked": 1}));
    assert_eq!((&told["broken"], &told["nothing"]), (&json!("runtime"), &json!(true)));
    assert!(
        told["missing"].as_str().unwrap().contains("exports no 'next_evnt' (did you mean 'next_event'?)"),
        "{told}"
    );
    let wrong = told["wrong"].as_str().unwrap();
    assert!(wrong.contains("argument 2 (calendar.next_event)"), "{told}");
    let path = server.folder().join("plugins/calendar/init.lua");
    std::fs::write(path, CALENDAR.replace("zone = options.zone", "zone = \"edited\"")).unwrap();
    server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(
        clip(&server)["event"],
        json!({"day": "monday", "zone": "edited", "asked": 2}),
        "its writes are kept, too"
    );
    let status = server.get("/api/v1/plugins/calendar/status").expect(200);
    assert_eq!(status["latency"]["export"]["count"].as_u64(), Some(6));
}

#[test]
fn only_dependencies_are_called_and_circles_end() {
    let server = Server::with()
        .plugin(
            "stranger",
            r#"panotti.on.on_clip_captured(function()
            local ok, err = pcall(panotti.import, "other")
            return { metadata = { err = err } }
          end)"#,
        )
        .plugin("other", "panotti.export('f', function() end)")
        .start();
    let err = clip(&server)["err"].as_str().unwrap().to_owned();
    assert!(err.contains("'other' is no dependency; add `dependencies: [other]` to plugin.yaml"), "{err}");
}

#[test]
fn a_function_that_spins_costs_its_own_plugin_and_the_caller_is_told() {
    let server = Server::with()
        .plugin("calendar", CALENDAR)
        .plugin_file("calendar", "plugin.yaml", "limits: { cpu_ms: 50 }")
        .plugin(
            "caller",
            r#"local calendar = panotti.import("calendar")
               panotti.on.on_clip_captured(function()
                 local _, err = calendar.endless()
                 return { metadata = { code = err.code, message = err.message } }
               end)"#,
        )
        .plugin_file("caller", "plugin.yaml", "dependencies: [calendar]")
        .start();
    let told = clip(&server);
    assert_eq!(told["code"], "deadline");
    assert!(told["message"].as_str().unwrap().starts_with("calendar.endless: "), "{told}");
    assert_eq!(server.get("/api/v1/plugins/caller/status").expect(200)["last_error"], Value::Null);
}

#[test]
fn a_dependent_is_reloaded_after_the_plugin_it_took_a_value_from_at_load() {
    let server = Server::with()
        .plugin("rates", r#"panotti.export("rate", function() return 1 end)"#)
        .plugin(
            "shop",
            r#"local rate
               panotti.on.on_load(function() rate = panotti.import("rates").rate() end)
               panotti.on.on_clip_captured(function() return { metadata = { rate = rate } } end)"#,
        )
        .plugin_file("shop", "plugin.yaml", "dependencies: [rates]")
        .start();
    assert_eq!(clip(&server)["rate"], 1);
    let path = server.folder().join("plugins/rates/init.lua");
    std::fs::write(path, r#"panotti.export("rate", function() return 2 end)"#).unwrap();
    let rescan = server.post("/api/v1/plugins/rescan", json!({})).expect(200);
    assert_eq!(rescan["reloaded"], json!(["rates", "shop"]));
    assert_eq!(clip(&server)["rate"], 2);
    let needs = server.get("/api/v1/plugins/shop/dependencies").expect(200);
    assert_eq!(
        (&needs["total"], &needs["items"][0]["needs"], &needs["items"][0]["met"]),
        (&json!(1), &json!("rates"), &json!(true))
    );
    let dependents = server.get("/api/v1/plugins/rates/dependents").expect(200);
    assert_eq!(dependents["items"][0]["plugin"], "shop");
    server.post("/api/v1/plugins/rates/disable", json!({})).expect(200);
    let status = server.get("/api/v1/plugins/shop/status").expect(200);
    assert_eq!(status["state"], "failed");
    assert!(
        status["last_error"]["message"].as_str().unwrap().contains("`rates`, which is disabled"),
        "{status}"
    );
    server.post("/api/v1/plugins/rates/enable", json!({})).expect(200);
    assert_eq!(server.get("/api/v1/plugins/shop").expect(200)["state"], "running");
}
