//! What a test may ask of its host, by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::lua::api::DOCS;
use crate::lua::api::stubs::{ModuleDoc, find_similar};
use crate::lua::stand_in::{FAILING, Stub};
use crate::model::call::{Caller, Effects, KvOp, PluginEffects};
use crate::model::event::pattern_matches;
use crate::model::time::Timestamp;
use crate::model::trace::Trace;
use crate::plugins::manager::{ReplayCode, ScheduleFilter};
use crate::services::kv;

use super::bench::Bench;
use super::fire::{answered, emit, fire};
use super::report::line;
use super::settle::Op;
use super::stage::Refusal;
use super::wav::{self, Part};

/// Events that a test is shown at once.
const MAX_EVENTS: i64 = 1_000;

type Done = Result<(), Refusal>;

/// Begins `what`; what comes of it is the host's operation.
pub(super) async fn begin(
    bench: &mut Bench,
    what: &str,
    arguments: &Value,
    fixtures: &BTreeMap<String, Arc<[u8]>>,
) -> Done {
    let text = |key: &str| text(arguments, key, what);
    let value = match what {
        "fire" => return fire(bench, &text("hook")?, arguments["payload"].clone()).await,
        "emit" => return emit(bench, &arguments["event"]).await,
        "advance" => return advance(bench, arguments),
        "request" => return request(bench, &text("method")?, &text("path")?, &arguments["options"]),
        "reload" => {
            let (manager, plugin) = (bench.manager.clone(), Arc::clone(&bench.plugin));
            bench.begin(async move { Ok(manager.reload(&plugin).await.map(|_| Value::Null)?) });
            return Ok(());
        }
        "config" => return set_config(bench, &arguments["values"]),
        "fixture" => return fixture(bench, &text("name")?, fixtures),
        "kv_set" => return kv_set(bench, text("key")?, &arguments["value"]),
        "kv_list" => {
            let (services, plugin) = (bench.services.clone(), Arc::clone(&bench.plugin));
            let prefix = arguments["prefix"].as_str().unwrap_or_default().to_owned();
            bench.begin(async move { Ok(json!(kv::list(&services, &plugin, &prefix, None, 1_000).await?)) });
            return Ok(());
        }
        "kv_get" => kv::get(&bench.services, &bench.plugin, &text("key")?)?.unwrap_or_default(),
        "now" => json!(Timestamp(bench.world.now_us())),
        "respond" => {
            bench.world.answers().respond(&text("pattern")?, stub(arguments));
            Value::Null
        }
        "run" => {
            bench.world.answers().run(&text("tool")?, stub(arguments));
            Value::Null
        }
        "requests" => json!(bench.world.answers().requests()),
        "runs" => json!(bench.world.answers().runs()),
        "events" => events(bench, arguments["pattern"].as_str())?,
        "errors" => json!(bench.world.take_faults()),
        "log" => bench.world.log().iter().map(line).collect(),
        "tasks" => tasks(bench).await?,
        "fail" => return fail(bench, &text("what")?, arguments),
        "mend" => {
            bench.world.mend(&text("what")?);
            Value::Null
        }
        "wav" => sound(bench, &text("name")?, &arguments["parts"])?,
        _ => return Err(Refusal::new(format!("a host cannot '{what}'"))),
    };
    bench.op = Some(Op::Ended(value));
    Ok(())
}

fn text(arguments: &Value, key: &str, what: &str) -> Result<String, Refusal> {
    let found = arguments[key].as_str().map(str::to_owned);
    found.ok_or_else(|| Refusal::new(format!("{what}: the {key} must be a text")))
}

fn advance(bench: &mut Bench, arguments: &Value) -> Done {
    /// Ten years.
    const LONGEST_S: f64 = 315_360_000.0;
    let seconds = arguments["seconds"].as_f64().filter(|it| (0.0..=LONGEST_S).contains(it));
    let Some(seconds) = seconds else {
        return Err(Refusal::new(format!("host:advance: takes 0 to {LONGEST_S} seconds")));
    };
    bench.op = Some(Op::Until(bench.world.now_us() + (seconds * 1e6) as i64));
    Ok(())
}

