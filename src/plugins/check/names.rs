//! What a script names of the host's, read from its syntax tree.
//!
//! A local counts as an alias (`local kv = panotti.kv`) when its name is declared once in the file and never assigned.
//! Anything else - computed names, names used twice, values passed on - is nothing that could be told.

use std::collections::{HashMap, HashSet};

use full_moon::ast::luau::{ConstAssignment, ConstFunction};
use full_moon::ast::{
    Assignment, Call, CompoundAssignment, Expression, Field, FunctionArgs, FunctionBody, FunctionCall,
    FunctionDeclaration, GenericFor, Index, LocalAssignment, LocalFunction, NumericFor, Parameter, Prefix,
    Suffix, Var, VarExpression,
};
use full_moon::tokenizer::{Token, TokenReference, TokenType};
use full_moon::visitors::Visitor;

use super::calls::{Asked, HostCall, Odd};
use super::fields;
use super::surface::{Step, Target, step};

/// The stack that the tree of a nested script may need, in bytes.
const STACK_BYTES: usize = 64 << 20;

/// What a script names, each with line and column.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// What is not there, as the server would say it.
    pub unknown: Vec<(Place, String)>,
    /// Names given where a hook is expected.
    pub hooks: Vec<(Place, String)>,
    /// Functions used, with the permission that each needs.
    pub needs: Vec<(Place, String, String)>,
    /// Modules asked for with `require`.
    pub requires: Vec<(Place, String)>,
    /// Modules that are named.
    pub modules: HashSet<usize>,
    /// Calls that are not as the function wants them, and fields that are never there.
    pub odd: Vec<Odd>,
    /// Hosts, programs and types of events that are written out, with the function that is given them.
    pub asked: Vec<(Place, String, Asked)>,
    /// Names of fields that it writes, of whatever.
    pub written: HashSet<String>,
    /// Whether `panotti` itself is passed on, so that anything may be used.
    pub escapes: bool,
}

/// Line and column, from 1.
pub type Place = (u32, u32);

/// Reads a script; none when its tree cannot be made.
pub fn read(text: &str) -> Option<Named> {
    in_deep_stack(|| read_here(text))
}

/// Works on the tree of a script: it is as deep as the script nests, and is walked by recursion.
pub fn in_deep_stack<T: Send>(work: impl FnOnce() -> Option<T> + Send) -> Option<T> {
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES);
    std::thread::scope(|scope| worker.spawn_scoped(scope, work).ok()?.join().ok().flatten())
}

fn read_here(text: &str) -> Option<Named> {
    let tree = full_moon::parse(text).ok()?;
    let mut locals = Locals::default();
    locals.visit_ast(&tree);
    let mut reader = Reader { locals, named: Named::default() };
    reader.visit_ast(&tree);
    reader.named.odd.extend(fields::of_returned_hooks(tree.nodes()));
    Some(reader.named)
}

/// How names are declared in a file.
#[derive(Default)]
pub struct Locals {
    declared: HashMap<String, usize>,
    assigned: HashSet<String>,
    /// What a declared name stands for: the first name and those below it.
    paths: HashMap<String, Vec<String>>,
}

impl Locals {
    fn declare(&mut self, name: &TokenReference) {
        *self.declared.entry(text_of(name)).or_default() += 1;
    }

    fn assign(&mut self, to: &Var) {
        if let Var::Name(name) = to {
            self.assigned.insert(text_of(name));
        }
    }

