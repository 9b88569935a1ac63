//! `panotti.uuid()`: a new identifier.

use mlua::Function;

use super::define::{Build, Reply};

pub(super) fn build(build: &Build) -> mlua::Result<Function> {
    build.function("panotti.uuid", |_, _, _| Ok(Reply::Bytes(uuid::Uuid::new_v4().to_string().into_bytes())))
}
