//! `panotti.meta.lua`: the same for editors with the Lua language server, which has a notation of its own.

use std::fmt::Write;

use super::super::DOCS;
use super::luau::{all_types, test_types};
use super::signature::{Kind, Param, Signature};
use super::{Body, Entry, TypeDecl, type_name};

/// The whole text, without the line that seals it.
pub fn meta() -> String {
    let mut out = String::from("---@meta\n");
    for decl in all_types().into_iter().chain(test_types()) {
        out.push('\n');
        comment(&mut out, &decl.doc);
        match &decl.body {
            Body::Alias(other) => alias(&mut out, &decl, other),
            Body::Record(entries) => match module_of(&decl.name) {
                Some(module) => functions(&mut out, module, &decl.name, entries),
                None => class(&mut out, &decl.name, entries),
            },
        }
    }
    out.push_str("\n---@class Panotti : Panotti_top\n---@field on Panotti_on\n");
    for module in DOCS.iter().filter(|it| !it.name.is_empty()) {
        let _ = writeln!(out, "---@field {} {}", module.name, type_name(&module.name));
    }
    out.push_str("panotti = {}\n");
    out
}

/// The name of the module whose type this is.
fn module_of(kind: &str) -> Option<&'static str> {
    let has_it = |it: &&super::ModuleDoc| !it.functions.is_empty() && type_name(&it.name) == kind;
    DOCS.iter().find(has_it).map(|it| if it.name.is_empty() { "top" } else { it.name.as_str() })
}

fn alias(out: &mut String, decl: &TypeDecl, other: &str) {
    match Kind::read(other) {
        // `panotti.on` is called, and has the hooks in it.
        Kind::Both(kinds) if decl.name == "Panotti_on" => {
            let call = kinds.iter().find_map(Kind::function).map(function).unwrap_or_default();
            let _ = writeln!(out, "---@class Panotti_on : Panotti_hooks\n---@overload {call}");
        }
        Kind::Both(kinds) => {
            let parents: Vec<String> =
                kinds.iter().filter(|it| matches!(it, Kind::Name(_))).map(said).collect();
            let _ = writeln!(out, "---@class {} : {}", decl.name, parents.join(", "));
            let own = |it: &Kind| if let Kind::Record(fields) = it { fields.clone() } else { Vec::new() };
            for field in kinds.iter().flat_map(own) {
                let _ = writeln!(out, "---@field {} {}", field.name, said(&field.kind));
            }
        }
        Kind::Function(own) => {
            for line in decl.tags.example.iter().flat_map(|it| ["", "```lua", it, "```"]) {
                comment_lines(out, line);
            }
            let _ = writeln!(out, "---@alias {} {}", decl.name, function(&own));
        }
        kind => {
            let _ = writeln!(out, "---@alias {} {}", decl.name, said(&kind));
        }
    }
}

fn class(out: &mut String, name: &str, entries: &[Entry]) {
    let _ = writeln!(out, "---@class {name}");
    for entry in entries {
        let doc = entry.doc.replace('\n', " ");
        let _ = writeln!(out, "---@field {} {} {doc}", entry.name, said(&Kind::read(&entry.signature)));
    }
}

/// A module: its values as fields, its functions with parameters and results of their own.
fn functions(out: &mut String, module: &str, name: &str, entries: &[Entry]) {
    let (functions, values): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(Entry::is_function);
    class(out, name, &values);
    let _ = writeln!(out, "local {module} = {{}}");
    for entry in &functions {
        let Some(signature) = Signature::read(&entry.signature) else { continue };
        out.push('\n');
        comment(out, &entry.full_doc());
        let mut names = Vec::new();
        for it in &signature.params {
            let (name, mark, kind) = match &it.kind {
                Kind::Rest(kind) => ("...", "", said(kind)),
                Kind::Optional(kind) => (it.name.as_str(), "?", said(kind)),
                kind => (it.name.as_str(), "", said(kind)),
            };
            names.push(name);
            let _ = writeln!(out, "---@param {name}{mark} {kind}");
        }
        for kind in &signature.results {
            let _ = writeln!(out, "---@return {}", said(kind));
        }
        let _ = writeln!(out, "function {module}.{}({}) end", entry.name, names.join(", "));
    }
}

fn comment(out: &mut String, doc: &str) {
    for line in doc.lines() {
        comment_lines(out, line);
    }
}

fn comment_lines(out: &mut String, lines: &str) {
    for line in lines.split('\n') {
        let _ = writeln!(out, "{}", format!("--- {line}").trim_end());
    }
}

/// A type in the language server's notation.
fn said(kind: &Kind) -> String {
    let listed = |kinds: &[Kind]| kinds.iter().map(said).collect::<Vec<_>>().join("|");
    match kind {
        Kind::Name(name) => name.clone(),
        Kind::Optional(inner) => format!("{}?", grouped(inner)),
        Kind::Either(kinds) | Kind::Both(kinds) => listed(kinds),
        Kind::List(inner) => format!("{}[]", grouped(inner)),
        Kind::Map(key, value) => format!("table<{}, {}>", said(key), said(value)),
        Kind::Record(fields) => {
            let fields: Vec<_> = fields.iter().map(|it| format!("{}: {}", it.name, said(&it.kind))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Kind::Function(it) => function(it),
        Kind::Rest(inner) => format!("...{}", said(inner)),
    }
}

/// A type that something is put behind.
fn grouped(kind: &Kind) -> String {
    match kind {
        Kind::Function(_) | Kind::Either(_) | Kind::Both(_) => format!("({})", said(kind)),
        _ => said(kind),
    }
}

fn function(it: &Signature) -> String {
    let param = |it: &Param| match &it.kind {
        Kind::Rest(kind) => format!("...: {}", said(kind)),
        Kind::Optional(kind) => format!("{}?: {}", it.name, said(kind)),
        kind => format!("{}: {}", it.name, said(kind)),
    };
    let params: Vec<_> = it.params.iter().map(param).collect();
    let results: Vec<_> = it.results.iter().map(said).collect();
    let results = if results.is_empty() { String::new() } else { format!(": {}", results.join(", ")) };
    format!("fun({}){results}", params.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luau_types_are_said_in_the_other_notation() {
        for (luau, told) in [
            (
                "(value: any, options: { pretty: boolean? }?) -> string",
                "fun(value: any, options?: { pretty: boolean? }): string",
            ),
            ("(text: string) -> (any, Failure?)", "fun(text: string): any, Failure?"),
            ("{ [string]: any }", "table<string, any>"),
            ("(t: { any }?) -> { any }", "fun(t?: any[]): any[]"),
            ("() -> ()", "fun()"),
            (
                "(fn: (app: App, ctx: Ctx) -> ...any) -> Registered",
                "fun(fn: fun(app: App, ctx: Ctx): ...any): Registered",
            ),
            ("{string}", "string[]"),
            ("(\"skip\" | \"once\")?", "(\"skip\"|\"once\")?"),
            ("...(() -> any)", "...fun(): any"),
            ("{ { min: number, max: number } }?", "{ min: number, max: number }[]?"),
        ] {
            assert_eq!(said(&Kind::read(luau)), told);
        }
    }

    #[test]
    fn what_is_written_is_lua() {
        mlua::Lua::new().load(meta()).set_name("=panotti.meta.lua").into_function().unwrap();
    }
}
