//! `panotti.yaml`: YAML text, as plain data.

use mlua::Table;

use crate::config::{parse_yaml, to_yaml};

use super::define::{Build, Raise, Reply};

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let encode = build.function("panotti.yaml.encode", |_, _, args| {
        let value = args.json("value")?;
        let text = to_yaml(&value).map_err(Raise::Convert)?;
        Ok(Reply::Bytes(text.into_bytes()))
    })?;
    module.raw_set("encode", encode)?;
    let decode = build.function("panotti.yaml.decode", |_, _, args| {
        let text = args.text("text")?;
        Ok(match parse_yaml(&text) {
            Ok(value) => Reply::Json(value),
            Err(fault) => Reply::Failed { code: "not_yaml", message: fault.to_string() },
        })
    })?;
    module.raw_set("decode", decode)?;
    Ok(module)
}
