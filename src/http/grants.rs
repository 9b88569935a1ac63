//! What plugins may do: asked by their manifests, granted here.

use actix_web::HttpResponse;

use crate::error::Result;
use crate::plugins::manager::{Granting, read_granting};

use super::call::{Call, scope};
use super::reply;

/// What a plugin asks for and what it has.
pub(super) async fn get(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    reply::hashed(&call.req, &call.state.manager.grants(call.part("id"))?)
}

/// Puts other grants in the place of those it has.
pub(super) async fn put(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let granting = read_granting(&call.json().await?)?;
    reply::ok(&call.state.manager.grant(call.part("id"), granting, &call.actor()).await?)
}

/// Takes back everything that was granted.
pub(super) async fn delete(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.grant(call.part("id"), Granting::Nothing, &call.actor()).await?)
}
