use std::time::Instant;

use serde_json::{Value, json};

use super::fake::World;
use super::*;
use crate::model::plugin::PluginState;
use crate::plugins::listing::PluginFilter;
use crate::plugins::settings::ConfigSource;

const ALL: &str = "on_load on_startup on_shutdown on_unload";

pub(super) fn state(world: &World, name: &str) -> PluginState {
    world.manager.get(name).unwrap().state
}

pub(super) fn last_error(world: &World, name: &str) -> String {
    let error = world.manager.status(name).unwrap().last_error.unwrap();
    format!("{}:{}: {}", error.file.unwrap_or_default(), error.line.unwrap_or_default(), error.message)
}

pub(super) async fn started(files: &[(&str, &str)]) -> World {
    let world = World::new(files);
    world.manager.start().await.unwrap();
    world
}

#[tokio::test]
async fn plugins_start_after_what_they_need_and_stop_before_it() {
    let world =
        started(&[("a/init.lua", ALL), ("a/plugin.yaml", "dependencies: [b]"), ("b/init.lua", ALL)]).await;
    let expected = ["b.load", "b.on_load null", "a.load", "a.on_load null", "b.on_startup", "a.on_startup"];
    assert_eq!(world.told(), expected);
    world.manager.stop(Instant::now() + Duration::from_secs(5)).await;
    let told = world.told();
    assert_eq!(told[..2], ["a.on_shutdown", "b.on_shutdown"]);
    assert!(told.contains(&"a.on_unload".to_owned()) && told.contains(&"b.retire".to_owned()));
    assert!(world.manager.dispatcher().table().members().is_empty());
}

#[tokio::test]
async fn each_bad_folder_is_told_with_its_remedy_while_the_others_run() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (name, of) in ('b'..='z').zip('a'..='y') {
        bomb.push_str(&format!("{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"));
    }
    let world = started(&[
        ("good/init.lua", "on_startup"),
        ("empty/README.md", ""),
        ("broken/init.lua", "syntax"),
        ("slow/init.lua", "hang"),
        ("wrong/init.lua", ""),
        ("wrong/plugin.yaml", "name: wrong\nversion: 'open\n"),
        ("bomb/init.lua", ""),
        ("bomb/plugin.yaml", &bomb),
        ("lonely/init.lua", ""),
        ("lonely/plugin.yaml", "dependencies: [nobody]"),
        ("sad/init.lua", ""),
        ("sad/plugin.yaml", "dependencies: [broken]"),
        ("x/init.lua", ""),
        ("x/plugin.yaml", "dependencies: [y]"),
        ("y/init.lua", ""),
        ("y/plugin.yaml", "dependencies: [x]"),
        ("value/init.lua", ""),
        (
            "value/plugin.yaml",
            "config:\n  a: 1\nconfig_schema: { properties: { a: { type: string }, b: {} }, required: [b] }",
        ),
        ("other/main.go", ""),
        ("other/plugin.yaml", "type: go"),
        ("Bad Name/init.lua", ""),
    ])
    .await;
    for (name, part) in [
        ("empty", "no script"),
        ("broken", "init.lua:1: broken is broken"),
        ("slow", "within the 8 s"),
        ("wrong", "plugin.yaml:"),
        ("bomb", "plugin.yaml:"),
        ("lonely", "`nobody`, and there is no such plugin"),
        ("sad", "`broken`, which does not load"),
        ("x", "x -> y -> x"),
        ("y", "x -> y -> x"),
        ("value", "plugin.yaml:2: config.a"),
        ("value", "config.b: is required"),
    ] {
        assert_eq!(state(&world, name), PluginState::Failed, "{name}");
        assert!(last_error(&world, name).contains(part), "{name}: {}", last_error(&world, name));
    }
    assert_eq!(state(&world, "good"), PluginState::Running);
    assert_eq!(state(&world, "other"), PluginState::Unsupported);
    assert_eq!(world.manager.rejected().len(), 1);
    assert_eq!(
        world.manager.list(&PluginFilter { q: Some("GOO".into()), ..PluginFilter::default() }).len(),
        1
    );
}

