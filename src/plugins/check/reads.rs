//! Which fields of their first argument, and which within these, the functions of a script look at, from its text.
//!
//! Said only of what is certain: wherever the argument's name stands in the function, a name of a field follows. Whoever passes
//! it on, goes through it, returns it or calls a method of it may see all of it.

use std::collections::{BTreeMap, BTreeSet};

use full_moon::LuaVersion;
use full_moon::ast::luau::ConstFunction;
use full_moon::ast::{AnonymousFunction, FunctionBody, FunctionDeclaration, LocalFunction, Parameter};
use full_moon::tokenizer::{Lexer, LexerResult, Symbol, Token, TokenReference, TokenType};
use full_moon::visitors::Visitor;
use parking_lot::Mutex;

use crate::lua::{FieldRead, FieldsRead};

use super::names::{in_deep_stack, place, plain_of, text_of};

/// Larger files are not worth the time it takes.
const MOST_BYTES: usize = 64 << 10;

/// For all functions of a script of which it is certain.
pub fn read_fields(text: &str) -> Vec<FieldsRead> {
    // One at a time: it is done for what runs already.
    static TURN: Mutex<()> = Mutex::new(());
    if text.len() > MOST_BYTES || has_lone_return(text) {
        return Vec::new();
    }
    let _turn = TURN.lock();
    let read = in_deep_stack(|| {
        let tree = full_moon::parse(text).ok()?;
        let mut reader = Reader { tokens: tokens_of(text)?, found: BTreeMap::new(), is_odd: false };
        reader.visit_ast(&tree);
        reader.certain()
    });
    read.unwrap_or_default()
}

/// There a comment ends for Luau, and not for who reads here.
fn has_lone_return(text: &str) -> bool {
    text.split('\r').skip(1).any(|it| !it.starts_with('\n'))
}

/// All that is neither space nor comment, in its order; none when it is not certain where texts with values in them end.
fn tokens_of(text: &str) -> Option<Vec<Token>> {
    let LexerResult::Ok(mut tokens) = Lexer::new(text, LuaVersion::new()).collect() else { return None };
    tokens.retain(|it| !it.token_type().is_trivia());
    let is_unclear = |it: &Token| matches!(it.token_type(), TokenType::InterpolatedString { literal, .. } if literal.contains("\\z"));
    (!tokens.iter().any(is_unclear)).then_some(tokens)
}

/// Fields by name, each with the fields within it; none where all of it may be seen.
type Read = BTreeMap<String, Option<BTreeSet<String>>>;

struct Reader {
    tokens: Vec<Token>,
    /// What the functions of a line read, where that is known.
    found: BTreeMap<u32, Vec<Option<Read>>>,
    /// A function may begin in another line than that of its keyword.
    is_odd: bool,
}

impl Reader {
    fn certain(self) -> Option<Vec<FieldsRead>> {
        let of_line = |(line, mut all): (u32, Vec<Option<Read>>)| match all.pop() {
            Some(Some(fields)) if all.is_empty() => {
                let all = fields.into_iter().map(|(name, inside)| FieldRead {
                    name,
                    inside: inside.map(|it| it.into_iter().map(whole).collect()),
                });
                Some(FieldsRead { line, fields: all.collect() })
            }
            _ => None,
        };
        (!self.is_odd).then(|| self.found.into_iter().filter_map(of_line).collect())
    }

    fn function(&mut self, keyword: &TokenReference, before: Option<&TokenReference>, body: &FunctionBody) {
        self.is_odd |= before.is_some_and(|it| place(it).0 != place(keyword).0);
        let fields = match body.parameters().iter().next() {
            None => Some(Read::new()),
            Some(Parameter::Name(name)) => fields_of(&text_of(name), self.within(body)),
            Some(_) => None,
        };
        self.note(keyword, fields);
    }

    fn note(&mut self, keyword: &TokenReference, fields: Option<Read>) {
        self.found.entry(place(keyword).0).or_default().push(fields);
    }

    /// What stands in the body of a function, behind its parameters.
    fn within(&self, body: &FunctionBody) -> &[Token] {
        let at = |it: &TokenReference| it.token().start_position().bytes();
        let (from, to) = (at(body.parameters_parentheses().tokens().1), at(body.end_token()));
        let before = |byte| self.tokens.partition_point(|it| it.start_position().bytes() < byte);
        self.tokens.get(before(from)..before(to)).unwrap_or_default()
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
        match it.name().method_name() {
            None => self.function(it.function_token(), None, it.body()),
            // Its first argument has a name that does not stand there.
            Some(_) => self.note(it.function_token(), fields_of("self", self.within(it.body()))),
        }
    }
}

