//! The paths a Rust source names, read word by word: enough of the language to see every import.

/// The top modules of the crate that `text` names, in a file `depth` modules below the root.
pub fn used_modules(text: &str, depth: usize) -> Vec<String> {
    let words = words(text);
    let mut found = Vec::new();
    let mut inline = InlineModules::default();
    let mut at = 0;
    while at < words.len() {
        inline.step(&words, at);
        let follows_path = at > 0 && words[at - 1] == "::";
        match words[at].as_str() {
            "crate" | "panotti" if !follows_path => {
                if words.get(at + 1).is_some_and(|it| it == "as") {
                    found.push("(the crate under another name)".to_owned());
                }
                found.extend(heads(&words, at + 1));
            }
            "super" if !follows_path => {
                let mut supers = 1;
                let mut next = at + 1;
                while words.get(next).is_some_and(|it| it == "::")
                    && words.get(next + 1).is_some_and(|it| it == "super")
                {
                    supers += 1;
                    next += 2;
                }
                if supers >= depth + inline.depth() {
                    found.extend(heads(&words, next));
                }
            }
            _ => {}
        }
        at += 1;
    }
    found.sort();
    found.dedup();
    found
}

/// The first names after `::` at `at`: one, or each of a group.
fn heads(words: &[String], at: usize) -> Vec<String> {
    if words.get(at).map(String::as_str) != Some("::") {
        return Vec::new();
    }
    match words.get(at + 1).map(String::as_str) {
        Some("{") => group_heads(words, at + 2),
        Some(name) if is_name(name) => vec![name.to_owned()],
        _ => Vec::new(),
    }
}

fn group_heads(words: &[String], mut at: usize) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut starts) = (1, true);
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => starts = true,
            name if depth == 1 && starts && is_name(name) => {
                names.push(name.to_owned());
                starts = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        at += 1;
    }
    names
}

/// Keeps count of `mod name { … }` around the present word.
#[derive(Default)]
struct InlineModules {
    braces: usize,
    opened_at: Vec<usize>,
}

impl InlineModules {
    fn step(&mut self, words: &[String], at: usize) {
        match words[at].as_str() {
            "{" => {
                self.braces += 1;
                if at >= 2 && words[at - 2] == "mod" {
                    self.opened_at.push(self.braces);
                }
            }
            "}" => {
                if self.opened_at.last() == Some(&self.braces) {
                    self.opened_at.pop();
                }
                self.braces = self.braces.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn depth(&self) -> usize {
        self.opened_at.len()
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_') && word != "self"
}

/// Names, `::` and single signs of a source, without comments, strings and characters.
pub fn words(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let c = bytes[at];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += block_comment(rest);
        } else if let Some(length) = raw_string(rest) {
            at += length;
        } else if c == b'"' {
            at += quoted(rest);
        } else if c == b'\'' {
            at += character_or_lifetime(rest);
        } else if c.is_ascii_alphabetic() || c == b'_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            words.push(rest[..length].to_owned());
            at += length;
        } else if rest.starts_with("::") {
            words.push("::".to_owned());
            at += 2;
        } else {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            if !c.is_ascii_whitespace() {
                words.push(rest[..length].to_owned());
            }
            at += length;
        }
    }
    words
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of `r"…"`, `r#"…"#`, `br"…"`, if one begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inner = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let head = rest.len() - inner.len();
    Some(head + inner.find(&end).map_or(inner.len(), |it| it + end.len()))
}

fn quoted(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn character_or_lifetime(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[2..].find('\'').map_or(rest.len(), |it| {
            // '\'' closes one sign later.
            if rest[2..].starts_with('\'') {
                rest[3..].find('\'').map_or(rest.len(), |it| it + 4)
            } else {
                it + 3
            }
        }),
        Some((at, c)) if rest[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 1,
    }
}
