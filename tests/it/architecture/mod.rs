//! Who may know whom: reads the imports of every file and fails on one that points the wrong way.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::used_modules;

/// Modules that know nobody; every layer may use them.
const PLAIN: &[&str] = &["error", "config", "clock", "disk", "model", "fuzz"];

/// Each layer and the layers it may use besides the plain ones. Not transitive.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("config", &[]),
    ("clock", &[]),
    ("disk", &[]),
    ("model", &[]),
    ("fuzz", &[]),
    ("media", &[]),
    ("net", &[]),
    ("process", &[]),
    ("hooks", &[]),
    ("store", &[]),
    ("events", &["store", "hooks"]),
    ("services", &["store", "events", "hooks", "media", "net"]),
    ("lua", &["services", "hooks", "media", "net", "process"]),
    // Their tests run in a process of their own.
    ("plugins", &["lua", "services", "hooks", "events", "store", "process"]),
    ("http", &["services", "plugins", "hooks", "events"]),
    ("app", ALL),
    ("cli", ALL),
];

const ALL: &[&str] = &[
    "media", "net", "process", "hooks", "store", "events", "services", "lua", "plugins", "http", "app", "cli",
];

/// Crates that belong to one part of the house.
const OWNED_CRATES: &[(&str, &[&str])] = &[
    ("mlua", &["lua"]),
    ("diesel", &["store"]),
    ("rusqlite", &["store"]),
    ("libsqlite3_sys", &["store"]),
    ("diesel_migrations", &["store"]),
    ("actix_web", &["http", "app"]),
    ("actix_cors", &["http"]),
    ("serde_yaml", &["config"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("full_moon", &["plugins"]),
    ("symphonia", &["media"]),
    ("chacha20poly1305", &["services"]),
    ("reqwest", &["net"]),
    ("rustls", &["net", "config"]),
];

const MAX_LINES: usize = 400;

#[test]
fn modules_use_only_the_layers_they_may_know() {
    let wrong: Vec<String> = sources().iter().flat_map(|(file, text)| wrong_imports(file, text)).collect();
    assert!(wrong.is_empty(), "imports that point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn no_two_modules_know_each_other() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources() {
        let own = top_module(&file);
        let used = used_modules(&text, depth_of(&file));
        uses.entry(own.clone()).or_default().extend(used.into_iter().filter(|it| *it != own));
    }
    assert_eq!(circle(&uses), None);
}

#[test]
fn every_module_has_its_layer() {
    for (file, _) in sources() {
        let top = top_module(&file);
        assert!(["lib", "main"].contains(&top.as_str()) || layer(&top).is_some(), "`{top}` has no layer");
    }
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let long: Vec<String> = rust_files(Path::new(env!("CARGO_MANIFEST_DIR")), &["src", "tests", "benches"])
        .into_iter()
        .filter(|(file, _)| !file.ends_with("store/schema.rs"))
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(file, lines)| format!("{}: {lines}", file.display()))
        .collect();
    assert!(long.is_empty(), "what second thing lives in them?\n{}", long.join("\n"));
}

#[test]
fn unsafe_code_stands_in_the_watchdog_and_around_sqlite_alone() {
    for (file, text) in sources() {
        let homes = ["lua/watchdog.rs", "store/gather.rs", "store/direct.rs"];
        let allowed = homes.iter().any(|it| file.ends_with(it));
        let found = imports::words(&text).iter().any(|word| word == "unsafe");
        assert!(!found || allowed, "{} has unsafe code", file.display());
    }
}

#[test]
fn the_guard_sees_every_way_to_write_a_wrong_import() {
    for text in [
        "use crate::http as _;",
        "use crate::{error::Error, http};",
        "use crate::{error::{Error, Code}, http::{self, routes}};",
        "fn f() { crate::http::routes(); }",
        "pub use crate::http::*;",
        "use super::http;",
        "use super::{error, http::routes};",
        "mod tests { use super::super::http; }",
        "use panotti::http;",
        "type X = Box<dyn Fn(crate :: http :: Y)>;",
        "use crate as home; use home::http;",
        "mod tests { use crate::http; }",
    ] {
        assert!(!wrong_imports(Path::new("store/mod.rs"), text).is_empty(), "not seen: {text}");
    }
    for text in [
        "// use crate::http;\nuse crate::error::Error;",
        "const S: &str = \"crate::http\"; /* crate::http */",
        "const S: &str = r#\"use crate::http; \"#;",
        "use crate::store::writer;",
        "mod tests { use super::writer; use super::super::error::Error; }",
    ] {
        assert_eq!(wrong_imports(Path::new("store/mod.rs"), text), Vec::<String>::new(), "{text}");
    }
    assert!(!wrong_imports(Path::new("hooks/dispatcher.rs"), "use mlua::Lua;").is_empty());
    assert!(!wrong_imports(Path::new("services/clips.rs"), "let x = diesel::insert_into(t);").is_empty());
}

fn wrong_imports(file: &Path, text: &str) -> Vec<String> {
    let own = top_module(file);
    let Some(allowed) = layer(&own) else { return Vec::new() };
    let mut wrong: Vec<String> = used_modules(text, depth_of(file))
        .into_iter()
        .filter(|used| *used != own && !PLAIN.contains(&used.as_str()) && !allowed.contains(&used.as_str()))
        .map(|used| format!("{} uses {used}", file.display()))
        .collect();
    let words = imports::words(text);
    for (name, owners) in OWNED_CRATES {
        let used = words.windows(2).any(|pair| pair[0] == *name && pair[1] == "::");
        if used && !owners.contains(&own.as_str()) {
            wrong.push(format!("{} uses the crate {name}", file.display()));
        }
    }
    wrong
}

fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        at: &str,
        uses: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
    ) -> Option<Vec<String>> {
        if let Some(from) = path.iter().position(|it| it == at) {
            return Some(path[from..].to_vec());
        }
        path.push(at.to_owned());
        let found = uses.get(at).into_iter().flatten().find_map(|next| walk(next, uses, path));
        path.pop();
        found
    }
    // The command line starts the app; nobody else may be walked twice.
    uses.keys()
        .filter(|it| *it != "lib" && *it != "main")
        .find_map(|start| walk(start, uses, &mut Vec::new()))
}

