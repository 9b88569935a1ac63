//! Reads the type declarations of a `.d.luau`, line by line.
//!
//! Understood is what the files here use: `export type Name = {`, one entry a line, `}`; or a type on one line.
//! Comment lines begin with `---`; `@waits`, `@permission <name>` and `@since <version>` stand on lines of their own,
//! each line of an example begins with `@example`.

/// A declared type.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeDecl {
    /// Its name.
    pub name: String,
    /// The comment above it.
    pub doc: String,
    /// What it is.
    pub body: Body,
    /// What is said of it besides.
    pub tags: Tags,
}

/// What a comment says on lines that begin with `@`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tags {
    /// What a plugin must have been granted, as in `recordings:read`.
    pub permission: Option<String>,
    /// Whether it may wait.
    pub waits: bool,
    /// The first version of the server that has it.
    pub since: Option<String>,
    /// A script that shows its use; lines as they stand.
    pub example: Option<String>,
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
    /// The first version of the server that has it; of a module's function without one, that of the module.
    pub since: Option<String>,
    /// A script that shows its use.
    pub example: Option<String>,
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
                let (doc, tags) = Tags::read(&comment);
                let is_open = body == "{";
                entries = is_open.then(Vec::new);
                let body = if is_open { Body::Record(Vec::new()) } else { Body::Alias(body.to_owned()) };
                all.push(TypeDecl { name: name.to_owned(), doc, body, tags });
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

impl Tags {
    /// What a comment says, and its tags.
    fn read(comment: &[&str]) -> (String, Tags) {
        let tag = |tag: &str| comment.iter().find_map(|line| line.strip_prefix(tag)).map(str::trim);
        let shown = |line: &&str| {
            line.strip_prefix("@example").map(|it| it.strip_prefix(' ').unwrap_or(it).to_owned())
        };
        let example: Vec<String> = comment.iter().filter_map(shown).collect();
        let said: Vec<&str> = comment.iter().copied().filter(|line| !line.starts_with('@')).collect();
        let tags = Tags {
            permission: tag("@permission").map(str::to_owned),
            waits: tag("@waits").is_some(),
            since: tag("@since").map(str::to_owned),
            example: (!example.is_empty()).then(|| example.join("\n")),
        };
        (said.join("\n"), tags)
    }
}

impl Entry {
    fn read(name: &str, signature: &str, comment: &[&str]) -> Entry {
        let (doc, tags) = Tags::read(comment);
        Entry::new(name, signature, &doc, tags)
    }

    /// An entry that is put together.
    pub fn new(name: &str, signature: &str, doc: &str, tags: Tags) -> Entry {
        let Tags { permission, waits, since, example } = tags;
        let (name, signature, doc) = (name.to_owned(), signature.to_owned(), doc.to_owned());
        Entry { name, signature, doc, permission, waits, since, example }
    }

    /// Whether it is called, and no value.
    pub fn is_function(&self) -> bool {
        self.signature.starts_with('(')
    }

    /// The comment as people read it in an editor: what it does, what it needs, whether it waits, an example.
    pub fn full_doc(&self) -> String {
        let mut doc = self.doc.clone();
        if self.waits {
            doc.push_str("\nMay wait.");
        }
        if let Some(permission) = &self.permission {
            doc.push_str(&format!("\nNeeds the permission `{permission}`."));
        }
        if let Some(example) = &self.example {
            doc.push_str(&format!("\n\n```lua\n{example}\n```"));
        }
        doc
    }
}
