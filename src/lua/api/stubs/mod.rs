//! The modules as their `.d.luau` files tell them: the one source of names, signatures, permissions and documents.

mod luau;
mod meta;
mod page;
mod seal;
mod signature;
mod types;

pub use crate::model::spelling::find_similar;
pub use luau::{all_types, definitions};
pub use meta::meta;
pub use page::page;
pub use seal::{is_own, sealed};
pub use signature::{Kind, Param, Signature};
pub use types::{Body, Entry, Tags, TypeDecl};

/// One module, read from its `.d.luau`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModuleDoc {
    /// The name under `panotti`; empty for the top level.
    pub name: String,
    /// The comment above its type.
    pub doc: String,
    /// Its functions and values, in the order of the file.
    pub functions: Vec<Entry>,
    /// Itself, when it is a function and no table of them.
    pub whole: Option<Entry>,
}

impl ModuleDoc {
    /// Reads the type `Panotti_<name>` of a `.d.luau`.
    pub fn read(name: &str, text: &str) -> ModuleDoc {
        let wanted = type_name(name);
        let found = TypeDecl::read_all(text).into_iter().find(|it| it.name == wanted);
        let mut module = ModuleDoc { name: name.to_owned(), ..ModuleDoc::default() };
        if let Some(TypeDecl { doc, body, tags, .. }) = found {
            module.doc = doc;
            match body {
                Body::Record(entries) => module.functions = entries,
                Body::Alias(signature) => {
                    module.whole = Some(Entry::new(name, &signature, &module.doc, tags.clone()));
                }
            }
            for function in &mut module.functions {
                function.since = function.since.take().or_else(|| tags.since.clone());
            }
        }
        module
    }

    /// What scripts call it.
    pub fn path(&self) -> String {
        if self.name.is_empty() { "panotti".to_owned() } else { format!("panotti.{}", self.name) }
    }

    /// Everything in it with what scripts call it; a module that is a function is that function alone.
    pub fn entries(&self) -> impl Iterator<Item = (String, &Entry)> {
        let path = self.path();
        let own = self.whole.iter().map({
            let path = path.clone();
            move |it| (path.clone(), it)
        });
        own.chain(self.functions.iter().map(move |it| (format!("{path}.{}", it.name), it)))
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
    fn the_stubs_for_editors_and_the_page_of_the_api_are_fresh() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let pages = [
            ("scripts/types/panotti.d.luau", definitions()),
            ("scripts/types/panotti.meta.lua", meta()),
            ("docs/lua-api.md", page()),
        ];
        for (name, text) in pages {
            let path = root.join(name);
            if std::env::var_os("UPDATE_STUBS").is_some() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(kept == text, "{name} is stale: run the tests with UPDATE_STUBS=1 and commit it");
        }
    }

    #[test]
    fn the_definitions_are_well_formed_luau() {
        let text = definitions().replace("declare panotti: ", "export type Panotti = ");
        mlua::Lua::new().load(text).set_name("=panotti.d.luau").into_function().unwrap();
    }

    #[test]
    fn tags_and_comments_are_read_apart() {
        let text = "--- A module.\n--- @since 0.1.0\nexport type Panotti_m = {\n\t--- Does it.\n\t--- @waits\n\t--- @permission clips:read\n\t--- @example if x then\n\t--- @example \tgo(1)\n\t--- @example end\n\tgo: (n: number) -> (),\n}\n";
        let doc = ModuleDoc::read("m", text);
        let go = &doc.functions[0];
        assert_eq!((doc.doc.as_str(), doc.path().as_str()), ("A module.", "panotti.m"));
        assert_eq!(
            (go.name.as_str(), go.signature.as_str(), go.doc.as_str()),
            ("go", "(n: number) -> ()", "Does it.")
        );
        assert_eq!((go.permission.as_deref(), go.waits), (Some("clips:read"), true));
        assert_eq!(go.since.as_deref(), Some("0.1.0"), "that of its module");
        assert_eq!(go.example.as_deref(), Some("if x then\n\tgo(1)\nend"));
        let once = ModuleDoc::read("o", "--- Once.\n--- @waits\nexport type Panotti_o = () -> ()\n");
        let all: Vec<_> = once.entries().map(|(path, it)| (path, it.doc.as_str(), it.waits)).collect();
        assert_eq!(all, [("panotti.o".to_owned(), "Once.", true)]);
    }
}
