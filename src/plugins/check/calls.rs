//! Calls of the host's functions that are written out: how many arguments they have, which host, program or type they
//! name, and what their handlers read of what they are given.

use std::collections::HashMap;
use std::sync::LazyLock;

use full_moon::ast::{BinOp, Call, Expression, Field, FunctionArgs, Index, Prefix, Suffix};
use full_moon::tokenizer::TokenReference;

use crate::lua::api::DOCS;
use crate::lua::api::stubs::{Body, Signature, all_types};

use super::fields;
use super::names::{Locals, Place, place, plain, text_of};

/// Every function of the host by its path, `panotti.on.<hook>` among them.
static FUNCTIONS: LazyLock<HashMap<String, Signature>> = LazyLock::new(|| {
    let own = DOCS.iter().flat_map(|it| it.entries());
    let own = own.filter_map(|(path, it)| Some((path, Signature::read(&it.signature)?)));
    let hooks = all_types().into_iter().find(|it| it.name == "Panotti_hooks");
    let hooks = match hooks.map(|it| it.body) {
        Some(Body::Record(entries)) => entries,
        _ => Vec::new(),
    };
    let hooks = hooks
        .into_iter()
        .filter_map(|it| Some((format!("panotti.on.{}", it.name), Signature::read(&it.signature)?)));
    own.chain(hooks).collect()
});

/// What a handler of a hook is given.
pub fn handler_of(hook: &str) -> Option<&'static Signature> {
    FUNCTIONS.get(&format!("panotti.on.{hook}"))?.params.first()?.kind.function()
}

/// Something odd about a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Odd {
    /// Where.
    pub place: Place,
    /// Whether it fails when it comes to this place; else it is probably not meant so.
    pub fails: bool,
    /// `arguments` or `unknown-field`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// A field that nobody in the plugin may write, or it is not odd at all.
    pub unless_written: Option<String>,
}

/// What a call names that a permission may not cover.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// A URL, or the part of one that tells its host.
    Url(String),
    /// A program.
    Tool(String),
    /// The type of an event.
    Event(String),
}

/// A call of one of the host's functions.
pub struct HostCall<'a> {
    path: String,
    token: &'a TokenReference,
    args: &'a FunctionArgs,
}

impl<'a> HostCall<'a> {
    /// The call that an expression makes first, if it is one of the host's.
    pub fn read(
        locals: &Locals,
        prefix: &'a Prefix,
        suffixes: impl Iterator<Item = &'a Suffix>,
    ) -> Option<Self> {
        let Prefix::Name(first) = prefix else { return None };
        let mut path = locals.path(&text_of(first))?;
        let mut token = first;
        for suffix in suffixes {
            match suffix {
                Suffix::Index(Index::Dot { name, .. }) => {
                    path.push(text_of(name));
                    token = name;
                }
                Suffix::Index(Index::Brackets { expression: Expression::String(text), .. }) => {
                    path.push(plain(text)?);
                    token = text;
                }
                Suffix::Call(Call::AnonymousCall(args)) => {
                    return Some(HostCall { path: path.join("."), token, args });
                }
                _ => return None,
            }
        }
        None
    }

    /// What is odd about it, as far as that is sure.
    pub fn odd(&self) -> Vec<Odd> {
        let Some(signature) = FUNCTIONS.get(&self.path) else { return Vec::new() };
        let mut odd = Vec::new();
        odd.extend(self.count(signature).map(|message| Odd {
            place: place(self.token),
            fails: true,
            code: "arguments",
            message,
            unless_written: None,
        }));
        for (argument, param) in self.arguments().into_iter().zip(&signature.params) {
            if let (Expression::Function(function), Some(handler)) = (argument, param.kind.function()) {
                odd.extend(fields::unknown(function.body(), handler));
            }
        }
        odd
    }

    /// What it names, where that is written out.
    pub fn named(&self) -> Option<(Place, &str, Asked)> {
        let arguments = self.arguments();
        let first = arguments.first().copied();
        let (token, named) = match self.path.as_str() {
            "panotti.http.get" | "panotti.http.post" => url(first?)?,
            "panotti.http.request" => url(self.field("url")?)?,
            "panotti.process.run" => text(first?).map(|(token, it)| (token, Asked::Tool(it)))?,
            "panotti.events.publish" => text(first?).map(|(token, it)| (token, Asked::Event(it)))?,
            _ => return None,
        };
        Some((place(token), &self.path, named))
    }

    /// What is wrong with the number of arguments.
    fn count(&self, signature: &Signature) -> Option<String> {
        let (fewest, most) = signature.arguments();
        let (given, exact) = match self.args {
            FunctionArgs::Parentheses { arguments, .. } => {
                let open = arguments.iter().last().is_some_and(is_open);
                // Nils at the end are as good as nothing.
                let trailing = arguments.iter().collect::<Vec<_>>().into_iter().rev();
                let nils = trailing.take_while(|it| is_nil(it)).count();
                (arguments.len() - nils - usize::from(open), !open)
            }
            _ => (1, true),
        };
        match most {
            Some(most) if given > most => {
                Some(format!("{} takes {most} {}, got {given}", self.path, arguments_word(most)))
            }
            _ if exact && given < fewest => {
                let names: Vec<&str> =
                    signature.params[given..fewest].iter().map(|it| it.name.as_str()).collect();
                let at_least = if most == Some(fewest) { "" } else { "at least " };
                let word = arguments_word(fewest);
                Some(format!(
                    "{} takes {at_least}{fewest} {word}, got {given}: {} is missing",
                    self.path,
                    names.join(", ")
                ))
            }
            _ => None,
        }
    }

    fn arguments(&self) -> Vec<&'a Expression> {
        match self.args {
            FunctionArgs::Parentheses { arguments, .. } => arguments.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// A field of the table that is its only argument.
    fn field(&self, wanted: &str) -> Option<&'a Expression> {
        let table = match self.args {
            FunctionArgs::TableConstructor(table) => table,
            FunctionArgs::Parentheses { arguments, .. } => match arguments.iter().next()? {
                Expression::TableConstructor(table) => table,
                _ => return None,
            },
            _ => return None,
        };
        table.fields().iter().find_map(|it| match it {
            Field::NameKey { key, value, .. } if text_of(key) == wanted => Some(value),
            _ => None,
        })
    }
}

fn arguments_word(count: usize) -> &'static str {
    if count == 1 { "argument" } else { "arguments" }
}

/// Whether an expression at the end may be any number of values.
fn is_open(it: &Expression) -> bool {
    match it {
        Expression::FunctionCall(_) => true,
        Expression::Symbol(token) => text_of(token) == "...",
        _ => false,
    }
}

fn is_nil(it: &Expression) -> bool {
    matches!(it, Expression::Symbol(token) if text_of(token) == "nil")
}

fn text(it: &Expression) -> Option<(&TokenReference, String)> {
    match it {
        Expression::String(token) => plain(token).map(|it| (token, it)),
        Expression::Parentheses { expression, .. } => text(expression),
        _ => None,
    }
}

/// A URL, or as much of one that is put together as tells its host: `"https://api.example/notes/" .. id`.
fn url(it: &Expression) -> Option<(&TokenReference, Asked)> {
    let (whole, begins) = match it {
        Expression::BinaryOperator { lhs, binop: BinOp::TwoDots(_), .. } => (false, lhs.as_ref()),
        it => (true, it),
    };
    let (token, text) = text(begins)?;
    let host_ends = || text.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
    (whole || host_ends()).then(|| (token, Asked::Url(text.clone())))
}