fn layer(module: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed)
}

/// The top module a file of `src/` belongs to.
fn top_module(file: &Path) -> String {
    let first = file.iter().next().unwrap_or_default().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// How many `super` lead from the file's module to the root.
fn depth_of(file: &Path) -> usize {
    let leaf = file.file_name().unwrap_or_default();
    // `x_tests.rs` is the `tests` module inside `x.rs`.
    let inside = leaf.to_string_lossy().ends_with("_tests.rs");
    file.iter().count() + usize::from(inside) - usize::from(leaf == "mod.rs")
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    rust_files(&root, &["."])
        .into_iter()
        .map(|(file, text)| (file.strip_prefix(".").unwrap_or(&file).to_owned(), text))
        .collect()
}

fn rust_files(root: &Path, folders: &[&str]) -> Vec<(PathBuf, String)> {
    fn visit(root: &Path, dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(root, &path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    let mut found = Vec::new();
    for folder in folders {
        visit(root, &root.join(folder), &mut found);
    }
    found
}

#[test]
fn the_luau_with_small_pages_and_without_its_asserts_is_the_one_that_is_built() {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
    let entries: Vec<&str> =
        lock.split("[[package]]").filter(|it| it.contains("name = \"luau0-src\"")).collect();
    assert_eq!(entries.len(), 1);
    assert!(!entries[0].contains("source = "), "not the one in vendor/, see vendor/README.md:{}", entries[0]);
    let vendored = |path: &str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("vendor/luau0-src").join(path)).unwrap()
    };
    assert!(vendored("luau/VM/src/lmem.cpp").contains("kSmallPageSize = 4 * 1024"), "vendor/pages.patch");
    assert!(vendored("src/lib.rs").contains("config.define(\"NDEBUG\", None)"), "vendor/asserts.patch");
}
