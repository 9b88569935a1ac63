//! The modules as their `.d.luau` files tell them: the one source of names, signatures, permissions and documents.

use std::fmt::Write;

/// One module, read from its `.d.luau`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleDoc {
    /// The name under `panotti`; empty for the top level.
    pub name: String,
    /// The comment above its type.
    pub doc: String,
    /// Its functions and values, in the order of the file.
    pub functions: Vec<FunctionDoc>,
}

/// One function (or value) of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionDoc {
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

impl ModuleDoc {
    /// Reads a `.d.luau`: the type `Panotti_<name>` and the comments above it and its entries.
    ///
    /// Comment lines begin with `---`; `@waits` and `@permission <name>` stand on lines of their own.
    pub fn read(name: &str, text: &str) -> ModuleDoc {
        let mut module = ModuleDoc { name: name.to_owned(), doc: String::new(), functions: Vec::new() };
        let head = format!("export type {} = {{", type_name(name));
        let mut comment = Vec::new();
        let mut inside = false;
        for line in text.lines() {
            if let Some(said) = line.trim().strip_prefix("---") {
                comment.push(said.trim());
                continue;
            }
            if line == head {
                inside = true;
                module.doc = comment.join("\n");
            } else if line == "}" {
                inside = false;
            } else if inside && let Some((entry, signature)) = line.trim().split_once(": ") {
                module.functions.push(FunctionDoc::read(entry, signature.trim_end_matches(','), &comment));
            }
            comment.clear();
        }
        module
    }

    /// What scripts call it.
    pub fn path(&self) -> String {
        if self.name.is_empty() { "panotti".to_owned() } else { format!("panotti.{}", self.name) }
    }
}

impl FunctionDoc {
    fn read(name: &str, signature: &str, comment: &[&str]) -> FunctionDoc {
        let tag = |tag: &str| comment.iter().find_map(|line| line.strip_prefix(tag)).map(str::trim);
        let said: Vec<_> = comment.iter().copied().filter(|line| !line.starts_with('@')).collect();
        FunctionDoc {
            name: name.to_owned(),
            signature: signature.to_owned(),
            doc: said.join("\n"),
            permission: tag("@permission").map(str::to_owned),
            waits: tag("@waits").is_some(),
        }
    }
}

/// The name of a module's Luau type.
pub fn type_name(module: &str) -> String {
    if module.is_empty() { "Panotti_top".to_owned() } else { format!("Panotti_{module}") }
}

/// The known name that `given` probably stands for.
pub fn find_similar<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|it| (strsim::damerau_levenshtein(given, it), it))
        .filter(|(distance, it)| *distance <= 1.max(it.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, it)| it)
}

/// A comment block at `indent`.
pub(super) fn comment(out: &mut String, indent: &str, doc: &str) {
    for line in doc.lines() {
        let _ = writeln!(out, "{indent}--- {line}");
    }
}
