//! The manager over the real Lua host, with plugins given inline.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::fake::World;
use super::*;
use crate::hooks::Hook;
use crate::model::call::Caller;
use crate::model::plugin::PluginState;
use crate::plugins::status::LastError;

async fn started(files: &[(&str, &str)]) -> World {
    let world = World::with_lua(files);
    world.manager.start().await.unwrap();
    world
}

fn state(world: &World, name: &str) -> PluginState {
    world.manager.get(name).unwrap().state
}

fn last_error(world: &World, name: &str) -> LastError {
    world.manager.status(name).unwrap().last_error.unwrap_or_else(|| panic!("{name} has no error"))
}

/// What the plugins make of the title of a recording that starts.
async fn title(world: &World) -> Option<String> {
    let recording = json!({ "id": "r", "title": "t", "metadata": {} });
    let Value::Object(recording) = recording else { unreachable!() };
    let check = |_: &Map<String, Value>| Ok(());
    let hook = Hook::BeforeRecordingStart;
    let asked = world.manager.dispatcher().ask(hook, recording, &Caller::server(), &check).await.ok()?;
    asked.payload.json()["title"].as_str().map(str::to_owned)
}

/// The last value a plugin told under `told.<key>`.
fn told(world: &World, plugin: &str, key: &str) -> Option<Value> {
    let (kind, source) = (format!("told.{key}"), format!("plugin/{plugin}"));
    let events = world.store.read(|it| it.events_after(0, 1_000)).unwrap().into_iter().rev();
    let mut events = events.filter(|(_, it)| it.kind == kind && it.source == source);
    events.next().map(|(_, it)| it.data["value"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_script_is_told_with_place_and_remedy_while_the_others_run() {
    let world = started(&[
        ("good/init.lua", "panotti.on.before_recording_start(function(r) return { title = 'good' } end)"),
        ("quiet/init.lua", "-- registers nothing"),
        ("syntax/init.lua", "local x = 1\nlocal = 2\n"),
        ("unknown/init.lua", "\npanotti.on('on_clip_captred', function() end)\n"),
        ("endless/init.lua", "while true do end"),
        ("raises/init.lua", "local lib = require('lib.deep')\n"),
        ("raises/lib/deep.lua", "\nerror('not today')\n"),
        ("absent/init.lua", "require('nothing')"),
    ])
    .await;
    for (name, outcome, file, line, part) in [
        ("syntax", "syntax", "init.lua", Some(2), ""),
        ("unknown", "runtime", "init.lua", Some(2), "on_clip_captured"),
        ("endless", "deadline", "init.lua", Some(1), ""),
        ("raises", "runtime", "lib/deep.lua", Some(2), "not today"),
        ("absent", "runtime", "init.lua", Some(1), "nothing"),
    ] {
        assert_eq!(state(&world, name), PluginState::Failed, "{name}");
        let error = last_error(&world, name);
        let message = format!("{} {}", error.message, error.hint.clone().unwrap_or_default());
        assert_eq!((error.outcome.as_str(), error.file.as_deref()), (outcome, Some(file)), "{error:?}");
        assert_eq!(error.line, line, "{error:?}");
        assert!(message.contains(part), "{error:?}");
        assert!(error.excerpt.is_some(), "{error:?}");
    }
    assert_eq!((state(&world, "good"), state(&world, "quiet")), (PluginState::Running, PluginState::Running));
    assert_eq!(title(&world).await.as_deref(), Some("good"));
    let error = world.manager.enable("syntax", "t").await.unwrap_err();
    assert_eq!((error.code, error.script.unwrap().line), (Code::PluginLoadFailed, Some(2)));
    world.manager.stop(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_value_reaches_the_running_script_either_way() {
    let reads_late = "panotti.on.before_recording_start(function() return { title = panotti.config.word } end, { priority = 1 })
        panotti.on.on_config_changed(function(config) panotti.events.publish('told.seen', { value = config.word }) end)";
    let reads_early = "local word = panotti.config.word
        panotti.on.on_unload(function() return { former = word } end)
        panotti.on.on_load(function(state) panotti.events.publish('told.former', { value = state and state.former or 'none' }) end)
        panotti.on.before_recording_start(function() return { title = word } end)";
    let yaml = "config: { word: one }\n";
    let world = started(&[
        ("late/init.lua", reads_late),
        ("late/plugin.yaml", yaml),
        ("early/init.lua", reads_early),
        ("early/plugin.yaml", yaml),
    ])
    .await;
    world.manager.disable("early", "t").await.unwrap();
    assert_eq!(title(&world).await.as_deref(), Some("one"));
    world.manager.config_create("late", "word", json!("two"), "t").await.unwrap();
    assert_eq!(title(&world).await.as_deref(), Some("two"));
    assert_eq!(told(&world, "late", "seen"), Some(json!("two")));
    assert_eq!(world.manager.get("late").unwrap().generation, 1);

    world.manager.enable("early", "t").await.unwrap();
    assert_eq!(told(&world, "early", "former"), Some(json!("none")));
    world.manager.config_create("early", "word", json!("three"), "t").await.unwrap();
    assert_eq!(title(&world).await.as_deref(), Some("three"));
    assert_eq!(told(&world, "early", "former"), Some(json!("one")), "the state is handed over");
    assert_eq!(world.manager.get("early").unwrap().state, PluginState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn start_and_stop_are_told_and_what_they_publish_is_kept() {
    let world = started(&[(
        "a/init.lua",
        "panotti.on.on_startup(function(app) panotti.events.publish('told.plugins', { value = app.plugins }) end)
         panotti.on.on_shutdown(function() panotti.events.publish('told.shutdown', { value = true }) end)
         panotti.on.on_unload(function() panotti.events.publish('told.unload', { value = true }) end)
         panotti.on.health(function() return false, 'tired' end)",
    )])
    .await;
    assert_eq!(told(&world, "a", "plugins"), Some(json!(["a"])));
    for _ in 0..200 {
        if world.manager.status("a").unwrap().health.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let health = world.manager.status("a").unwrap().health.unwrap();
    assert_eq!((health.ok, health.message.as_deref()), (false, Some("tired")));
    world.manager.stop(Instant::now() + Duration::from_secs(5)).await;
    assert_eq!(told(&world, "a", "shutdown"), Some(json!(true)));
    assert_eq!(told(&world, "a", "unload"), Some(json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_hook_is_the_last_error_and_costs_nobody_anything() {
    let world = started(&[
        (
            "bad/init.lua",
            "panotti.on.before_recording_start(function(r)\n  return r.nothing.x\nend, { priority = 9 })",
        ),
        (
            "good/init.lua",
            "panotti.on.before_recording_start(function(r) return { title = r.title .. '!' } end)",
        ),
    ])
    .await;
    assert_eq!(title(&world).await.as_deref(), Some("t!"));
    let error = last_error(&world, "bad");
    assert_eq!(
        (error.hook.as_deref(), error.file.as_deref(), error.line),
        (Some("before_recording_start"), Some("init.lua"), Some(2))
    );
    let status = world.manager.status("bad").unwrap();
    assert_eq!((status.state, status.counts["runtime"], status.counts["ok"]), (PluginState::Running, 1, 1));
    assert!(status.memory_bytes > 0 && status.latency["before_recording_start"].count == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spinning_hook_opens_the_breaker_and_is_left_alone() {
    let world = started(&[
        ("spin/init.lua", "panotti.on.before_recording_start(function() while true do end end)"),
        ("spin/plugin.yaml", "limits: { question_cpu_ms: 20, question_wall_ms: 1000 }"),
    ])
    .await;
    for _ in 0..6 {
        assert_eq!(title(&world).await.as_deref(), Some("t"));
    }
    let status = world.manager.status("spin").unwrap();
    assert_eq!((status.counts["deadline"], status.counts["skipped"]), (5, 1));
    assert_eq!(world.manager.reset_breaker("spin").unwrap().breaker.kills, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_made_while_running_is_heard() {
    let world = started(&[(
        "a/init.lua",
        "panotti.on.before_recording_start(function() panotti.events.subscribe('later.**', function() end) end)",
    )])
    .await;
    let subscribed = || world.manager.dispatcher().table().members()[0].subscriptions.len();
    assert_eq!(subscribed(), 0);
    title(&world).await;
    for _ in 0..200 {
        if subscribed() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the table was not made anew");
}
