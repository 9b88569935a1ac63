//! Fields of the server into Lua, without any JSON between.

use mlua::{Either, Lua, Table};

use crate::hooks::{Field, Fields};

/// What a field becomes; each kind goes to the VM's stack directly.
type Made<'a> = Either<&'a str, Either<f64, Table>>;

/// Makes the table of `fields`; one that is not there is nil.
///
/// # Errors
/// When the VM's memory is full.
pub fn fields_to_lua(lua: &Lua, fields: &dyn Fields) -> mlua::Result<Table> {
    let fields = fields.fields();
    let mut made: Vec<(&str, Made<'_>)> = Vec::with_capacity(fields.len());
    for (name, field) in fields {
        made.push((
            name,
            match field {
                Field::Null => continue,
                Field::Text(text) => Either::Left(text),
                Field::Whole(number) => Either::Right(Either::Left(number.into())),
                Field::Number(number) => Either::Right(Either::Left(number)),
                Field::Texts(texts) => Either::Right(Either::Right(lua.create_table_from(texts.iter())?)),
                Field::Fields(fields) => Either::Right(Either::Right(fields_to_lua(lua, fields)?)),
            },
        ));
    }
    lua.create_table_from(made)
}
