//! What a handler reads of the record it is given: `clip.titel` is nil, whatever the clip.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use full_moon::ast::luau::{ConstAssignment, ConstFunction};
use full_moon::ast::{
    Assignment, Block, Call, CompoundAssignment, Expression, Field, FunctionArgs, FunctionBody, FunctionCall,
    FunctionDeclaration, GenericFor, Index, LastStmt, LocalAssignment, LocalFunction, NumericFor, Parameter,
    Prefix, Return, Suffix, Var, VarExpression,
};
use full_moon::node::Node;
use full_moon::tokenizer::TokenReference;
use full_moon::visitors::{Visit, Visitor};

use crate::lua::api::stubs::{Body, Kind, Signature, all_types, find_similar};

use super::calls::Odd;
use super::names::{place, plain, text_of};

/// The fields of each type that is a record.
static RECORDS: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
    let records = all_types().into_iter().filter_map(|it| match it.body {
        Body::Record(entries) => Some((it.name, entries.into_iter().map(|it| it.name).collect())),
        Body::Alias(_) => None,
    });
    records.collect()
});

/// Functions that read what they are given and add nothing to it.
const READERS: &[&str] =
    &["assert", "ipairs", "next", "pairs", "panotti", "print", "tostring", "type", "typeof"];

/// Fields that a handler reads and that what it is given does not have.
pub fn unknown(body: &FunctionBody, handler: &Signature) -> Vec<Odd> {
    let mut odd = Vec::new();
    for (parameter, told) in body.parameters().iter().zip(&handler.params) {
        let (Parameter::Name(name), Kind::Name(kind)) = (parameter, &told.kind) else { continue };
        let Some(known) = RECORDS.get(kind) else { continue };
        let mut uses = Uses { name: text_of(name), ..Uses::default() };
        body.block().visit(&mut uses);
        if uses.unsure {
            continue;
        }
        for (token, field) in
            uses.read.iter().filter(|(_, it)| !known.contains(it) && !uses.written.contains(it))
        {
            let near = find_similar(field, known.iter().map(String::as_str));
            // Whoever it was passed to may have added the field; not one that is misspelt and that nobody writes.
            if uses.passed_on && near.is_none() {
                continue;
            }
            let told = match near {
                Some(near) => format!(" (did you mean '{near}'?)"),
                None => format!("; it has {}", known.join(", ")),
            };
            odd.push(Odd {
                place: place(token),
                fails: false,
                code: "unknown-field",
                message: format!("{} is a {kind}, which has no field '{field}'{told}", uses.name),
                unless_written: uses.passed_on.then(|| field.clone()),
            });
        }
    }
    odd
}

/// The same for a chunk that returns its hooks in a table.
pub fn of_returned_hooks(chunk: &Block) -> Vec<Odd> {
    let Some(LastStmt::Return(returned)) = chunk.last_stmt() else { return Vec::new() };
    let Some(Expression::TableConstructor(table)) = returned.returns().iter().next() else {
        return Vec::new();
    };
    let mut odd = Vec::new();
    for field in table.fields() {
        if let Field::NameKey { key, value: Expression::Function(function), .. } = field
            && let Some(handler) = super::calls::handler_of(&text_of(key))
        {
            odd.extend(unknown(function.body(), handler));
        }
    }
    odd
}

/// How a block uses a name.
#[derive(Default)]
struct Uses {
    name: String,
    read: Vec<(TokenReference, String)>,
    /// Fields it sets itself.
    written: HashSet<String>,
    /// The name means something else somewhere, or any field of it is set.
    unsure: bool,
    /// Somebody else is given it.
    passed_on: bool,
    /// Where the name stands and is harmless, by byte.
    harmless: HashSet<usize>,
}

impl Uses {
    fn declared(&mut self, token: &TokenReference) {
        self.unsure |= text_of(token) == self.name;
    }

    fn is_it(&self, expression: &Expression) -> bool {
        matches!(expression, Expression::Var(Var::Name(name)) if text_of(name) == self.name)
    }

