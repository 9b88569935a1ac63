//! Which fields of their first argument the functions of a script look at, from its text.
//!
//! Said only of what is certain: wherever the argument's name stands in the function, a name of a field follows. Whoever passes
//! it on, goes through it, returns it or calls a method of it may see all of it.

use std::collections::BTreeSet;

use full_moon::ast::luau::ConstFunction;
use full_moon::ast::{AnonymousFunction, FunctionBody, FunctionDeclaration, LocalFunction, Parameter};
use full_moon::node::Node;
use full_moon::tokenizer::{Symbol, TokenReference, TokenType};
use full_moon::visitors::Visitor;

use crate::lua::FieldsRead;

use super::names::{in_deep_stack, place, plain, text_of};

/// For all functions of a script of which it is certain.
pub fn read_fields(text: &str) -> Vec<FieldsRead> {
    in_deep_stack(|| {
        let mut reader = Reader::default();
        reader.visit_ast(&full_moon::parse(text).ok()?);
        Some(reader.certain())
    })
    .unwrap_or_default()
}

#[derive(Default)]
struct Reader {
    /// The line of each function, and what it reads, if that is known.
    found: Vec<(u32, Option<BTreeSet<String>>)>,
    /// A function may begin in another line than that of its keyword.
    is_odd: bool,
}

impl Reader {
    fn certain(self) -> Vec<FieldsRead> {
        if self.is_odd {
            return Vec::new();
        }
        let begin_in = |line: u32| self.found.iter().filter(|it| it.0 == line).count();
        let alone = self.found.iter().filter(|it| begin_in(it.0) == 1);
        let known = alone.filter_map(|(line, fields)| Some((*line, fields.clone()?)));
        known.map(|(line, fields)| FieldsRead { line, fields: fields.into_iter().collect() }).collect()
    }

    fn function(&mut self, keyword: &TokenReference, before: Option<&TokenReference>, body: &FunctionBody) {
        let line = place(keyword).0;
        self.is_odd |= before.is_some_and(|it| place(it).0 != line);
        self.found.push((line, fields_of(body)));
    }
}

impl Visitor for Reader {
    fn visit_anonymous_function(&mut self, it: &AnonymousFunction) {
        self.is_odd |= it.attributes().next().is_some();
        self.function(it.function_token(), None, it.body());
    }

    fn visit_local_function(&mut self, it: &LocalFunction) {
        self.is_odd |= it.attributes().next().is_some();
        self.function(it.function_token(), Some(it.local_token()), it.body());
    }

    fn visit_const_function(&mut self, it: &ConstFunction) {
        self.is_odd |= it.attributes().next().is_some();
        self.function(it.function_token(), Some(it.const_token()), it.body());
    }

    fn visit_function_declaration(&mut self, it: &FunctionDeclaration) {
        self.is_odd |= it.attributes().next().is_some();
        self.function(it.function_token(), None, it.body());
    }
}

/// The fields of its first argument that stand in the body of a function; none where it may see all.
fn fields_of(body: &FunctionBody) -> Option<BTreeSet<String>> {
    let name = match body.parameters().iter().next() {
        None => return Some(BTreeSet::new()),
        Some(Parameter::Name(name)) => text_of(name),
        Some(_) => return None,
    };
    let tokens = in_order(body.block().tokens());
    let mut fields = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_member = at > 0 && [Symbol::Dot, Symbol::Colon].iter().any(|it| is(tokens[at - 1], *it));
        if is_member
            || !matches!(token.token().token_type(), TokenType::Identifier { .. })
            || text_of(token) != name
        {
            continue;
        }
        fields.insert(field_after(tokens.get(at + 1..)?)?);
    }
    Some(fields)
}

/// The tree has brackets before what is between them.
fn in_order<'a>(tokens: impl Iterator<Item = &'a TokenReference>) -> Vec<&'a TokenReference> {
    let mut tokens: Vec<&TokenReference> = tokens.collect();
    tokens.sort_by_key(|it| it.token().start_position().bytes());
    tokens
}

/// The field that is named right behind a name.
fn field_after(rest: &[&TokenReference]) -> Option<String> {
    match rest {
        [dot, name, ..] if is(dot, Symbol::Dot) => Some(text_of(name)),
        [open, name, close, ..] if is(open, Symbol::LeftBracket) && is(close, Symbol::RightBracket) => {
            plain(name)
        }
        _ => None,
    }
}

