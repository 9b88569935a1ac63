//! Edits of running plugins: who takes over with whom, and what stays.

use serde_json::json;

use super::fake::World;
use super::tests::{last_error, started, state};
use super::*;
use crate::model::plugin::PluginState;

#[tokio::test]
async fn a_rescan_takes_up_an_edited_plugin_and_keeps_the_old_version_of_a_broken_one() {
    let c = [("c/init.lua", "on_startup"), ("c/plugin.yaml", "dependencies: [a]")];
    let world =
        started(&[("a/init.lua", "on_startup on_unload"), ("b/init.lua", "on_startup"), c[0], c[1]]).await;
    let generation = |world: &World| world.manager.get("a").unwrap().generation;
    let nothing = world.manager.rescan().await.unwrap();
    assert!(nothing.reloaded.is_empty() && nothing.failed.is_empty());
    world.put(&[("a/init.lua", "on_startup health")]);
    assert_eq!(world.manager.rescan().await.unwrap().reloaded, ["a", "c"], "c depends on a");
    assert_eq!((generation(&world), world.manager.get("a").unwrap().hooks.len()), (2, 2));
    for (file, text) in [
        ("a/init.lua", "syntax"),
        ("a/plugin.yaml", "name: wrong"),
        ("a/plugin.yaml", "dependencies: [nobody]"),
        ("a/plugin.yaml", "dependencies: [c]"),
    ] {
        world.put(&[("a/init.lua", "on_startup"), ("a/plugin.yaml", ""), (file, text)]);
        assert_eq!(world.manager.rescan().await.unwrap().failed, ["a"], "{text}");
        assert_eq!((state(&world, "a"), generation(&world)), (PluginState::Running, 2), "{text}");
        assert!(!last_error(&world, "a").is_empty());
    }
    world.put(&[("a/init.lua", "on_startup health")]);
    std::fs::remove_file(world.folder.path().join("plugins/a/plugin.yaml")).unwrap();
    let same = world.manager.rescan().await.unwrap();
    assert!(same.reloaded.is_empty() && same.failed.is_empty());
    assert!(world.manager.get("a").unwrap().last_error.is_none(), "the fault went with the edit");
    world.put(&[("a/plugin.yaml", "enabled: false")]);
    world.manager.rescan().await.unwrap();
    assert_eq!((state(&world, "a"), state(&world, "b")), (PluginState::Disabled, PluginState::Running));
    world.put(&[("a/plugin.yaml", "version: 2.0.0")]);
    world.manager.rescan().await.unwrap();
    let view = world.manager.get("a").unwrap();
    assert_eq!((view.state, view.version.as_deref()), (PluginState::Running, Some("2.0.0")));
}

#[tokio::test]
async fn what_depends_on_an_edited_plugin_reloads_after_it_with_its_state() {
    let world = started(&[
        ("z/init.lua", "on_load"),
        ("z/plugin.yaml", "version: 1.0.0\nprovides: [mail]"),
        ("m/init.lua", "on_load on_unload"),
        ("m/plugin.yaml", "dependencies: [z >=1.0]"),
        ("a/init.lua", "on_load"),
        ("a/plugin.yaml", "dependencies: [{ name: m, optional: true }]\nrequires: [mail]"),
        ("other/init.lua", "on_load"),
    ])
    .await;
    world.told();
    world.put(&[("z/init.lua", "on_load on_startup")]);
    assert_eq!(world.manager.rescan().await.unwrap().reloaded, ["a", "m", "z"]);
    let told: Vec<String> = world.told().into_iter().filter(|it| !it.ends_with("retire")).collect();
    let order = ["z.load", "z.on_load null", "m.load", "m.on_unload", "m.on_load {\"from\":1}", "a.load"];
    assert_eq!(told[..6], order);
    // Both are edited, and the needed one comes last by name: the new range is held against its new version.
    world.put(&[
        ("z/plugin.yaml", "version: 2.0.0\nprovides: [mail]"),
        ("m/plugin.yaml", "dependencies: [z >=2.0]"),
    ]);
    assert_eq!(world.manager.rescan().await.unwrap().reloaded, ["a", "m", "z"]);
    // A version that a dependent cannot use stops that one; the one that can do without it runs on.
    world.put(&[("z/plugin.yaml", "version: 1.5.0\nprovides: [mail]")]);
    assert_eq!(world.manager.rescan().await.unwrap().reloaded, ["a", "z"]);
    assert_eq!((state(&world, "m"), state(&world, "a")), (PluginState::Failed, PluginState::Running));
    assert!(last_error(&world, "m").contains("`z >=2.0`, and that plugin has 1.5.0"));
    // A dependent whose new files are broken is made anew of the old ones.
    world.put(&[("m/plugin.yaml", "dependencies: [z]"), ("m/init.lua", "on_load")]);
    world.manager.rescan().await.unwrap();
    let before = world.manager.get("m").unwrap();
    world.put(&[("m/init.lua", "syntax"), ("z/init.lua", "on_load")]);
    let rescan = world.manager.rescan().await.unwrap();
    assert_eq!(
        (rescan.reloaded, rescan.failed),
        (vec!["a".to_owned(), "m".into(), "z".into()], vec!["m".to_owned()])
    );
    let after = world.manager.get("m").unwrap();
    assert_eq!((after.state, &after.hash), (PluginState::Running, &before.hash));
    assert!(after.generation > before.generation);
}