    fn declare_all<'a>(
        &mut self,
        names: impl Iterator<Item = &'a TokenReference>,
        values: impl Iterator<Item = &'a Expression>,
    ) {
        let mut values = values;
        for name in names {
            self.declare(name);
            if let Some(path) = values.next().and_then(path_of) {
                self.paths.insert(text_of(name), path);
            }
        }
    }

    /// What a name stands for, from `panotti` on.
    pub fn path(&self, name: &str) -> Option<Vec<String>> {
        self.path_within(name, 8)
    }

    fn path_within(&self, name: &str, steps: usize) -> Option<Vec<String>> {
        if self.assigned.contains(name) {
            return None;
        }
        let own = || (name == "panotti").then(|| vec![name.to_owned()]);
        match self.declared.get(name) {
            None => own(),
            Some(1) => {
                let (first, rest) = self.paths.get(name)?.split_first()?;
                let mut path =
                    if first == name { own()? } else { self.path_within(first, steps.checked_sub(1)?)? };
                path.extend_from_slice(rest);
                Some(path)
            }
            Some(_) => None,
        }
    }

    /// What a name stands for.
    fn target(&self, name: &str) -> Option<Target> {
        self.target_within(name, 8)
    }

    fn target_within(&self, name: &str, steps: usize) -> Option<Target> {
        if self.assigned.contains(name) {
            return None;
        }
        match self.declared.get(name) {
            None => (name == "panotti").then_some(Target::Panotti),
            Some(1) => {
                let (first, rest) = self.paths.get(name)?.split_first()?;
                let from = match first.as_str() {
                    // `local panotti = panotti` names the global one.
                    same if same == name => (name == "panotti").then_some(Target::Panotti)?,
                    other => self.target_within(other, steps.checked_sub(1)?)?,
                };
                rest.iter().try_fold(from, |from, name| match step(from, name) {
                    Step::There(target, _) => Some(target),
                    Step::Hook => Some(Target::Leaf),
                    _ => None,
                })
            }
            Some(_) => None,
        }
    }
}

impl Visitor for Locals {
    fn visit_local_assignment(&mut self, it: &LocalAssignment) {
        self.declare_all(it.names().iter(), it.expressions().iter());
    }

    fn visit_const_assignment(&mut self, it: &ConstAssignment) {
        self.declare_all(it.names().iter(), it.expressions().iter());
    }

    fn visit_local_function(&mut self, it: &LocalFunction) {
        self.declare(it.name());
    }

    fn visit_const_function(&mut self, it: &ConstFunction) {
        self.declare(it.name());
    }

    fn visit_function_body(&mut self, it: &FunctionBody) {
        for parameter in it.parameters() {
            if let Parameter::Name(name) = parameter {
                self.declare(name);
            }
        }
    }

    fn visit_generic_for(&mut self, it: &GenericFor) {
        it.names().iter().for_each(|name| self.declare(name));
    }

    fn visit_numeric_for(&mut self, it: &NumericFor) {
        self.declare(it.index_variable());
    }

    fn visit_assignment(&mut self, it: &Assignment) {
        it.variables().iter().for_each(|to| self.assign(to));
    }

    fn visit_compound_assignment(&mut self, it: &CompoundAssignment) {
        self.assign(it.lhs());
    }

    fn visit_function_declaration(&mut self, it: &FunctionDeclaration) {
        let mut names = it.name().names().iter();
        if let (Some(name), None) = (names.next(), names.next()) {
            self.assigned.insert(text_of(name));
        }
    }
}

struct Reader {
    locals: Locals,
    named: Named,
}

impl Reader {
    fn chain<'a>(&mut self, prefix: &Prefix, suffixes: impl Iterator<Item = &'a Suffix>) {
        let Prefix::Name(first) = prefix else { return };
        let name = text_of(first);
        let suffixes: Vec<&Suffix> = suffixes.collect();
        if name == "require" && !self.locals.declared.contains_key("require") {
            self.required(suffixes.first().copied());
        }
        let Some(mut at) = self.locals.target(&name) else { return };
        for suffix in suffixes {
            self.mention(at);
            let named = match suffix {
                Suffix::Index(Index::Dot { name, .. }) => Some((name, text_of(name))),
                Suffix::Index(Index::Brackets { expression: Expression::String(text), .. }) => {
                    plain(text).map(|it| (text, it))
                }
                Suffix::Call(Call::MethodCall(call)) => Some((call.name(), text_of(call.name()))),
                Suffix::Call(Call::AnonymousCall(args)) => {
                    if let (Target::On, Some((token, hook))) = (at, first_text(args)) {
                        self.named.hooks.push((place(token), hook));
                    }
                    return;
                }
                _ => None,
            };
            let Some((token, name)) = named else {
                self.named.escapes |= at == Target::Panotti;
                return;
            };
            match step(at, &name) {
                Step::There(target, needs) => {
                    if let Some((permission, path)) = needs {
                        self.named.needs.push((place(token), path, permission.to_owned()));
                        self.mention_function(&name, at);
                    }
                    at = target;
                }
                Step::Hook => {
                    self.named.hooks.push((place(token), name));
                    return;
                }
                Step::Unknown(why) => {
                    self.named.unknown.push((place(token), why));
                    return;
                }
                Step::Anything => return,
            }
            if matches!(suffix, Suffix::Call(_)) {
                return;
            }
        }
        self.mention(at);
    }

    fn wrote(&mut self, to: &Var) {
        let Var::Expression(it) = to else { return };
        let name = match it.suffixes().last() {
            Some(Suffix::Index(Index::Dot { name, .. })) => Some(text_of(name)),
            Some(Suffix::Index(Index::Brackets { expression: Expression::String(text), .. })) => plain(text),
            _ => None,
        };
        self.named.written.extend(name);
    }

    fn mention(&mut self, target: Target) {
        if let Target::Module(index) = target {
            self.named.modules.insert(index);
        }
    }

    /// A module that is a function by itself.
    fn mention_function(&mut self, name: &str, from: Target) {
        if from == Target::Panotti {
            self.named.modules.extend(crate::lua::api::DOCS.iter().position(|it| it.name == name));
        }
    }

    fn required(&mut self, call: Option<&Suffix>) {
        if let Some(Suffix::Call(Call::AnonymousCall(args))) = call
            && let Some((token, name)) = first_text(args)
        {
            self.named.requires.push((place(token), name));
        }
    }
}

