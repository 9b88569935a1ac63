//! `panotti.uuid()`: a new identifier.

use mlua::Function;

use super::define::{Build, Reply};
use super::top::door;

pub(super) fn build(build: &Build) -> mlua::Result<Function> {
    let door = door(build);
    build.function("panotti.uuid", move |_, _, _| {
        let id = uuid::Builder::from_random_bytes(door.random_bytes()).into_uuid();
        Ok(Reply::Bytes(id.to_string().into_bytes()))
    })
}