#[tokio::test]
async fn a_plugin_that_lacks_another_starts_when_that_one_does() {
    let world = started(&[
        ("a/init.lua", ALL),
        ("a/plugin.yaml", "dependencies: [b]"),
        ("b/init.lua", ALL),
        ("b/plugin.yaml", "enabled: false"),
    ])
    .await;
    assert_eq!((state(&world, "a"), state(&world, "b")), (PluginState::Failed, PluginState::Disabled));
    assert!(last_error(&world, "a").contains("`b`, which is disabled"));
    world.manager.enable("b", "tester").await.unwrap();
    assert_eq!((state(&world, "a"), state(&world, "b")), (PluginState::Running, PluginState::Running));
    assert!(world.manager.get("a").unwrap().last_error.is_none());
    world.told();
    world.manager.disable("b", "tester").await.unwrap();
    assert_eq!((state(&world, "a"), state(&world, "b")), (PluginState::Failed, PluginState::Disabled));
    let told = world.told();
    let ends = ["a.on_shutdown", "a.on_unload", "b.on_shutdown", "b.on_unload"];
    assert_eq!(told.iter().filter(|it| !it.ends_with("retire")).collect::<Vec<_>>(), ends, "a lets go first");
}

#[tokio::test]
async fn enabling_twice_is_once_and_a_failure_leaves_it_disabled() {
    let world = started(&[("a/init.lua", "on_startup"), ("b/init.lua", "syntax")]).await;
    let id = world.manager.get("a").unwrap().id.to_string();
    world.told();
    world.manager.enable(&id, "tester").await.unwrap();
    assert_eq!(world.told(), Vec::<String>::new());
    let error = world.manager.enable("b", "tester").await.unwrap_err();
    assert_eq!((error.code, error.script.unwrap().line), (Code::PluginLoadFailed, Some(1)));
    assert!(!world.manager.get("b").unwrap().enabled);
    world.put(&[("b/init.lua", "on_startup")]);
    assert!(world.manager.enable("b", "tester").await.unwrap().enabled);
    assert_eq!(world.told().last().unwrap(), "b.on_startup");
    let acts = world.store.read(|it| it.list_audit(&Default::default(), 10)).unwrap();
    let acts: Vec<(&str, &str)> = acts.iter().map(|it| (it.action.as_str(), it.actor.as_str())).collect();
    assert_eq!(acts[0], ("plugin.enable", "tester"));
}

#[tokio::test]
async fn what_was_set_over_http_survives_a_restart() {
    let mut world = started(&[
        ("a/init.lua", "on_startup"),
        ("a/plugin.yaml", "config: { x: 1 }"),
        ("b/init.lua", "on_startup"),
        ("b/plugin.yaml", "enabled: false"),
    ])
    .await;
    world.manager.disable("a", "tester").await.unwrap();
    world.manager.enable("b", "tester").await.unwrap();
    world.manager.config_create("a", "x", json!(2), "tester").await.unwrap();
    world.restart().await;
    assert_eq!((state(&world, "a"), state(&world, "b")), (PluginState::Disabled, PluginState::Running));
    let item = world.manager.config_list("a").unwrap().remove(0);
    assert_eq!((item.value, item.source), (json!(2), ConfigSource::Database));
}

