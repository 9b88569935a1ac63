//! `panotti.meta.lua`: the same for editors with the Lua language server, which has a notation of its own.

use std::fmt::Write;

use super::super::MODULES;
use super::luau::all_types;
use super::{Body, type_name};

/// The whole text.
pub fn meta() -> String {
    let mut out =
        String::from("---@meta\n-- Generated like panotti.d.luau; a test tells when it is stale.\n");
    for decl in all_types() {
        out.push('\n');
        comment(&mut out, &decl.doc);
        match &decl.body {
            Body::Alias(other) if decl.name == "Panotti_on" => {
                let call = other.split_once("& (").map_or(other.as_str(), |(_, it)| it.trim_end_matches(')'));
                let call = translate(&format!("{call})")).replacen("fun", "", 1);
                let _ = writeln!(out, "---@class Panotti_on : Panotti_hooks\n---@overload fun{call}");
            }
            Body::Alias(other) => {
                let _ = writeln!(out, "---@alias {} {}", decl.name, translate(other));
            }
            Body::Record(entries) => {
                let _ = writeln!(out, "---@class {}", decl.name);
                for entry in entries {
                    let doc = entry.full_doc().replace('\n', " ");
                    let _ = writeln!(out, "---@field {} {} {doc}", entry.name, translate(&entry.signature));
                }
            }
        }
    }
    let parent = if MODULES.iter().any(|it| it.name.is_empty()) { " : Panotti_top" } else { "" };
    let _ = writeln!(out, "\n---@class Panotti{parent}\n---@field on Panotti_on");
    for module in MODULES.iter().filter(|it| !it.name.is_empty()) {
        let _ = writeln!(out, "---@field {} {}", module.name, type_name(module.name));
    }
    out.push_str("panotti = {}\n");
    out
}

fn comment(out: &mut String, doc: &str) {
    for line in doc.lines() {
        let _ = writeln!(out, "--- {line}");
    }
}

/// A Luau type in the language server's notation.
fn translate(luau: &str) -> String {
    let mut reader = Reader { rest: luau.trim() };
    let mut said = reader.kind();
    // What is not understood stays as it is: it is shown, not run.
    said.push_str(reader.rest);
    said
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn kind(&mut self) -> String {
        let mut kind = self.one();
        while self.take("|") {
            kind = format!("{kind}|{}", self.one());
        }
        kind
    }

    fn one(&mut self) -> String {
        let mut kind = if self.take("(") {
            self.function()
        } else if self.take("{") {
            self.table()
        } else if self.take("...") {
            format!("...{}", self.one())
        } else {
            self.word()
        };
        while self.take("?") {
            kind = if kind.starts_with("fun(") { format!("({kind})?") } else { format!("{kind}?") };
        }
        kind
    }

    /// After `(`: parameters and results; without `->` a type in brackets.
    fn function(&mut self) -> String {
        let mut params = Vec::new();
        while !self.take(")") && !self.rest.is_empty() {
            params.push(self.param());
            self.take(",");
        }
        if !self.take("->") {
            return params.join(", ");
        }
        let results = if self.take("(") {
            let mut results = Vec::new();
            while !self.take(")") && !self.rest.is_empty() {
                results.push(self.kind());
                self.take(",");
            }
            results
        } else {
            vec![self.kind()]
        };
        let results = if results.is_empty() { String::new() } else { format!(": {}", results.join(", ")) };
        format!("fun({}){results}", params.join(", "))
    }

    fn param(&mut self) -> String {
        if self.take("...") {
            return format!("...: {}", self.one());
        }
        let before = self.rest;
        let name = self.word();
        if name.is_empty() || !self.take(":") {
            self.rest = before;
            return self.kind();
        }
        let kind = self.kind();
        match kind.strip_suffix('?') {
            Some(kind) => format!("{name}?: {kind}"),
            None => format!("{name}: {kind}"),
        }
    }

    /// After `{`: a map, a record or a list.
    fn table(&mut self) -> String {
        if self.take("[") {
            let key = self.kind();
            self.take("]");
            self.take(":");
            let value = self.kind();
            self.take("}");
            return format!("table<{key}, {value}>");
        }
        let mut fields = Vec::new();
        while !self.take("}") && !self.rest.is_empty() {
            fields.push(self.param().replacen("?: ", ": ?", 1));
            self.take(",");
        }
        let fields: Vec<_> = fields.iter().map(|it| back(it)).collect();
        match fields.as_slice() {
            [one] if !one.contains(": ") => format!("{one}[]"),
            _ => format!("{{ {} }}", fields.join(", ")),
        }
    }

    fn word(&mut self) -> String {
        let end = self
            .rest
            .find(|it: char| !(it.is_alphanumeric() || it == '_' || it == '"'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word.to_owned()
    }

    fn take(&mut self, what: &str) -> bool {
        match self.rest.strip_prefix(what) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }
}

/// A record's optional field is marked at its type, a parameter's at its name.
fn back(field: &str) -> String {
    match field.split_once(": ?") {
        Some((name, kind)) => format!("{name}: {kind}?"),
        None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn luau_types_are_said_in_the_other_notation() {
        for (luau, said) in [
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
        ] {
            assert_eq!(translate(luau), said);
        }
    }
}
