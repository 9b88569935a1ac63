//! Fields of the server into Lua, without any JSON between.

use mlua::{Either, Lua, Table};

use crate::hooks::{Field, Fields};

use super::words::{Word, Words};

/// What a field becomes; each kind goes to the VM's stack directly.
type Made<'a> = Either<&'a str, Either<f64, Table>>;

/// Makes the table of `fields`; one that is not there is nil.
///
/// # Errors
/// When the VM's memory is full.
pub fn fields_to_lua(lua: &Lua, words: &Words, fields: &dyn Fields) -> mlua::Result<Table> {
    let fields = fields.fields();
    let mut made: Vec<(Word<'_>, Made<'_>)> = Vec::with_capacity(fields.len());
    for (name, field) in fields {
        let table = match field {
            Field::Null => continue,
            Field::Text(text) => {
                made.push((words.get(lua, name), Either::Left(text)));
                continue;
            }
            Field::Whole(number) => Either::Left(number.into()),
            Field::Number(number) => Either::Left(number),
            Field::Texts(texts) => {
                let texts = texts.iter().map(|(name, text)| (words.get(lua, name), text));
                Either::Right(lua.create_table_from(texts)?)
            }
            Field::Fields(fields) => Either::Right(fields_to_lua(lua, words, fields)?),
        };
        made.push((words.get(lua, name), Either::Right(table)));
    }
    lua.create_table_from(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::Texts;
    use crate::lua::convert::{Budget, Shapes, from_lua};

    struct Thing(Texts);

    impl Fields for Thing {
        fn fields(&self) -> Vec<(&'static str, Field<'_>)> {
            let (status, duration) = (Field::Whole(200), Field::Number(0.5));
            let (path, none) = (Field::Text("/a"), Field::Null);
            vec![
                ("status", status),
                ("duration", duration),
                ("path", path),
                ("none", none),
                ("headers", Field::Texts(&self.0)),
            ]
        }
    }

    struct Outer(Thing);

    impl Fields for Outer {
        fn fields(&self) -> Vec<(&'static str, Field<'_>)> {
            vec![("request", Field::Fields(&self.0))]
        }
    }

    #[test]
    fn fields_become_the_tables_that_their_json_would() {
        let (lua, words) = (Lua::new(), Words::default());
        let shapes = Shapes::install(&lua).unwrap();
        let outer = Outer(Thing(Texts::from_iter([("host", "h"), ("x-\u{e4}", "\u{fc}")])));
        for _ in 0..2 {
            let made = fields_to_lua(&lua, &words, &outer).unwrap();
            let back = from_lua(&shapes, &mlua::Value::Table(made), Budget::default()).unwrap();
            let headers = serde_json::json!({"host": "h", "x-\u{e4}": "\u{fc}"});
            let request =
                serde_json::json!({"status": 200, "duration": 0.5, "path": "/a", "headers": headers});
            assert_eq!(back, serde_json::json!({ "request": request }));
        }
    }
}
