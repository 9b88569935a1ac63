//! `/metrics`: what is counted, as Prometheus reads it.

mod families;
mod text;

use actix_web::HttpResponse;
use actix_web::http::header;

use crate::error::Result;
use crate::services::events;

use super::call::{Call, scope};

pub use families::RouteTimes;

/// The text format of Prometheus.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is counted at this moment.
pub(super) async fn all(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let backlogs = events::backlogs(&call.state.services).await?;
    let text = families::all(&call.state, &backlogs)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, FORMAT))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}