impl Visitor for Reader {
    fn visit_var_expression(&mut self, it: &VarExpression) {
        self.chain(it.prefix(), it.suffixes());
    }

    fn visit_function_call(&mut self, it: &FunctionCall) {
        self.chain(it.prefix(), it.suffixes());
        if let Some(call) = HostCall::read(&self.locals, it.prefix(), it.suffixes()) {
            self.named.odd.extend(call.odd());
            self.named.asked.extend(call.named().map(|(at, function, it)| (at, function.to_owned(), it)));
        }
    }

    fn visit_assignment(&mut self, it: &Assignment) {
        it.variables().iter().for_each(|to| self.wrote(to));
    }

    fn visit_compound_assignment(&mut self, it: &CompoundAssignment) {
        self.wrote(it.lhs());
    }

    fn visit_field(&mut self, it: &Field) {
        let name = match it {
            Field::NameKey { key, .. } => Some(text_of(key)),
            Field::ExpressionKey { key: Expression::String(text), .. } => plain(text),
            _ => None,
        };
        self.named.written.extend(name);
    }

    fn visit_var(&mut self, it: &Var) {
        let Var::Name(name) = it else { return };
        match self.locals.target(&text_of(name)) {
            Some(Target::Panotti) => self.named.escapes = true,
            Some(target) => self.mention(target),
            None => self.named.escapes |= text_of(name) == "panotti",
        }
    }
}

/// `a.b["c"]` as its names.
fn path_of(value: &Expression) -> Option<Vec<String>> {
    match value {
        Expression::Parentheses { expression, .. } => path_of(expression),
        Expression::Var(Var::Name(name)) => Some(vec![text_of(name)]),
        Expression::Var(Var::Expression(it)) => {
            let Prefix::Name(first) = it.prefix() else { return None };
            let below = it.suffixes().map(|suffix| match suffix {
                Suffix::Index(Index::Dot { name, .. }) => Some(text_of(name)),
                Suffix::Index(Index::Brackets { expression: Expression::String(text), .. }) => plain(text),
                _ => None,
            });
            std::iter::once(Some(text_of(first))).chain(below).collect()
        }
        _ => None,
    }
}

/// The first argument, when it is a text that is written out.
fn first_text(args: &FunctionArgs) -> Option<(&TokenReference, String)> {
    let token = match args {
        FunctionArgs::String(text) => text,
        FunctionArgs::Parentheses { arguments, .. } => match arguments.iter().next()? {
            Expression::String(text) => text,
            _ => return None,
        },
        _ => return None,
    };
    plain(token).map(|it| (token, it))
}

/// The text of a literal without escapes.
pub fn plain(token: &TokenReference) -> Option<String> {
    plain_of(token.token())
}

pub fn plain_of(token: &Token) -> Option<String> {
    match token.token_type() {
        TokenType::StringLiteral { literal, .. } if !literal.contains('\\') => Some(literal.to_string()),
        _ => None,
    }
}

pub fn text_of(token: &TokenReference) -> String {
    token.token().to_string()
}

pub fn place(token: &TokenReference) -> Place {
    let at = token.token().start_position();
    let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
    (number(at.line()), number(at.character()))
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