#[tokio::test]
async fn a_config_value_is_checked_and_reaches_the_running_plugin() {
    let schema = "config_schema: { properties: { a: { type: integer, maximum: 10, default: 1 } } }";
    let world = started(&[
        ("told/init.lua", "on_config_changed"),
        ("told/plugin.yaml", schema),
        ("again/init.lua", "on_load on_unload"),
        ("again/plugin.yaml", schema),
        ("locked/init.lua", ""),
        ("locked/plugin.yaml", schema),
    ])
    .await;
    world.told();
    let error = world.manager.config_create("told", "a", json!("x"), "tester").await.unwrap_err();
    assert_eq!((error.status(), error.errors[0].pointer.as_str()), (422, "/value"));
    let item = world.manager.config_create("told", "a", json!(5), "tester").await.unwrap();
    assert_eq!(world.told(), [r#"told.on_config_changed {"a":5}"#]);
    let error = world.manager.config_create("told", "a", json!(6), "tester").await.unwrap_err();
    assert_eq!(error.code, Code::KeyExists);
    let id = item.id.unwrap();
    assert!(world.manager.config_update("told", id, json!(11), "tester").await.is_err());
    world.manager.config_update("told", id, json!(7), "tester").await.unwrap();
    assert_eq!(world.told(), [r#"told.on_config_changed {"a":7}"#]);
    assert_eq!(
        world.manager.config_delete("again", id, "tester").await.unwrap_err().code,
        Code::ConfigNotFound
    );
    world.manager.config_delete("told", id, "tester").await.unwrap();
    assert_eq!(world.told(), [r#"told.on_config_changed {"a":1}"#]);

    world.manager.config_create("again", "a", json!(5), "tester").await.unwrap();
    assert_eq!(
        world.told(),
        ["again.load", "again.on_unload", r#"again.on_load {"from":1}"#, "again.retire"]
    );
    assert_eq!(world.manager.get("again").unwrap().generation, 2);

    let error = world.manager.config_create("locked", "a", json!(5), "tester").await.unwrap_err();
    assert_eq!(error.code, Code::Conflict);
    let item = world.manager.config_list("locked").unwrap().remove(0);
    assert_eq!((item.value, item.source, item.locked), (json!(9), ConfigSource::Environment, true));
}

#[tokio::test]
async fn a_config_that_is_refused_or_cannot_be_loaded_changes_nothing() {
    let schema = "config_schema: { properties: { a: { type: integer, default: 1 } } }";
    let world = started(&[
        ("told/init.lua", "on_config_changed fail:on_config_changed"),
        ("told/plugin.yaml", schema),
        ("again/init.lua", "on_load"),
        ("again/plugin.yaml", schema),
    ])
    .await;
    world.told();
    let error = world.manager.config_create("told", "a", json!(5), "tester").await.unwrap_err();
    assert_eq!((error.status(), error.code), (422, Code::ConfigRefused));
    let back = [r#"told.on_config_changed {"a":5}"#, r#"told.on_config_changed {"a":1}"#];
    assert_eq!(world.told(), back, "it is told of its former values");
    assert_eq!(world.manager.config_list("told").unwrap()[0].source, ConfigSource::Default);
    world.failing.lock().insert("again".to_owned());
    let error = world.manager.config_create("again", "a", json!(5), "tester").await.unwrap_err();
    assert_eq!((error.status(), error.code), (422, Code::ConfigRefused));
    assert_eq!(
        (state(&world, "again"), world.manager.get("again").unwrap().generation),
        (PluginState::Running, 1)
    );
    let rows = world.store.read(|it| {
        let plugins = it.list_plugins()?;
        plugins.iter().map(|plugin| it.configs(plugin.id).map(|it| it.len())).collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(rows.unwrap(), [0, 0]);
}

#[tokio::test]
async fn a_config_value_can_heal_a_plugin_that_failed_for_want_of_it() {
    let world = started(&[
        ("a/init.lua", "on_startup"),
        ("a/plugin.yaml", "config_schema: { properties: { key: { type: string } }, required: [key] }"),
    ])
    .await;
    assert_eq!(state(&world, "a"), PluginState::Failed);
    world.manager.config_create("a", "key", json!("k"), "tester").await.unwrap();
    assert_eq!(state(&world, "a"), PluginState::Running);
}

#[tokio::test]
async fn a_deleted_plugin_is_discovered_until_it_is_registered_again() {
    let mut world = started(&[("a/init.lua", "on_startup")]).await;
    let new = |name: &str| NewPlugin { name: name.to_owned(), ..NewPlugin::default() };
    assert_eq!(world.manager.register(new("a"), "t").await.unwrap_err().code, Code::PluginExists);
    assert_eq!(world.manager.register(new("../a"), "t").await.unwrap_err().code, Code::NoSuchFolder);
    world.manager.config_create("a", "x", json!(1), "t").await.unwrap();
    world.manager.delete("a", false, "t").await.unwrap();
    assert_eq!(state(&world, "a"), PluginState::Discovered);
    world.restart().await;
    let view = world.manager.get("a").unwrap();
    assert_eq!((view.state, view.enabled), (PluginState::Discovered, false));
    assert_eq!(world.manager.enable("a", "t").await.unwrap_err().code, Code::Conflict);
    let view = world.manager.register(new("a"), "t").await.unwrap();
    assert_eq!((view.state, world.manager.config_list("a").unwrap().len()), (PluginState::Running, 0));
}

#[tokio::test]
async fn a_rescan_finds_new_folders_heals_mended_ones_and_stops_missing_ones() {
    let world = started(&[("a/init.lua", "on_startup"), ("b/init.lua", "syntax")]).await;
    world.put(&[("b/init.lua", "on_startup"), ("c/init.lua", "on_startup")]);
    std::fs::remove_dir_all(world.folder.path().join("plugins/a")).unwrap();
    let rescan = world.manager.rescan().await.unwrap();
    assert_eq!((rescan.added, rescan.missing), (vec!["c".to_owned()], vec!["a".to_owned()]));
    assert_eq!((rescan.started, rescan.failed), (vec!["b".to_owned(), "c".into()], vec![]));
    world.put(&[("d/init.lua", "syntax")]);
    for _ in 0..2 {
        assert_eq!(world.manager.rescan().await.unwrap().failed, ["d"], "each time it is tried");
    }
    assert_eq!(state(&world, "a"), PluginState::Missing);
    assert_eq!((state(&world, "b"), state(&world, "c")), (PluginState::Running, PluginState::Running));
    assert_eq!(world.manager.dispatcher().table().members().len(), 2);
}

#[tokio::test]
async fn who_needs_whom_is_told_with_what_is_met() {
    let world = started(&[
        ("a/init.lua", "on_load"),
        ("a/plugin.yaml", "dependencies: [b >=1.0, { name: nobody, optional: true }]\nrequires: [mail]"),
        ("b/init.lua", "on_load"),
        ("b/plugin.yaml", "version: 1.2.0"),
        ("smtp/init.lua", "on_load"),
        ("smtp/plugin.yaml", "provides: [mail]"),
    ])
    .await;
    let told = |rows: Vec<DependencyView>| -> Vec<String> {
        let row = |it: DependencyView| {
            let needs = it.needs.as_deref().unwrap_or("-");
            format!(
                "{} {needs} {} {} {}",
                it.plugin,
                it.range.unwrap_or_default(),
                it.capability.unwrap_or_default(),
                it.met
            )
        };
        rows.into_iter().map(row).collect()
    };
    let needs = told(world.manager.dependencies("a").unwrap());
    assert_eq!(needs, ["a b >=1.0  true", "a nobody *  false", "a smtp  mail true"]);
    assert_eq!(told(world.manager.dependents("b").unwrap()), ["a b >=1.0  true"]);
    assert_eq!(told(world.manager.dependents("smtp").unwrap()), ["a smtp  mail true"]);
    assert!(world.manager.dependencies("b").unwrap().is_empty());
    world.manager.disable("smtp", "tester").await.unwrap();
    assert_eq!(told(world.manager.dependents("smtp").unwrap()), ["a smtp  mail false"]);
    assert_eq!(world.manager.dependents("nobody").unwrap_err().code, Code::PluginNotFound);
}

#[tokio::test]
async fn a_row_keeps_what_was_said_of_it() {
    let world =
        started(&[("a/init.lua", ""), ("a/plugin.yaml", "display_name: From yaml\nversion: 1.0.0")]).await;
    assert_eq!(world.manager.get("a").unwrap().display_name.as_deref(), Some("From yaml"));
    let change = PluginPatch {
        display_name: Some(Some("Mine".into())),
        metadata: json!({ "k": { "a": 1 }, "gone": null }).as_object().cloned(),
        ..PluginPatch::default()
    };
    let before = world.manager.get("a").unwrap().version_count;
    let view = world.manager.update("a", change, "t").await.unwrap();
    assert_eq!((view.display_name.as_deref(), view.version.as_deref()), (Some("Mine"), Some("1.0.0")));
    assert_eq!(Value::Object(view.metadata), json!({ "k": { "a": 1 } }));
    assert!(view.version_count > before);
    let back = PluginPatch { display_name: Some(None), ..PluginPatch::default() };
    let view = world.manager.update("a", back, "t").await.unwrap();
    assert_eq!(view.display_name.as_deref(), Some("From yaml"));
}

#[tokio::test]
async fn a_failing_on_load_is_a_fault_and_a_failing_on_startup_is_not() {
    let world =
        started(&[("a/init.lua", "on_load fail:on_load"), ("b/init.lua", "on_startup fail:on_startup")])
            .await;
    assert_eq!((state(&world, "a"), state(&world, "b")), (PluginState::Failed, PluginState::Running));
    let status = world.manager.status("b").unwrap();
    assert_eq!(status.last_error.unwrap().hook.as_deref(), Some("on_startup"));
    assert_eq!(status.counts["runtime"], 1);
}

#[tokio::test]
async fn a_change_goes_on_when_whoever_asked_for_it_goes_away() {
    let world = started(&[("a/init.lua", "on_startup"), ("a/plugin.yaml", "enabled: false")]).await;
    let mut asked = Box::pin(world.manager.enable("a", "t"));
    assert!(futures_util::poll!(&mut asked).is_pending());
    drop(asked);
    // One change at a time: this one waits for the former.
    world.manager.rescan().await.unwrap();
    assert_eq!(state(&world, "a"), PluginState::Running);
    assert_eq!(world.store.read(|it| it.plugin_named("a")).unwrap().unwrap().enabled, Some(true));
}