/// The fields of a function's first argument, which has this name, that stand in its body; none where it may see all.
fn fields_of(name: &str, body: &[Token]) -> Option<Read> {
    let mut fields = Read::new();
    for (at, token) in body.iter().enumerate() {
        let is_name =
            matches!(token.token_type(), TokenType::Identifier { identifier } if **identifier == *name);
        let is_member = at > 0 && [Symbol::Dot, Symbol::Colon].iter().any(|it| is(&body[at - 1], *it));
        if is_name && !is_member {
            let (field, rest) = field_after(&body[at + 1..])?;
            let inside = fields.entry(field).or_insert_with(|| Some(BTreeSet::new()));
            match (inside.as_mut(), field_after(rest)) {
                (Some(names), Some((inner, _))) => _ = names.insert(inner),
                _ => *inside = None,
            }
        }
    }
    Some(fields)
}

fn whole(name: String) -> FieldRead {
    FieldRead { name, inside: None }
}

/// The field that is named right behind a name, and what comes behind it.
fn field_after(rest: &[Token]) -> Option<(String, &[Token])> {
    match rest {
        [dot, name, rest @ ..] if is(dot, Symbol::Dot) => Some((name.to_string(), rest)),
        [open, name, close, rest @ ..]
            if is(open, Symbol::LeftBracket) && is(close, Symbol::RightBracket) =>
        {
            // Luau leaves some ends of lines out.
            Some((plain_of(name).filter(|it| !it.contains(['\n', '\r']))?, rest))
        }
        _ => None,
    }
}

fn is(token: &Token, symbol: Symbol) -> bool {
    matches!(token.token_type(), TokenType::Symbol { symbol: it } if *it == symbol)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plugins::discovery::snapshot;

    /// What is said of the function in the first line: `a` is all of it, `a.b` one field of it.
    fn of_first(text: &str) -> Option<Vec<String>> {
        let found = read_fields(text).into_iter().find(|it| it.line == 1)?;
        let paths = |it: FieldRead| match it.inside {
            None => vec![it.name],
            Some(inside) => inside.iter().map(|inner| format!("{}.{}", it.name, inner.name)).collect(),
        };
        Some(found.fields.into_iter().flat_map(paths).collect())
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
            "on(function(it) return it.headers['x-a'] or it.headers.accept:upper() end)",
            &["headers.accept", "headers.x-a"],
        );
        reads("on(function(it) it.a['d'] = 1 return it.a.b.c end)", &["a.b", "a.d"]);
        reads("on(function(it) return it.a.b, f(it.a) end)", &["a"]);
        reads("on(function(it) return it.a[key], it.a.b end)", &["a"]);
        reads(
            "on(function(it)\n local function inner() return it.deep.deeper end return inner end)",
            &["deep.deeper"],
        );
        reads("on(function(it) return `of {it.id}` end)", &["id"]);
        reads("function M:f(it)\n return self.id, it end", &["id"]);
        reads("on(function(it) return other.it, other:it() end)", &[]);
        reads("on(function(it) it.n += 1 if it.a then return end end)", &["a", "n"]);
    }

    /// Names are looked for among them.
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
            full_moon::parse(&text).unwrap_or_else(|it| panic!("{it:?}\n{text}"));
            let all = Lexer::new(&text, LuaVersion::new()).collect().unwrap();
            assert_eq!(all.iter().map(ToString::to_string).collect::<String>(), text);
            assert!(!tokens_of(&text).unwrap().is_empty());
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
            "(it) return it[ [[\na]] ]",
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
            "(it, it) return it.x, it",
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
        assert_eq!(
            read_fields("on(function(a) local t = a.x -- no\r audit(a)\n end)"),
            [],
            "Luau ends the comment there"
        );
        assert_eq!(read_fields("on(function(a) return a.x, `a\\z{f(a)}` end)"), []);
        assert_eq!(
            read_fields(&format!("on(function(a) return a.x, {{ {} }} end)", "1, ".repeat(MOST_BYTES))),
            []
        );
        reads("on(function(a)\r\n return a.x end)\r\n", &["x"]);
    }
}
