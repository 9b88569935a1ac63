//! What scripts find below `panotti`, as data.

use actix_web::HttpResponse;

use crate::error::Result;
use crate::plugins::lua_api::lua_api;

use super::call::{Call, scope};
use super::reply;

/// The table of the Lua API.
pub(super) async fn get(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    reply::hashed(&call.req, lua_api())
}
