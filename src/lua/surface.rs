//! Every name a script can reach, as one list: a name that is not in it does not get into a VM.

use std::collections::BTreeSet;

use mlua::{Lua, Table, Value};

/// What may be reached: a line is a path and the kind of its value.
pub const LIST: &str = include_str!("../../tests/it/lua_surface.golden");

/// What can be reached from the globals of a VM whose sandbox is closed.
///
/// # Errors
/// The VM has no memory.
pub fn names(lua: &Lua) -> mlua::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let globals = lua.globals();
    walk("", &globals, &mut names)?;
    if let Some(shared) = globals.metatable() {
        walk("", &shared.raw_get("__index")?, &mut names)?;
    }
    Ok(names)
}

/// Refuses a VM in which more can be reached than the list says; fewer names are missing permissions.
///
/// # Errors
/// What does not stand in the list.
pub fn check(lua: &Lua) -> mlua::Result<()> {
    let list: BTreeSet<&str> = LIST.lines().collect();
    let names = names(lua)?;
    let more: Vec<&str> = names.iter().map(String::as_str).filter(|it| !list.contains(it)).collect();
    match more.as_slice() {
        [] => Ok(()),
        more => {
            Err(mlua::Error::runtime(format!("scripts can reach what no list allows: {}", more.join(", "))))
        }
    }
}

fn walk(path: &str, table: &Table, names: &mut BTreeSet<String>) -> mlua::Result<()> {
    table.for_each(|name: String, value: Value| {
        // The values of a plugin's config are its own.
        if path == "panotti.config" {
            return Ok(());
        }
        let path = if path.is_empty() { name } else { format!("{path}.{name}") };
        names.insert(format!("{path} {}", if value.is_null() { "null" } else { value.type_name() }));
        match value {
            Value::Table(table) if !path.ends_with("_G") => walk(&path, &table, names),
            _ => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_with_a_name_too_many_is_refused() {
        let lua = Lua::new();
        let refused = check(&lua).unwrap_err().to_string();
        assert!(refused.contains("loadstring function"), "{refused}");
    }
}
