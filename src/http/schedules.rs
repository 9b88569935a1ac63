//! When plugins are called, what came of it, and running them now.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::error::{Error, FieldError, Result};
use crate::plugins::manager::ScheduleFilter;

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// Which schedules.
pub(super) const FILTERS: &[Param] = &[
    param("plugin", Kind::Text, "Of the plugin of this name."),
    param("state", Kind::OneOf(&["active", "paused", "resting"]), "In this state."),
];

/// The schedules of all plugins.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let filter = ScheduleFilter { plugin: call.query.text("plugin"), state: call.query.text("state") };
    let items = call.state.manager.schedules(&filter).await?;
    reply::ok(&serde_json::json!({ "items": items, "total": items.len() }))
}

/// One schedule with its last runs.
pub(super) async fn get(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    reply::ok(&call.state.manager.schedule(call.number("id")?).await?)
}

/// Holds a schedule or lets it go on.
pub(super) async fn patch(mut call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let id = call.number("id")?;
    let body = call.json().await?;
    let paused = body.get("paused").and_then(serde_json::Value::as_bool).filter(|_| body.len() == 1);
    let Some(paused) = paused else {
        let message = "must be true or false, and the only field".to_owned();
        return Err(Error::fields(vec![FieldError { pointer: "/paused".to_owned(), message }]));
    };
    reply::ok(&call.state.manager.pause_schedule(id, paused, &call.actor()).await?)
}

/// Runs a schedule now; answers when the run has begun.
pub(super) async fn run(call: Call<scope::PluginsManage>) -> Result<HttpResponse> {
    let run = call.state.manager.run_schedule(call.number("id")?).await?;
    reply::json(StatusCode::ACCEPTED, &serde_json::to_value(run).map_err(Error::internal)?)
}
