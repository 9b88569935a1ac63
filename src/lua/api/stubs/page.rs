//! `docs/lua-api.md`: the whole API on one page, for people.

use std::fmt::Write;

use super::super::DOCS;
use super::luau::all_types;
use super::{Body, Entry, TypeDecl};

const HEAD: &str = "# The Lua API

<!-- Generated from src/lua/api/*.d.luau and the catalogue of hooks: `UPDATE_STUBS=1 cargo test --lib lua::api`. -->

Everything a plugin finds below `panotti`, with its types in Luau's notation: `number?` may be nil, `{ string }` is a list,
`...any` any number of values. Wrong use raises an error at the script's line; what the world refuses comes back as
`nil, err` with `err.code` and `err.message` ([`Failure`](#failure)). *Waits* means that other hooks of the plugin go on
meanwhile. A function whose permission a plugin was not granted is not there.

In the examples, `recording` and `clip` are what a hook was given. The tests run every one of them. The author's guide is
[user_plugins/README.md](../user_plugins/README.md); a running server answers this page as JSON at `GET /api/v1/lua-api`,
and `panotti stubs` writes it for your editor.
";

/// The whole text.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    let types = all_types();
    out.push_str("\n| module | functions |\n|---|---|\n");
    for module in DOCS.iter() {
        let link = |(path, it): (String, &Entry)| format!("[{}](#{})", it.name, anchor(&path));
        let links: Vec<String> = module.entries().map(link).collect();
        let _ = writeln!(out, "| `{}` | {} |", module.path(), links.join(" "));
    }
    hooks(&mut out, &types);
    for module in DOCS.iter() {
        let _ = writeln!(out, "\n## {}\n", module.path());
        match &module.whole {
            Some(whole) => function(&mut out, &module.path(), whole),
            None => {
                let _ = writeln!(out, "{}", module.doc);
                for (path, entry) in module.entries() {
                    let _ = writeln!(out, "\n### {path}\n");
                    function(&mut out, &path, entry);
                }
            }
        }
    }
    out.push_str("\n## Types\n");
    for decl in types.iter().filter(|it| !it.name.starts_with("Panotti_")) {
        described(&mut out, decl);
    }
    out
}

fn hooks(out: &mut String, types: &[TypeDecl]) {
    out.push_str("\n## panotti.on\n\n`panotti.on.<hook>(fn, opts)` registers a function for a hook; see [`HookOptions`](#hookoptions) and\nthe guide.\n\n| hook | its function | when |\n|---|---|---|\n");
    let hooks = types.iter().find(|it| it.name == "Panotti_hooks");
    if let Some(TypeDecl { body: Body::Record(entries), .. }) = hooks {
        for entry in entries {
            let given = entry.signature.strip_prefix("(fn: ").and_then(|it| it.split_once(", opts"));
            let _ = writeln!(
                out,
                "| `{}` | `{}` | {} |",
                entry.name,
                given.map_or(entry.signature.as_str(), |it| it.0),
                entry.doc
            );
        }
    }
}

fn function(out: &mut String, path: &str, entry: &Entry) {
    let form = match entry.is_function() {
        true => format!("{path}{}", entry.signature),
        false => format!("{path}: {}", entry.signature),
    };
    let _ = writeln!(out, "```luau\n{form}\n```\n\n{}", entry.doc);
    let mut notes = Vec::new();
    if entry.waits {
        notes.push("waits".to_owned());
    }
    if let Some(permission) = &entry.permission {
        notes.push(format!("permission `{permission}`"));
    }
    if let Some(since) = &entry.since {
        notes.push(format!("since {since}"));
    }
    if !notes.is_empty() {
        let _ = writeln!(out, "\n*{}*", notes.join(" · "));
    }
    if let Some(example) = &entry.example {
        let _ = writeln!(out, "\n```lua\n{example}\n```");
    }
}

fn described(out: &mut String, decl: &TypeDecl) {
    let _ = writeln!(out, "\n### {}\n\n{}", decl.name, decl.doc);
    match &decl.body {
        Body::Alias(other) => {
            let _ = writeln!(out, "\n```luau\n{other}\n```");
        }
        Body::Record(fields) => {
            out.push_str("\n| field | type | |\n|---|---|---|\n");
            for it in fields {
                let (kind, doc) = (it.signature.replace('|', "\\|"), it.doc.replace('\n', " "));
                let _ = writeln!(out, "| `{}` | `{kind}` | {doc} |", it.name);
            }
        }
    }
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    heading.chars().filter(|it| *it != '.').collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_told_with_what_it_needs_and_an_example() {
        for (path, entry) in DOCS.iter().flat_map(|it| it.entries()) {
            assert!(!entry.doc.is_empty() && entry.since.is_some() && entry.example.is_some(), "{path}");
        }
        let page = page();
        for part in [
            "### panotti.kv.get\n",
            "*waits · permission `clips:read` · since ",
            "| `title` | `string",
            "(#panottikvget)",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }
}
