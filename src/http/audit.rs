//! Who changed what about the server, and which doors plugins found shut.

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::services::audit;

use super::call::{Call, scope};
use super::query::{Kind, Param, param};
use super::reply;

/// Acts a page when nobody says how many.
const DEFAULT_LIMIT: i64 = 100;

/// Which acts.
pub(super) const FILTERS: &[Param] = &[
    param(
        "before",
        Kind::Whole(1, i64::MAX),
        "Acts before the one with this number; the `next` of the page before.",
    ),
    param("limit", Kind::Whole(1, 1000), "How many; 100 without."),
    param("actor", Kind::Text, "Of this actor, such as `key/ab12`, or of the key of this name."),
    param(
        "action",
        Kind::Text,
        "Of this kind, such as `plugin.denied`; `plugin.` is all kinds that begin so.",
    ),
    param("subject", Kind::Text, "On this, such as `plugin/example`."),
    param("outcome", Kind::OneOf(&["ok", "failed", "denied"]), "That ended so."),
    param("request_id", Kind::Text, "Of the request with this X-Request-Id."),
    param("from", Kind::Time, "At this time or later."),
    param("to", Kind::Time, "Before this time."),
];

/// One act.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// Its number; counts up.
    pub id: i64,
    /// When (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who: `key/<id>`, `server`, `plugin/<name>`.
    pub actor: String,
    /// What the key is called.
    pub actor_name: Option<String>,
    /// What, such as `plugin.enable`.
    pub action: String,
    /// On what, such as `plugin/example`.
    pub subject: Option<String>,
    /// `ok`: it was done. `failed`: it came to nothing; `detail.code` tells why. `denied`: the key may not do it.
    pub outcome: String,
    /// The `X-Request-Id` of the request, when one was made; the log has it, too.
    pub request_id: Option<String>,
    /// Anything else; never a secret. `changed: false` = everything was so already.
    pub detail: Value,
}

/// Some acts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// Newest first.
    pub items: Vec<AuditView>,
    /// The `before` of the page of older ones; null when there are none.
    pub next: Option<i64>,
}

/// Lists acts, newest first.
pub(super) async fn list(call: Call<scope::Admin>) -> Result<HttpResponse> {
    let limit = call.query.whole("limit").unwrap_or(DEFAULT_LIMIT);

    let wanted = audit::Wanted {
        before: call.query.whole("before"),
        actor: call.query.text("actor"),
        action: call.query.text("action"),
        subject: call.query.text("subject"),
        outcome: call.query.text("outcome"),
        request_id: call.query.text("request_id"),
        from: call.query.time("from"),
        to: call.query.time("to"),
    };
    let entries = audit::list(&call.state.services, wanted, limit).await?;
    let next = entries.last().filter(|_| entries.len() as i64 == limit).map(|it| it.id);
    let items = entries.into_iter().map(|it| AuditView {
        id: it.id,
        at: it.at,
        actor: it.actor,
        actor_name: it.actor_name,
        action: it.action,
        subject: it.subject,
        outcome: it.outcome,
        request_id: it.request_id,
        detail: it.detail,
    });
    reply::ok(&AuditPage { items: items.collect(), next })
}
