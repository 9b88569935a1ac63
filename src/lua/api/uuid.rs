//! `panotti.uuid()`: a new identifier.

use mlua::Function;

use super::define::{Build, Reply};
use super::top::senses;

pub(super) fn build(build: &Build) -> mlua::Result<Function> {
    let senses = senses(build);
    build.function("panotti.uuid", move |_, _, _| {
        let id = uuid::Builder::from_random_bytes(senses.random_bytes()).into_uuid();
        Ok(Reply::Bytes(id.to_string().into_bytes()))
    })
}
