//! Reads the type declarations of a `.d.luau`, line by line.
//!
//! Understood is what the files here use: `export type Name = {`, one entry a line, `}`; or a type on one line.
//! Comment lines begin with `---`; `@waits` and `@permission <name>` stand on lines of their own.

/// A declared type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeDecl {
    /// Its name.
    pub name: String,
    /// The comment above it.
    pub doc: String,
    /// What it is.
    pub body: Body,
}

/// What a declared type is.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A table with these entries.
    Record(Vec<Entry>),
    /// Another type.
    Alias(String),
}

/// One entry of a table: for modules, a function or value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its Luau type.
    pub signature: String,
    /// What it does, sentences joined by line breaks.
    pub doc: String,
    /// What a plugin must have been granted, as in `recordings:read`.
    pub permission: Option<String>,
    /// Whether it may wait.
    pub waits: bool,
}

impl TypeDecl {
    /// All declarations of a file.
    pub fn read_all(text: &str) -> Vec<TypeDecl> {
        let mut all: Vec<TypeDecl> = Vec::new();
        let mut comment = Vec::new();
        let mut entries: Option<Vec<Entry>> = None;
        for line in text.lines() {
            if let Some(said) = line.trim().strip_prefix("---") {
                comment.push(said.trim());
                continue;
            }
            if let Some((name, body)) = line.strip_prefix("export type ").and_then(|it| it.split_once(" = "))
            {
                let doc = comment.join("\n");
                let is_open = body == "{";
                entries = is_open.then(Vec::new);
                let body = if is_open { Body::Record(Vec::new()) } else { Body::Alias(body.to_owned()) };
                all.push(TypeDecl { name: name.to_owned(), doc, body });
            } else if line == "}" {
                if let (Some(entries), Some(last)) = (entries.take(), all.last_mut()) {
                    last.body = Body::Record(entries);
                }
            } else if let (Some(entries), Some((name, signature))) =
                (entries.as_mut(), line.trim().split_once(": "))
            {
                entries.push(Entry::read(name, signature.trim_end_matches(','), &comment));
            }
            comment.clear();
        }
        all
    }
}

impl Entry {
    fn read(name: &str, signature: &str, comment: &[&str]) -> Entry {
        let tag = |tag: &str| comment.iter().find_map(|line| line.strip_prefix(tag)).map(str::trim);
        let said: Vec<_> = comment.iter().copied().filter(|line| !line.starts_with('@')).collect();
        Entry {
            name: name.to_owned(),
            signature: signature.to_owned(),
            doc: said.join("\n"),
            permission: tag("@permission").map(str::to_owned),
            waits: tag("@waits").is_some(),
        }
    }

    /// The comment as people read it: what it does, what it needs, whether it waits.
    pub fn full_doc(&self) -> String {
        let mut doc = self.doc.clone();
        if self.waits {
            doc.push_str("\nMay wait.");
        }
        if let Some(permission) = &self.permission {
            doc.push_str(&format!("\nNeeds the permission `{permission}`."));
        }
        doc
    }
}