fn request(bench: &mut Bench, method: &str, path: &str, options: &Value) -> Done {
    let (path, written) =
        path.trim_start_matches('/').split_once('?').unwrap_or((path.trim_start_matches('/'), ""));
    let path = path.to_owned();
    let routed = match bench.manager.route(&bench.plugin, &method.to_ascii_uppercase(), &path) {
        Ok(routed) => routed,
        Err(error) => {
            bench.op = Some(Op::Ended(problem(&error)));
            return Ok(());
        }
    };
    let part = |key: &str| options[key].as_object().cloned().unwrap_or_default();
    let mut request = Map::new();
    request.insert("method".to_owned(), method.to_ascii_uppercase().into());
    request.insert("path".to_owned(), format!("/{path}").into());
    request.insert("params".to_owned(), json!(routed.params));
    let written = url::form_urlencoded::parse(written.as_bytes()).into_owned();
    let mut query: Map<String, Value> = written.map(|(name, it)| (name, it.into())).collect();
    query.extend(part("query"));
    request.insert("query".to_owned(), Value::Object(query));
    request.insert("headers".to_owned(), Value::Object(part("headers")));
    request.insert("remote".to_owned(), "127.0.0.1".into());
    request.insert("token".to_owned(), json!({ "id": "test", "scopes": ["admin"] }));
    if let Some(json) = options.get("json") {
        request.insert("json".to_owned(), json.clone());
        request.insert("body".to_owned(), json.to_string().into());
    } else if let Some(body) = options["body"].as_str() {
        request.insert("body".to_owned(), body.into());
    }
    let manager = bench.manager.clone();
    bench.begin(async move {
        Ok(match manager.call_route(routed, request, &Caller::server()).await {
            Ok(it) => answered(it.status, &it.headers, &it.body),
            Err(error) => problem(&error),
        })
    });
    Ok(())
}

/// An error as a client of the server sees it.
fn problem(error: &Error) -> Value {
    json!({
        "status": error.status(), "headers": { "content-type": "application/problem+json" },
        "json": { "code": error.code.name(), "detail": error.detail, "status": error.status() },
    })
}

fn set_config(bench: &mut Bench, values: &Value) -> Done {
    let Some(values) = values.as_object().cloned() else {
        return Err(Refusal::new("host:set_config: takes a table of named values"));
    };
    let (manager, plugin) = (bench.manager.clone(), Arc::clone(&bench.plugin));
    bench.begin(async move {
        for (key, value) in values {
            let stored = manager.config_list(&plugin)?.into_iter().find(|it| it.key == key);
            match stored.and_then(|it| it.id) {
                Some(id) => manager.config_update(&plugin, id, value, "test").await?,
                None => manager.config_create(&plugin, &key, value, "test").await?,
            };
        }
        Ok(Value::Null)
    });
    Ok(())
}