#[tokio::test]
async fn an_edit_that_a_dependent_cannot_live_with_is_not_taken() {
    let world = started(&[
        ("z/init.lua", "on_load"),
        ("m/init.lua", "on_load"),
        ("m/plugin.yaml", "dependencies: [z]"),
        ("other/init.lua", "on_load"),
    ])
    .await;
    let hashes = || ["m", "z", "other"].map(|it| world.manager.get(it).unwrap().hash);
    let before = hashes();
    // The files of m do not change; it fails at being made anew.
    world.failing.lock().insert("m".into());
    world.put(&[("z/init.lua", "on_load health"), ("other/init.lua", "on_load health")]);
    let rescan = world.manager.rescan().await.unwrap();
    assert_eq!((rescan.reloaded, rescan.failed), (vec!["other".to_owned()], vec!["z".to_owned()]));
    let after = hashes();
    assert_eq!((&after[0], &after[1]), (&before[0], &before[1]));
    assert_ne!(after[2], before[2]);
    let why = last_error(&world, "z");
    assert!(
        why.contains("`m`, which depends on it, does not load with it: init.lua:1: m is broken"),
        "{why}"
    );
    let events = world.store.read(|it| it.events_after(0, 100)).unwrap();
    let failed: Vec<_> =
        events.iter().map(|it| &it.1).filter(|it| it.kind == "plugin.reload_failed").collect();
    assert_eq!((failed.len(), &failed[0].data["error"]["outcome"]), (1, &json!("syntax")));
    world.failing.lock().clear();
    assert_eq!(world.manager.rescan().await.unwrap().reloaded, ["m", "z"]);
    assert!(world.manager.get("z").unwrap().last_error.is_none());
}

#[tokio::test]
async fn a_version_that_asks_for_more_waits_for_the_grant() {
    let world = started(&[("a/init.lua", "on_load")]).await;
    world.put(&[
        ("a/init.lua", "on_load health"),
        ("a/plugin.yaml", "version: 2.0.0\npermissions: { http: [api.example] }"),
    ]);
    assert_eq!(world.manager.rescan().await.unwrap().failed, ["a"]);
    let view = world.manager.get("a").unwrap();
    assert_eq!((view.generation, view.version), (1, None));
    let fault = view.last_error.unwrap();
    assert_eq!((fault.file.as_deref(), fault.line), (Some("plugin.yaml"), Some(2)));
    assert!(fault.message.contains("panotti grants allow a"), "{}", fault.message);
    let grants = world.manager.grants("a").unwrap();
    assert_eq!(json!(grants.waiting), json!({ "http": ["api.example"] }));
    let granted = world.manager.grant("a", Granting::All, "t").await.unwrap();
    assert!(granted.waiting.0.is_empty());
    let view = world.manager.get("a").unwrap();
    assert_eq!((view.generation, view.version.as_deref(), view.last_error), (2, Some("2.0.0"), None));
}
