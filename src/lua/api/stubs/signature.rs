//! The Luau types of the `.d.luau` files, taken apart: what a function takes and returns.

/// A type.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `string`, `Clip`, `"skip"`.
    Name(String),
    /// `kind?`.
    Optional(Box<Kind>),
    /// `a | b`.
    Either(Vec<Kind>),
    /// `a & b`.
    Both(Vec<Kind>),
    /// `{ kind }`.
    List(Box<Kind>),
    /// `{ [key]: value }`.
    Map(Box<Kind>, Box<Kind>),
    /// `{ name: kind, … }`.
    Record(Vec<Param>),
    /// `(…) -> …`.
    Function(Signature),
    /// `...kind`: as many as there are.
    Rest(Box<Kind>),
}

/// A parameter, or a field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// What a function takes and returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// Its parameters, in order.
    pub params: Vec<Param>,
    /// What it returns, in order.
    pub results: Vec<Kind>,
}

impl Kind {
    /// Reads a type; what stands behind it is nobody's.
    pub fn read(luau: &str) -> Kind {
        Reader { rest: luau.trim() }.kind()
    }

    /// The function that this is, if it is one.
    pub fn function(&self) -> Option<&Signature> {
        match self {
            Kind::Function(it) => Some(it),
            Kind::Optional(it) => it.function(),
            _ => None,
        }
    }

    /// Whether nil, and so nothing, is a value of it.
    pub fn takes_nil(&self) -> bool {
        match self {
            Kind::Name(name) => name == "any" || name == "nil",
            Kind::Optional(_) | Kind::Rest(_) => true,
            Kind::Either(kinds) => kinds.iter().any(Kind::takes_nil),
            _ => false,
        }
    }
}

impl Signature {
    /// What a function of this type takes; none when it is no function.
    pub fn read(luau: &str) -> Option<Signature> {
        match Kind::read(luau) {
            Kind::Function(it) => Some(it),
            _ => None,
        }
    }