fn is(token: &TokenReference, symbol: Symbol) -> bool {
    matches!(token.token().token_type(), TokenType::Symbol { symbol: it } if *it == symbol)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plugins::discovery::snapshot;

    /// What is said of the function in the first line.
    fn of_first(text: &str) -> Option<Vec<String>> {
        read_fields(text).into_iter().find(|it| it.line == 1).map(|it| it.fields)
    }

    #[track_caller]
    fn reads(text: &str, fields: &[&str]) {
        assert_eq!(of_first(text), Some(fields.iter().map(|it| (*it).to_owned()).collect()), "{text}");
    }

    #[test]
    fn fields_that_are_named_are_read() {
        reads("on(function(it) return it.b .. it['a'] end)", &["a", "b"]);
        reads("on(function() return 1 end)", &[]);
        reads("on(function(it, ctx) return ctx end)", &[]);
        reads("local function f(it: any): string\n return it.name:upper() end", &["name"]);
        reads("function M.f(it)\n it.tags[1] = 'x'; return { tags = it.tags } end", &["tags"]);
        reads(
            "on(function(it)\n local function inner() return it.deep.deeper end return inner end)",
            &["deep"],
        );
        reads("on(function(it) return `of {it.id}` end)", &["id"]);
        reads("on(function(it) return other.it, other:it() end)", &[]);
        reads("on(function(it) it.n += 1 if it.a then return end end)", &["a", "n"]);
    }

    /// As names are looked for among the tokens of the tree, all of them must be there, in their order.
    #[test]
    fn no_token_of_a_script_is_missed() {
        let odd = "--!strict\ntype T<K = any> = { [K]: number, read a: string? }\nexport type F = <A...>(A...) -> (T, ...any)\n\
             local function f<A>(a: A, ...: number): (A, number)\n  local b: typeof(a) = if a then a elseif b then b else (a :: any)\n  \
             for k, v in pairs(a) do a.b[k] //= v; continue end\n  for i = 1, 2, 3 do break end\n  \
             while a do repeat a:b{ a, [a] = a; a = a } until a end\n  f'x' (a)(a) [a] = `{a} b {`{a.b}`} {f(a)}`\n  \
             local g = -a .. not a .. #a\n  return a, ...\nend\nfunction f.a.b:c(a) do return a end end\n";
        let mut texts = vec![odd.to_owned()];
        for folder in ["user_plugins", "benches/load/plugins"] {
            for plugin in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
                let Ok(snapshot) = snapshot(&plugin.unwrap().path()) else { continue };
                let scripts = snapshot.files.iter().filter(|(path, _)| path.ends_with(".lua"));
                texts.extend(scripts.map(|(_, bytes)| String::from_utf8(bytes.to_vec()).unwrap()));
            }
        }
        assert!(texts.len() > 5);
        for text in texts {
            let tree = full_moon::parse(&text).unwrap_or_else(|it| panic!("{it:?}\n{text}"));
            let told: String = in_order(tree.nodes().tokens()).into_iter().map(ToString::to_string).collect();
            let spaceless = |it: &str| it.split_whitespace().collect::<String>();
            let eof = tree.eof().to_string();
            assert_eq!(spaceless(&(told + &eof)), spaceless(&text));
        }
    }

    #[test]
    fn whoever_may_see_all_is_given_all() {
        for body in [
            "(it) return it",
            "(it) log(it)",
            "(it) for k in pairs(it) do end",
            "(it) return it[key]",
            "(it) return it['a\\n']",
            "(it) it:method()",
            "(it) local copy = it",
            "(it) return #it",
            "(it) return `{it}`",
            "(it) it = nil",
            "(it) return { it = 1 }",
            "(it) return it :: any",
            "(it) return function() return it end",
            "(it) return it == nil",
            "(...) return ...",
        ] {
            assert_eq!(of_first(&format!("on(function{body} end)")), None, "{body}");
        }
    }

    #[test]
    fn where_it_is_not_clear_which_function_is_meant_nothing_is_said() {
        assert_eq!(read_fields("on(function(a) return a.x end, function(a) return a end)"), []);
        assert_eq!(read_fields("local\nfunction f(a) return a.x end"), []);
        assert_eq!(read_fields("@native\nlocal function f(a) return a.x end"), []);
        assert_eq!(read_fields("on(function(a"), []);
    }
}
