//! Fields of the server into Lua, without any JSON between.

use mlua::{Either, Lua, Table, Value};

use crate::hooks::{Field, Fields};
use crate::model::time::TimeText;

use crate::lua::FieldRead;

use super::Shapes;
use super::to_lua::{integer_to_lua, object_to_lua};
use super::words::{Word, Words};

/// The fields that are wanted, of what is made; all where there are none.
pub type Only<'a> = Option<&'a [FieldRead]>;

/// What a field becomes; texts and numbers go to the VM's stack directly.
type Made<'a> = Either<&'a str, Either<f64, Value>>;

/// Makes the table of `fields`, or of some of them; one that is not there is nil.
///
/// # Errors
/// When the VM's memory is full, or JSON among them nests too deep.
pub fn fields_to_lua(
    lua: &Lua,
    shapes: &Shapes,
    words: &Words,
    fields: &dyn Fields,
    only: Only<'_>,
) -> mlua::Result<Table> {
    let mut fields = fields.fields();
    fields.retain(|(name, _)| wanted(only, name).is_some());
    let times: Vec<TimeText> = fields.iter().filter_map(|(_, field)| time_of(field)).collect();
    let mut times = times.iter();
    let mut made: Vec<(Word<'_>, Made<'_>)> = Vec::with_capacity(fields.len());
    for (name, field) in &fields {
        let text = match *field {
            Field::Null => continue,
            Field::Text(text) => Some(text),
            Field::Time(_) => times.next().map(TimeText::as_str),
            _ => None,
        };
        let value = match text {
            Some(text) => Either::Left(text),
            None => {
                let inside = wanted(only, name).flatten();
                Either::Right(other(lua, shapes, words, *field, inside)?)
            }
        };
        made.push((words.get(lua, name), value));
    }
    lua.create_table_from(made)
}

fn time_of(field: &Field<'_>) -> Option<TimeText> {
    match field {
        Field::Time(time) => Some(time.text()),
        _ => None,
    }
}

/// What is wanted of the field `name`; none when it is not wanted at all.
fn wanted<'a>(only: Only<'a>, name: &str) -> Option<Only<'a>> {
    match only {
        None => Some(None),
        Some(only) => only.iter().find(|it| it.name == name).map(|it| it.inside.as_deref()),
    }
}

/// What is not text.
fn other(
    lua: &Lua,
    shapes: &Shapes,
    words: &Words,
    field: Field<'_>,
    only: Only<'_>,
) -> mlua::Result<Either<f64, Value>> {
    let table = match field {
        Field::Number(number) => return Ok(Either::Left(number)),
        Field::Whole(number) => return Ok(Either::Right(integer_to_lua(lua, number)?)),
        Field::Flag(flag) => return Ok(Either::Right(Value::Boolean(flag))),
        Field::Address(address) => {
            return Ok(Either::Right(Value::String(lua.create_string(address.to_string())?)));
        }
        Field::Null | Field::Text(_) | Field::Time(_) => return Ok(Either::Right(Value::Nil)),
        Field::Texts(texts) => {
            let texts = texts.iter().filter(|(name, _)| wanted(only, name).is_some());
            lua.create_table_from(texts.map(|(name, text)| (words.get(lua, name), text)))?
        }
        Field::List(items) => {
            let table = lua.create_sequence_from(items.iter().map(String::as_str))?;
            shapes.mark_array(&table)?;
            table
        }
        Field::Json(json) => object_to_lua(lua, shapes, json, only)?,
        Field::Fields(fields) => fields_to_lua(lua, shapes, words, fields, only)?,
    };
    Ok(Either::Right(Value::Table(table)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::hooks::Texts;
    use crate::hooks::fields::to_json;
    use crate::lua::convert::{Budget, from_lua, record_to_lua};
    use crate::model::time::Timestamp;

    struct Thing {
        headers: Texts,
        labels: Vec<String>,
        free: Map<String, serde_json::Value>,
    }

    impl Fields for Thing {
        fn fields(&self) -> Vec<(&str, Field<'_>)> {
            vec![
                ("id", Field::Whole(i64::MAX)),
                ("size", Field::Whole(200)),
                ("duration", Field::Number(0.5)),
                ("done", Field::Flag(false)),
                ("path", Field::Text("/a")),
                ("remote", Field::Address([127, 0, 0, 1].into())),
                ("none", Field::Null),
                ("began", Field::Time(Timestamp(1_500_000))),
                ("ended", Field::Time(Timestamp(2_000_000))),
                ("headers", Field::Texts(&self.headers)),
                ("labels", Field::List(&self.labels)),
                ("metadata", Field::Json(&self.free)),
            ]
        }
    }

    struct Outer(Thing);

    impl Fields for Outer {
        fn fields(&self) -> Vec<(&str, Field<'_>)> {
            vec![("request", Field::Fields(&self.0))]
        }
    }

    #[test]
    fn fields_become_the_tables_that_their_json_would() {
        let (lua, words) = (Lua::new(), Words::default());
        let shapes = Shapes::install(&lua).unwrap();
        let free = json!({"kept": null, "list": [null, {}], "deep": {"n": 1.5}}).as_object().unwrap().clone();
        for labels in [vec![], vec!["a".to_owned(), "\u{fc}".to_owned()]] {
            let headers = Texts::from_iter([("host", "h"), ("x-\u{e4}", "\u{fc}")]);
            let outer = Outer(Thing { headers, labels, free: free.clone() });
            let expected = serde_json::Value::Object(to_json(&outer));
            let expected = record_to_lua(&lua, &shapes, &expected, "metadata", None).unwrap();
            let expected = from_lua(&shapes, &expected, Budget::default()).unwrap();
            assert_eq!(expected["request"]["began"], "1970-01-01T00:00:01.500Z");
            for _ in 0..2 {
                let made = Value::Table(fields_to_lua(&lua, &shapes, &words, &outer, None).unwrap());
                assert_eq!(from_lua(&shapes, &made, Budget::default()).unwrap(), expected);
            }
        }
    }

    #[test]
    fn of_what_is_within_a_field_too_only_what_is_wanted_is_made() {
        let (lua, words) = (Lua::new(), Words::default());
        let shapes = Shapes::install(&lua).unwrap();
        let headers = Texts::from_iter([("host", "h"), ("accept", "a")]);
        let free = json!({"kept": null, "list": [1], "other": 2}).as_object().unwrap().clone();
        let outer = Outer(Thing { headers, labels: vec!["a".to_owned()], free });
        let whole = |name: &str| FieldRead { name: name.to_owned(), inside: None };
        let within = |name: &str, inside: Vec<FieldRead>| FieldRead { inside: Some(inside), ..whole(name) };
        let only = [within(
            "request",
            vec![
                whole("path"),
                within("headers", vec![whole("accept"), whole("absent")]),
                within("labels", vec![whole("n")]),
                within("metadata", vec![whole("kept"), whole("list")]),
            ],
        )];
        let made = Value::Table(fields_to_lua(&lua, &shapes, &words, &outer, Some(&only)).unwrap());
        let expected = json!({"request": {
            "path": "/a", "headers": {"accept": "a"}, "labels": ["a"], "metadata": {"kept": null, "list": [1]},
        }});
        assert_eq!(from_lua(&shapes, &made, Budget::default()).unwrap(), expected);
    }
}