fn fixture(bench: &mut Bench, name: &str, fixtures: &BTreeMap<String, Arc<[u8]>>) -> Done {
    let path = if name.starts_with("tests/") { name.to_owned() } else { format!("tests/{name}") };
    let Some(bytes) = fixtures.get(&path) else {
        let known: Vec<&str> = fixtures.keys().map(String::as_str).collect();
        return Err(Refusal::new(format!(
            "there is no file {path}; there are: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )));
    };
    let trace: Result<Trace, _> = serde_json::from_slice(bytes);
    let mut trace = trace.map_err(|fault| {
        Refusal::new(format!("{path} is no recorded call (GET /api/v1/traces/{{id}}): {fault}"))
    })?;
    trace.plugin = bench.plugin.to_string();
    let manager = bench.manager.clone();
    bench.begin(async move { Ok(json!(manager.replay(&trace, ReplayCode::Live).await?)) });
    Ok(())
}

fn kv_set(bench: &mut Bench, key: String, value: &Value) -> Done {
    let op = match value.is_null() {
        true => KvOp::Delete { key },
        false => KvOp::Set { key, value: value.clone(), expires_at_us: None },
    };
    let effects = Effects { kv: vec![op], ..Effects::default() };
    let (services, plugin) = (bench.services.clone(), Arc::clone(&bench.plugin));
    bench.begin(async move {
        services.commit_effects(vec![PluginEffects { plugin, effects }], &Caller::server()).await?;
        Ok(Value::Null)
    });
    Ok(())
}

fn stub(arguments: &Value) -> Stub {
    match arguments["fn"].as_u64() {
        Some(function) => Stub::Function(function),
        None => Stub::Fixed(arguments["answer"].clone()),
    }
}

fn events(bench: &Bench, pattern: Option<&str>) -> Result<Value, Refusal> {
    let all = bench.services.store.read(|it| it.events_after(0, MAX_EVENTS))?;
    let own = all.iter().map(|(_, it)| it).filter(|it| it.source.starts_with("plugin/"));
    let wanted = own.filter(|it| pattern.is_none_or(|pattern| pattern_matches(pattern, &it.kind)));
    Ok(wanted.map(|it| it.to_handler_payload()).collect())
}

async fn tasks(bench: &Bench) -> Result<Value, Refusal> {
    let filter = ScheduleFilter { plugin: Some(bench.plugin.to_string()), ..ScheduleFilter::default() };
    let schedules = bench.manager.schedules(&filter).await?;
    let schedules: Vec<Value> = schedules
        .iter()
        .map(|it| json!({ "name": it.name, "next_at": it.next_at, "last_run": it.last_run, "skipped": it.skipped }))
        .collect();
    Ok(json!({ "running": bench.watched.tasks(), "schedules": schedules }))
}

fn fail(bench: &mut Bench, what: &str, arguments: &Value) -> Done {
    let module = what.split('.').next().unwrap_or_default();
    if !FAILING.contains(&module) {
        return Err(Refusal::new(format!(
            "host:fail: '{what}' cannot be made to fail; {} can, or one function of them, such as db.query",
            FAILING.join(", ")
        )));
    }
    let known: Vec<String> =
        DOCS.iter().filter(|it| it.name == module).flat_map(ModuleDoc::entries).map(|it| it.0).collect();
    let known = known.iter().filter_map(|it| it.strip_prefix("panotti."));
    if what != module && !known.clone().any(|it| it == what) {
        let near = find_similar(what, known).map_or(String::new(), |it| format!("; did you mean '{it}'?"));
        return Err(Refusal::new(format!("host:fail: there is no '{what}'{near}")));
    }
    let (code, message) = match &arguments["failure"] {
        Value::Null => ("failed".to_owned(), "the test says so".to_owned()),
        Value::String(message) => ("failed".to_owned(), message.clone()),
        failure => {
            let text = |key: &str, other: &str| failure[key].as_str().unwrap_or(other).to_owned();
            (text("code", "failed"), text("message", "the test says so"))
        }
    };
    let times = arguments["times"].as_f64().map(|it| it as u32);
    bench.world.fail(what, &code, &message, times.filter(|it| *it > 0));
    bench.op = Some(Op::Ended(Value::Null));
    Ok(())
}

fn sound(bench: &Bench, name: &str, parts: &Value) -> Result<Value, Refusal> {
    let is_plain = Path::new(name).file_name().is_some_and(|it| it == name) && !name.starts_with('.');
    if !is_plain {
        return Err(Refusal::new("host:wav: the name must be that of a file, such as talk.wav"));
    }
    let Some(parts) = parts.as_array().filter(|it| !it.is_empty()) else {
        return Err(Refusal::new("host:wav: takes a list of { seconds = 1, level = -20 }"));
    };
    let parts: Vec<Part> = parts
        .iter()
        .map(|it| Part {
            seconds: it["seconds"].as_f64().unwrap_or(1.0).max(0.0),
            level_db: it["level"].as_f64(),
            hz: it["hz"].as_f64().unwrap_or(440.0),
        })
        .collect();
    let path = bench.recordings().join(name);
    wav::write(&path, &parts).map_err(|fault| Refusal::new(format!("host:wav: {fault}")))?;
    Ok(json!(path.display().to_string()))
}