    fn harmless(&mut self, expression: &Expression) {
        if self.is_it(expression) {
            self.harmless.extend(expression.start_position().map(|it| it.bytes()));
        }
    }

    /// The first step below the name.
    fn step<'a>(
        &self,
        prefix: &Prefix,
        mut suffixes: impl Iterator<Item = &'a Suffix>,
    ) -> Option<(&'a TokenReference, String)> {
        let Prefix::Name(first) = prefix else { return None };
        if text_of(first) != self.name {
            return None;
        }
        match suffixes.next()? {
            Suffix::Index(Index::Dot { name, .. }) => Some((name, text_of(name))),
            Suffix::Index(Index::Brackets { expression: Expression::String(text), .. }) => {
                plain(text).map(|it| (text, it))
            }
            _ => None,
        }
    }

    fn wrote(&mut self, to: &Var) {
        match to {
            Var::Name(name) => self.unsure |= text_of(name) == self.name,
            Var::Expression(it) => match self.step(it.prefix(), it.suffixes()) {
                Some((_, field)) if it.suffixes().count() == 1 => _ = self.written.insert(field),
                // `clip[key] = …`: any field may be set.
                None => {
                    self.unsure |= matches!(it.prefix(), Prefix::Name(name) if text_of(name) == self.name);
                }
                Some(_) => {}
            },
            _ => {}
        }
    }
}

impl Visitor for Uses {
    fn visit_var_expression(&mut self, it: &VarExpression) {
        if let Some((token, field)) = self.step(it.prefix(), it.suffixes()) {
            self.read.push((token.clone(), field));
        }
    }

    fn visit_function_call(&mut self, it: &FunctionCall) {
        if let Some((token, field)) = self.step(it.prefix(), it.suffixes()) {
            self.read.push((token.clone(), field));
        }
        let Prefix::Name(first) = it.prefix() else { return };
        if !READERS.contains(&text_of(first).as_str()) {
            return;
        }
        for suffix in it.suffixes() {
            if let Suffix::Call(Call::AnonymousCall(FunctionArgs::Parentheses { arguments, .. })) = suffix {
                arguments.iter().for_each(|argument| self.harmless(argument));
            }
        }
    }

    fn visit_return(&mut self, it: &Return) {
        it.returns().iter().for_each(|it| self.harmless(it));
    }

    fn visit_var(&mut self, it: &Var) {
        let Var::Name(name) = it else { return };
        let at = name.token().start_position().bytes();
        self.passed_on |= text_of(name) == self.name && !self.harmless.contains(&at);
    }

    fn visit_local_assignment(&mut self, it: &LocalAssignment) {
        it.names().iter().for_each(|name| self.declared(name));
    }

    fn visit_const_assignment(&mut self, it: &ConstAssignment) {
        it.names().iter().for_each(|name| self.declared(name));
    }

    fn visit_local_function(&mut self, it: &LocalFunction) {
        self.declared(it.name());
    }

    fn visit_const_function(&mut self, it: &ConstFunction) {
        self.declared(it.name());
    }

    fn visit_function_body(&mut self, it: &FunctionBody) {
        for parameter in it.parameters() {
            if let Parameter::Name(name) = parameter {
                self.declared(name);
            }
        }
    }

    fn visit_generic_for(&mut self, it: &GenericFor) {
        it.names().iter().for_each(|name| self.declared(name));
    }

    fn visit_numeric_for(&mut self, it: &NumericFor) {
        self.declared(it.index_variable());
    }

    fn visit_assignment(&mut self, it: &Assignment) {
        it.variables().iter().for_each(|to| self.wrote(to));
    }

    fn visit_compound_assignment(&mut self, it: &CompoundAssignment) {
        self.wrote(it.lhs());
    }

    fn visit_function_declaration(&mut self, it: &FunctionDeclaration) {
        let mut names = it.name().names().iter();
        if let Some(first) = names.next().filter(|it| text_of(it) == self.name) {
            match names.next() {
                Some(field) => _ = self.written.insert(text_of(field)),
                None => self.declared(first),
            }
        }
    }
}