    /// The fewest arguments it can do with, and the most; none = any number.
    pub fn arguments(&self) -> (usize, Option<usize>) {
        let fewest = self.params.iter().rposition(|it| !it.kind.takes_nil()).map_or(0, |last| last + 1);
        let open = self.params.iter().any(|it| matches!(it.kind, Kind::Rest(_)));
        (fewest, (!open).then_some(self.params.len()))
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn kind(&mut self) -> Kind {
        let first = self.one();
        if self.take("|") {
            return Kind::Either(self.others(first, "|"));
        }
        if self.take("&") {
            return Kind::Both(self.others(first, "&"));
        }
        first
    }

    fn others(&mut self, first: Kind, between: &str) -> Vec<Kind> {
        let mut kinds = vec![first, self.one()];
        while self.take(between) {
            kinds.push(self.one());
        }
        kinds
    }

    fn one(&mut self) -> Kind {
        let mut kind = if self.take("(") {
            self.bracketed()
        } else if self.take("{") {
            self.table()
        } else if self.take("...") {
            Kind::Rest(Box::new(self.one()))
        } else {
            Kind::Name(self.word())
        };
        while self.take("?") {
            kind = Kind::Optional(Box::new(kind));
        }
        kind
    }

    /// After `(`: a function, or a type in brackets.
    fn bracketed(&mut self) -> Kind {
        let mut params = self.params(")");
        if !self.take("->") {
            return match params.pop() {
                Some(only) if params.is_empty() => only.kind,
                _ => Kind::Name("any".to_owned()),
            };
        }
        let results = match self.take("(") {
            true => self.params(")").into_iter().map(|it| it.kind).collect(),
            false => vec![self.kind()],
        };
        Kind::Function(Signature { params, results })
    }

    fn params(&mut self, end: &str) -> Vec<Param> {
        let mut params = Vec::new();
        while !self.take(end) && !self.rest.is_empty() {
            let before = self.rest.len();
            params.push(self.param());
            self.take(",");
            if self.rest.len() == before {
                break;
            }
        }
        params
    }

    fn param(&mut self) -> Param {
        let before = self.rest;
        let name = self.word();
        if name.is_empty() || !self.take(":") {
            self.rest = before;
            return Param { name: String::new(), kind: self.kind() };
        }
        Param { name, kind: self.kind() }
    }

    /// After `{`: a map, a list or a record.
    fn table(&mut self) -> Kind {
        if self.take("[") {
            let key = self.kind();
            self.take("]");
            self.take(":");
            let value = self.kind();
            self.take("}");
            return Kind::Map(Box::new(key), Box::new(value));
        }
        let mut fields = self.params("}");
        match fields.as_slice() {
            [only] if only.name.is_empty() => Kind::List(Box::new(fields.remove(0).kind)),
            _ => Kind::Record(fields),
        }
    }

    fn word(&mut self) -> String {
        let is_part = |it: char| it.is_alphanumeric() || it == '_' || it == '"';
        let end = self.rest.find(|it: char| !is_part(it)).unwrap_or(self.rest.len());
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lua::api::DOCS;
    use crate::lua::api::stubs::{Body, all_types};

    /// Every type that a type names.
    fn named(kind: &Kind, names: &mut BTreeSet<String>) {
        match kind {
            Kind::Name(name) => _ = names.insert(name.clone()),
            Kind::Optional(inner) | Kind::List(inner) | Kind::Rest(inner) => named(inner, names),
            Kind::Either(kinds) | Kind::Both(kinds) => kinds.iter().for_each(|it| named(it, names)),
            Kind::Map(key, value) => [key, value].into_iter().for_each(|it| named(it, names)),
            Kind::Record(fields) => fields.iter().for_each(|it| named(&it.kind, names)),
            Kind::Function(it) => {
                it.params.iter().for_each(|it| named(&it.kind, names));
                it.results.iter().for_each(|it| named(it, names));
            }
        }
    }

    #[test]
    fn every_type_that_is_named_is_declared() {
        let (mut names, mut known) = (BTreeSet::new(), BTreeSet::new());
        for decl in all_types() {
            known.insert(decl.name);
            match decl.body {
                Body::Alias(other) => named(&Kind::read(&other), &mut names),
                Body::Record(entries) => {
                    entries.iter().for_each(|it| named(&Kind::read(&it.signature), &mut names))
                }
            }
        }
        let luaus_own = ["any", "boolean", "buffer", "nil", "number", "string"];
        // An analyser takes none of the definitions when one type is missing.
        names.retain(|it| !known.contains(it) && !luaus_own.contains(&it.as_str()) && !it.starts_with('"'));
        assert!(names.is_empty(), "{names:?}");
    }

    #[test]
    fn the_number_of_arguments_is_told_by_the_signature() {
        for (luau, counts) in [
            ("() -> string", (0, Some(0))),
            ("(key: string, value: any, options: { ttl: number? }?) -> ()", (1, Some(3))),
            ("(fn: (...any) -> ...any, ...any) -> Task", (1, None)),
            ("(...(() -> any)) -> ...any", (0, None)),
            (
                "(seconds: number, name: string, fn: (run: ScheduledRun, ctx: Ctx) -> (), options: X?) -> ()",
                (3, Some(4)),
            ),
        ] {
            assert_eq!(Signature::read(luau).unwrap().arguments(), counts, "{luau}");
        }
        assert_eq!(Signature::read("{ [string]: any }"), None);
    }

    #[test]
    fn every_function_of_the_table_can_be_taken_apart() {
        for (path, entry) in DOCS.iter().flat_map(|it| it.entries()).filter(|(_, it)| it.is_function()) {
            let signature = Signature::read(&entry.signature).unwrap_or_else(|| panic!("{path}"));
            let named = |it: &Param| !it.name.is_empty() || matches!(it.kind, Kind::Rest(_));
            assert!(signature.params.iter().all(named), "{path}: {signature:?}");
        }
    }
}
