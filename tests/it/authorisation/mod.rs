//! Which key opens which route: every route of the document, asked with every kind of key by real requests, held against
//! `matrix.golden`. A route without a row there fails.

mod knock;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::common::Server;
use crate::common::server::wait_for;
use knock::Door;

const ECHO: &str = r#"
panotti.route("GET", "/hello", function() return { body = "hello" } end)
panotti.route("POST", "/hello/{who}", function() return { body = "hello" } end)
"#;

/// What stands above the rows.
const HEAD: &str = "\
# Which key opens which route. Written by `UPDATE_GENERATED=1 cargo test --test it authorisation`; look at what changed before you keep it.
# yes: it opens. 404: it opens, and there is nothing behind the made-up id. 401: no key that works. 403: a key without the scope.
# `wrong` is a key that never was, `expired` and `revoked` are keys of an admin; the others have one scope each.
";

/// Every kind of key: what it is called, and the key.
fn keys(server: &Server, scopes: &[String]) -> Vec<(String, Option<String>)> {
    let made = |body: Value| {
        let made = server.post("/api/v1/tokens", body).expect(201);
        (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (_, expired) = made(json!({ "name": "old", "scopes": ["admin"], "expires_at": now + 2 }));
    let (id, revoked) = made(json!({ "name": "gone", "scopes": ["admin"] }));
    server.delete(&format!("/api/v1/tokens/{id}")).expect(204);
    let old = server.with_key(Some(&expired));
    wait_for("the end of a key", || (old.get("/api/v1/clips/stats").status == 401).then_some(()));
    let wrong =
        format!("{}{}", &revoked[..revoked.len() - 1], if revoked.ends_with('0') { '1' } else { '0' });
    let mut keys = vec![
        ("none".to_owned(), None),
        ("wrong".to_owned(), Some(wrong)),
        ("expired".to_owned(), Some(expired)),
        ("revoked".to_owned(), Some(revoked)),
    ];
    for scope in scopes {
        let (_, key) = made(json!({ "name": scope, "scopes": [scope] }));
        keys.push((scope.clone(), Some(key)));
    }
    keys
}

/// All scopes, as the document names them.
fn scopes(document: &Value) -> Vec<String> {
    let listed = document["components"]["schemas"]["Scope"]["enum"].as_array().unwrap();
    listed.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_route_opens_to_the_keys_of_the_golden_table_and_to_no_other() {
    let server = Server::with()
        .plugin("echo", ECHO)
        .plugin_file("echo", "plugin.yaml", "permissions: { routes: true }")
        .start();
    let document = server.get("/api/openapi.json").expect(200);
    let scopes = scopes(&document);
    let keys = keys(&server, &scopes);
    let mut rows = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let door = Door::of(&server, method, path);
            let told: Vec<(&str, String)> =
                keys.iter().map(|(name, key)| (name.as_str(), door.knock(key.as_deref()))).collect();
            let needs = knock::needed_scope(operation);
            check(method, path, needs.as_deref(), &told);
            rows.insert((path.clone(), method.to_uppercase()), (needs, told));
        }
    }
    compare(&table(&keys, &rows));
}

/// What is told must be what the document says.
fn check(method: &str, path: &str, needs: Option<&str>, told: &[(&str, String)]) {
    for (name, answer) in told {
        let works = !["none", "wrong", "expired", "revoked"].contains(name);
        let wanted = match needs {
            None => "open",
            Some(_) if !works => "401",
            Some(scope) if *name == scope || *name == "admin" => "open",
            Some(_) => "403",
        };
        let fits = match wanted {
            "open" => answer == "yes" || answer == "404",
            closed => answer == closed,
        };
        assert!(fits, "{method} {path} with `{name}` answers {answer}; the document says it needs {needs:?}");
    }
}

type Row<'a> = (Option<String>, Vec<(&'a str, String)>);

fn table(keys: &[(String, Option<String>)], rows: &BTreeMap<(String, String), Row>) -> String {
    let wide = rows.keys().map(|(path, _)| path.len()).max().unwrap_or_default();
    let mut text = format!("{HEAD}{:<6} {:<wide$}", "#", "");
    keys.iter().for_each(|(name, _)| _ = write!(text, " {name}"));
    text.push('\n');
    for ((path, method), (_, told)) in rows {
        _ = write!(text, "{method:<6} {path:<wide$}");
        told.iter().for_each(|(name, answer)| _ = write!(text, " {answer:<0$}", name.len()));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[track_caller]
fn compare(found: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/authorisation/matrix.golden");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, found).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    // Spaces follow the longest path: a row is compared by its words.
    let words = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let (kept, found) = (words(&kept), words(found));
    let only = |of: &[Vec<String>], other: &[Vec<String>]| -> Vec<String> {
        of.iter().filter(|it| !other.contains(it)).map(|it| it.join(" ")).collect()
    };
    let (gone, new) = (only(&kept, &found), only(&found, &kept));
    assert!(
        gone.is_empty() && new.is_empty(),
        "the matrix of routes and keys is another one. If that is meant, `UPDATE_GENERATED=1 cargo test --test it authorisation`.\n\
         no more:\n{}\nnew:\n{}",
        gone.join("\n"),
        new.join("\n"),
    );
}
