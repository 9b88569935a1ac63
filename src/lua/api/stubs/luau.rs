//! `panotti.d.luau`: everything a script sees, for Luau's own checker and the editors that speak it.

use std::fmt::Write;

use crate::hooks::Hook;
use crate::hooks::catalogue::Payload;

use super::super::MODULES;
use super::{Body, TypeDecl, type_name};

const COMMON: &str = include_str!("../common.d.luau");

/// The whole text.
pub fn definitions() -> String {
    let mut out = String::from(
        "-- Generated from src/lua/api/*.d.luau and the catalogue of hooks; a test tells when it is stale.\n",
    );
    for decl in all_types() {
        let _ = write!(out, "\n{}", render(&decl));
    }
    let fields: Vec<_> = MODULES
        .iter()
        .filter(|it| !it.name.is_empty())
        .map(|it| format!("\t{}: {},\n", it.name, type_name(it.name)))
        .collect();
    let top = if MODULES.iter().any(|it| it.name.is_empty()) { "Panotti_top & " } else { "" };
    let _ = write!(out, "\ndeclare panotti: {top}{{\n\ton: Panotti_on,\n{}}}\n", fields.concat());
    out
}

/// Every declared type: the common ones, the hooks' payloads, `panotti.on`, the modules'.
pub(super) fn all_types() -> Vec<TypeDecl> {
    let mut all = TypeDecl::read_all(COMMON);
    all.extend(PAYLOADS.iter().filter_map(|it| payload(*it)));
    all.extend(on());
    for module in MODULES {
        all.extend(TypeDecl::read_all(module.types));
    }
    all
}

/// The payloads with fields of their own.
const PAYLOADS: [Payload; 5] =
    [Payload::App, Payload::Request, Payload::Response, Payload::Recording, Payload::Clip];

fn payload(payload: Payload) -> Option<TypeDecl> {
    let entries = payload.fields().iter().map(|(name, kind, doc)| entry(name, kind, doc)).collect();
    let doc = format!("The `{}` that hooks are given.", payload.type_name()?.to_lowercase());
    Some(TypeDecl { name: payload.type_name()?.to_owned(), doc, body: Body::Record(entries) })
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
    [
        TypeDecl {
            name: "Panotti_hooks".to_owned(),
            doc: "The hooks a plugin may register, each with what it is given.".to_owned(),
            body: Body::Record(hooks.collect()),
        },
        TypeDecl {
            name: "Panotti_on".to_owned(),
            doc: "`panotti.on.<hook>(fn, opts)`; `panotti.on(name, fn, opts)` for a computed name."
                .to_owned(),
            body: Body::Alias(
                "Panotti_hooks & ((name: string, fn: (...any) -> ...any, opts: HookOptions?) -> Registered)"
                    .to_owned(),
            ),
        },
    ]
}

fn entry(name: &str, signature: &str, doc: &str) -> super::Entry {
    super::Entry {
        name: name.to_owned(),
        signature: signature.to_owned(),
        doc: doc.to_owned(),
        permission: None,
        waits: false,
    }
}

fn render(decl: &TypeDecl) -> String {
    let mut out = String::new();
    comment(&mut out, "", &decl.doc);
    match &decl.body {
        Body::Alias(other) => {
            let _ = writeln!(out, "export type {} = {other}", decl.name);
        }
        Body::Record(entries) => {
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
        let _ = writeln!(out, "{indent}--- {line}");
    }
}
