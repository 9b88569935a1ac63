//! `panotti.d.luau`: everything a script sees, for Luau's own checker and the editors that speak it.

use std::fmt::Write;

use crate::hooks::Hook;
use crate::hooks::catalogue::Payload;

use super::super::MODULES;
use super::{Body, Entry, Tags, TypeDecl, type_name};

/// What `require("@panotti/test")` gives.
const TEST: &str = include_str!("../../../../scripts/testing/test.d.luau");

const COMMON: &str = include_str!("../common.d.luau");

/// The whole text, without the line that seals it.
pub fn definitions() -> String {
    let mut out = String::new();
    for decl in all_types().into_iter().chain(test_types()) {
        let _ = writeln!(out, "{}", render(&decl));
    }
    let fields: Vec<_> = MODULES
        .iter()
        .filter(|it| !it.name.is_empty())
        .map(|it| format!("\t{}: {},\n", it.name, type_name(it.name)))
        .collect();
    let top = if MODULES.iter().any(|it| it.name.is_empty()) { "Panotti_top & " } else { "" };
    let _ = write!(out, "declare panotti: {top}{{\n\ton: Panotti_on,\n{}}}\n", fields.concat());
    out
}

/// Every declared type: the common ones, the hooks' payloads, `panotti.on`, the modules'.
pub fn all_types() -> Vec<TypeDecl> {
    let mut all = TypeDecl::read_all(COMMON);
    all.extend(PAYLOADS.iter().filter_map(|it| payload(*it)));
    all.extend(on());
    for module in MODULES {
        all.extend(TypeDecl::read_all(module.types));
    }
    all
}

/// What tests are written with.
pub(super) fn test_types() -> Vec<TypeDecl> {
    TypeDecl::read_all(TEST)
}

/// The payloads with fields of their own.
const PAYLOADS: [Payload; 5] =
    [Payload::App, Payload::Request, Payload::Response, Payload::Recording, Payload::Clip];

fn payload(payload: Payload) -> Option<TypeDecl> {
    let entries = payload.fields().iter().map(|(name, kind, doc)| entry(name, kind, doc)).collect();
    let doc = format!("The `{}` that hooks are given.", payload.type_name()?.to_lowercase());
    Some(TypeDecl {
        name: payload.type_name()?.to_owned(),
        doc,
        body: Body::Record(entries),
        tags: Tags::default(),
    })
}

/// `panotti.on.<hook>` for every hook of the catalogue, and `panotti.on(name, …)`.
fn on() -> [TypeDecl; 2] {
    let hooks = Hook::ALL.iter().map(|hook| {
        let info = hook.info();
        let argument = match info.payload {
            Payload::None => String::new(),
            Payload::Config => "config: { [string]: any }, ".to_owned(),
            Payload::State => "state: any, ".to_owned(),
            other => match other.type_name() {
                Some(name) => format!("{}: {name}, ", name.to_lowercase()),
                None => String::new(),
            },
        };
        let signature = format!("(fn: ({argument}ctx: Ctx) -> ...any, opts: HookOptions?) -> Registered");
        entry(info.name, &signature, info.doc)
    });
    let both = "Panotti_hooks & ((name: string, fn: (...any) -> ...any, opts: HookOptions?) -> Registered)";
    let decl = |name: &str, doc: &str, body| TypeDecl {
        name: name.to_owned(),
        doc: doc.to_owned(),
        body,
        tags: Tags::default(),
    };
    [
        decl(
            "Panotti_hooks",
            "The hooks a plugin may register, each with what it is given.",
            Body::Record(hooks.collect()),
        ),
        decl(
            "Panotti_on",
            "`panotti.on.<hook>(fn, opts)`; `panotti.on(name, fn, opts)` for a computed name.",
            Body::Alias(both.to_owned()),
        ),
    ]
}

fn entry(name: &str, signature: &str, doc: &str) -> Entry {
    Entry::new(name, signature, doc, Tags::default())
}

fn render(decl: &TypeDecl) -> String {
    let mut out = String::new();
    match &decl.body {
        Body::Alias(other) => {
            let whole = Entry::new(&decl.name, other, &decl.doc, decl.tags.clone());
            comment(&mut out, "", &whole.full_doc());
            let _ = writeln!(out, "export type {} = {other}", decl.name);
        }
        Body::Record(entries) => {
            comment(&mut out, "", &decl.doc);
            let _ = writeln!(out, "export type {} = {{", decl.name);
            for entry in entries {
                comment(&mut out, "\t", &entry.full_doc());
                let _ = writeln!(out, "\t{}: {},", entry.name, entry.signature);
            }
            out.push_str("}\n");
        }
    }
    out
}

fn comment(out: &mut String, indent: &str, doc: &str) {
    for line in doc.lines() {
        let _ = writeln!(out, "{}", format!("{indent}--- {line}").trim_end());
    }
}
