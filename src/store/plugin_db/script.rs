//! Takes a script of several statements apart, so that each is run, and blamed, by itself.

/// One statement of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The line of its first word, from 1.
    pub(super) line: u32,
    /// Its text, from its first word to its end.
    pub(super) text: &'a str,
}

impl Piece<'_> {
    /// The line of a place in its text.
    pub(super) fn line_at(&self, offset: usize) -> u32 {
        let before = self.text.as_bytes().iter().take(offset);
        self.line + before.filter(|it| **it == b'\n').count() as u32
    }
}

/// The statements of a script; comments between them belong to none.
pub(super) fn split(script: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut open = Open::default();
    let mut at = 0;
    while at < script.len() {
        let rest = &script[at..];
        let length = token(rest);
        let text = &rest[..length];
        let is_blank = text.starts_with("--") || text.starts_with("/*") || text.trim().is_empty();
        if text == ";" && open.may_end() {
            if let Some(from) = open.from {
                pieces.push(piece(script, from, at));
            }
            open = Open::default();
        } else if !is_blank {
            open.from.get_or_insert(at);
            open.take(text);
        }
        at += length;
    }
    if let Some(from) = open.from {
        pieces.push(piece(script, from, script.len()));
    }
    pieces
}

fn piece(script: &str, from: usize, to: usize) -> Piece<'_> {
    let line = script.as_bytes()[..from].iter().filter(|it| **it == b'\n').count() as u32 + 1;
    Piece { line, text: script[from..to].trim_end() }
}

/// A statement that has begun.
#[derive(Default)]
struct Open {
    from: Option<usize>,
    words: usize,
    /// `CREATE`, perhaps `TEMP`, `TRIGGER`: its own statements end with semicolons too.
    is_trigger: bool,
    after_semicolon: bool,
    after_end: bool,
}

impl Open {
    fn take(&mut self, text: &str) {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        self.words += 1;
        match self.words {
            1 => self.is_trigger = is("create"),
            2 if is("temp") || is("temporary") => self.words = 1,
            2 => self.is_trigger &= is("trigger"),
            _ => {}
        }
        self.after_end = self.after_semicolon && is("end");
        self.after_semicolon = text == ";";
    }

    fn may_end(&self) -> bool {
        !(self.is_trigger && self.words >= 2) || self.after_end
    }
}

/// The length of the token that a text begins with: blanks, a comment, something quoted, a word, or one sign.
fn token(text: &str) -> usize {
    let until =
        |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |it| from + it + end.len());
    let run = |is: fn(char) -> bool| text.find(|it| !is(it)).unwrap_or(text.len());
    let mut chars = text.chars();
    match chars.next() {
        Some('-') if text.starts_with("--") => until("\n", 2),
        Some('/') if text.starts_with("/*") => until("*/", 2),
        Some(quote @ ('\'' | '"' | '`')) => until(quote.encode_utf8(&mut [0; 4]), 1),
        Some('[') => until("]", 1),
        Some(it) if it.is_whitespace() => run(char::is_whitespace),
        Some(it) if is_word(it) => run(is_word),
        Some(it) => it.len_utf8(),
        None => 0,
    }
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<(u32, &str)> {
        split(script).into_iter().map(|it| (it.line, it.text)).collect()
    }

    #[test]
    fn statements_end_at_their_own_semicolons() {
        let script = "-- first; second\nCREATE TABLE a (x TEXT DEFAULT ';''');\n\n/* ; */ INSERT INTO a\nVALUES ('b;c') ;;\nSELECT 1";
        assert_eq!(
            texts(script),
            [
                (2, "CREATE TABLE a (x TEXT DEFAULT ';''')"),
                (4, "INSERT INTO a\nVALUES ('b;c')"),
                (6, "SELECT 1"),
            ]
        );
        assert!(split(" ;; -- nothing\n").is_empty());
        assert_eq!(split(script)[1].line_at(20), 5);
    }

    #[test]
    fn a_trigger_is_one_statement() {
        let script = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n UPDATE a SET x = CASE WHEN 1 THEN 2 END;\n DELETE FROM b;\nEND;\nCREATE TABLE trigger_log (y);";
        let pieces = texts(script);
        assert_eq!(pieces.len(), 2, "{pieces:?}");
        assert!(pieces[0].1.ends_with("END") && pieces[1].0 == 5);
    }
}
