//! The modules as their `.d.luau` files tell them: the one source of names, signatures, permissions and documents.

mod luau;
mod meta;
mod types;

pub use crate::model::spelling::find_similar;
pub use luau::definitions;
pub use meta::meta;
pub use types::{Body, Entry, TypeDecl};

/// One module, read from its `.d.luau`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleDoc {
    /// The name under `panotti`; empty for the top level.
    pub name: String,
    /// The comment above its type.
    pub doc: String,
    /// Its functions and values, in the order of the file.
    pub functions: Vec<Entry>,
}

impl ModuleDoc {
    /// Reads the type `Panotti_<name>` of a `.d.luau`.
    pub fn read(name: &str, text: &str) -> ModuleDoc {
        let wanted = type_name(name);
        let found = TypeDecl::read_all(text).into_iter().find(|it| it.name == wanted);
        let (doc, functions) = match found {
            Some(TypeDecl { doc, body: Body::Record(entries), .. }) => (doc, entries),
            Some(it) => (it.doc, Vec::new()),
            None => (String::new(), Vec::new()),
        };
        ModuleDoc { name: name.to_owned(), doc, functions }
    }

    /// What scripts call it.
    pub fn path(&self) -> String {
        if self.name.is_empty() { "panotti".to_owned() } else { format!("panotti.{}", self.name) }
    }
}

/// The name of a module's Luau type.
pub fn type_name(module: &str) -> String {
    if module.is_empty() { "Panotti_top".to_owned() } else { format!("Panotti_{module}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_stubs_for_editors_are_fresh() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/types");
        for (name, text) in [("panotti.d.luau", definitions()), ("panotti.meta.lua", meta())] {
            let path = folder.join(name);
            if std::env::var_os("UPDATE_STUBS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                kept == text,
                "scripts/types/{name} is stale: run the tests with UPDATE_STUBS=1 and commit it"
            );
        }
    }

    #[test]
    fn the_definitions_are_well_formed_luau() {
        let text = definitions().replace("declare panotti: ", "export type Panotti = ");
        mlua::Lua::new().load(text).set_name("=panotti.d.luau").into_function().unwrap();
    }

    #[test]
    fn tags_and_comments_are_read_apart() {
        let text = "--- A module.\nexport type Panotti_m = {\n\t--- Does it.\n\t--- @waits\n\t--- @permission clips:read\n\tgo: (n: number) -> (),\n}\n";
        let doc = ModuleDoc::read("m", text);
        let go = &doc.functions[0];
        assert_eq!((doc.doc.as_str(), doc.path().as_str()), ("A module.", "panotti.m"));
        assert_eq!(
            (go.name.as_str(), go.signature.as_str(), go.doc.as_str()),
            ("go", "(n: number) -> ()", "Does it.")
        );
        assert_eq!((go.permission.as_deref(), go.waits), (Some("clips:read"), true));
    }
}
