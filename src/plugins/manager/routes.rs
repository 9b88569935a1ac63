//! Routes of plugins: which fits a request, and what its function makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::hooks::{Answer, CallFailure, HookCall, HookHandler, Offer, RouteOffer, Target, send_away};
use crate::model::call::{CallContext, Caller, Outcome, PluginEffects, ROUTE};

use super::Manager;
use super::slot::Live;

/// One route of a running plugin.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RouteView {
    /// `GET`, `POST`, ….
    pub method: String,
    /// Below `/api/v1/plugins/<name>/x`.
    pub path: String,
    /// What it does.
    pub summary: Option<String>,
}

/// What a route answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// A route that fits, on a generation that is kept until it has answered.
pub struct Routed {
    live: Arc<Live>,
    slot: u32,
    /// The parts of the path by name.
    pub params: BTreeMap<String, String>,
}

impl Manager {
    /// The route of a plugin that fits `path` (below the plugin's own, without its first slash).
    ///
    /// # Errors
    /// `PluginNotFound`, `PluginUnavailable`, `NotFound`; `MethodNotAllowed` with the methods that fit.
    pub fn route(&self, id: &str, method: &str, path: &str) -> Result<Routed> {
        let slot = self.slot(id)?;
        let Some(live) = slot.live() else {
            let detail = format!("The plugin `{}` does not run.", slot.name);
            return Err(Error::new(Code::PluginUnavailable, detail));
        };
        let mut fitting: Vec<(RouteOffer, BTreeMap<String, String>)> = routes(&live)
            .into_iter()
            .filter_map(|it| it.path.matches(path).map(|parts| (it, parts)))
            .collect();
        fitting.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
        let wanted = if method == "HEAD" { "GET" } else { method };
        match fitting.iter().position(|(it, _)| it.method == wanted) {
            Some(at) => {
                let (route, params) = fitting.swap_remove(at);
                Ok(Routed { live, slot: route.slot, params })
            }
            None if fitting.is_empty() => {
                let detail = format!("The plugin `{}` has no route `{}`.", slot.name, path.escape_debug());
                Err(Error::new(Code::NotFound, detail))
            }
            None => {
                let mut methods: Vec<&str> = fitting.iter().map(|(it, _)| it.method.as_str()).collect();
                methods.sort_unstable();
                methods.dedup();
                let detail = format!("This route takes {}.", methods.join(", "));
                Err(Error::new(Code::MethodNotAllowed, detail).with_member("allow", methods.join(", ")))
            }
        }
    }

    /// Has a route answer `request`; what it wrote is stored when this is answered, and only when that is no error.
    ///
    /// # Errors
    /// `HookDenied` with the plugin's reason; `PluginFailed`, `PluginTimeout`, `PluginUnavailable`; `Overloaded` when more
    /// wait than it can answer soon.
    pub async fn call_route(
        &self,
        routed: Routed,
        request: Map<String, Value>,
        caller: &Caller,
    ) -> Result<Answered> {
        let handler = &routed.live.handler;
        if handler.is_crowded() {
            return Err(send_away(&**handler));
        }
        let call = HookCall {
            target: Target::Slot(routed.slot),
            payload: request.into(),
            ctx: CallContext::new(ROUTE, caller.clone()).into(),
            asked_at: Instant::now(),
            timeout: None,
            deadline: caller.deadline,
            is_question: false,
            then: None,
        };
        let mut span = caller.time(handler.plugin(), ROUTE);
        let answer = handler.call(call).await;
        if let Some(span) = &mut span {
            span.answered_by(answer.as_ref().map_or_else(|it| it.generation, |it| it.generation));
        }
        drop(span);
        let reply = answer.map_err(|failure| failed(handler.plugin(), &failure))?;
        let answered = answered(reply.answer)?;
        if answered.status < 400 && !reply.effects.is_empty() {
            let effects = PluginEffects { plugin: Arc::clone(handler.plugin()), effects: reply.effects };
            self.0.registry.commit_for(vec![effects], caller).await?;
        }
        Ok(answered)
    }

    /// The routes of every running plugin, by its name.
    pub fn routes(&self) -> Vec<(Arc<str>, Vec<RouteOffer>)> {
        let live = self.slots().into_iter().filter_map(|it| Some((Arc::clone(&it.name), it.live()?)));
        live.map(|(name, live)| (name, routes(&live))).filter(|(_, routes)| !routes.is_empty()).collect()
    }
}

/// The routes of one plugin, as they are shown.
pub(super) fn routes_of(live: &Live) -> Vec<RouteView> {
    let view = |it: RouteOffer| RouteView { method: it.method, path: it.pattern, summary: it.summary };
    routes(live).into_iter().map(view).collect()
}

fn routes(live: &Live) -> Vec<RouteOffer> {
    let offers = live.script.offers().into_iter();
    offers
        .filter_map(|it| match it {
            Offer::Route(it) => Some(it),
            _ => None,
        })
        .collect()
}

fn answered(answer: Answer) -> Result<Answered> {
    let header = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    Ok(match answer {
        Answer::Respond { status, headers, body } => Answered { status, headers, body },
        Answer::Value(value) => Answered {
            status: 200,
            headers: vec![header("content-type", "application/json")],
            body: serde_json::to_vec(&value).map_err(Error::internal)?,
        },
        Answer::Deny { reason, status } => {
            let refused = Error::new(Code::HookDenied, reason);
            return Err(status.into_iter().fold(refused, Error::with_status));
        }
        _ => Answered { status: 204, headers: Vec::new(), body: Vec::new() },
    })
}

fn failed(plugin: &str, failure: &CallFailure) -> Error {
    let (code, what) = match failure.outcome {
        Outcome::Deadline => (Code::PluginTimeout, "took too long"),
        Outcome::Skipped => (Code::PluginUnavailable, "is left alone for a while, or has too much to do"),
        _ => (Code::PluginFailed, "failed at this; its log and status tell why"),
    };
    let error = Error::new(code, format!("The plugin `{plugin}` {what}."));
    // Nothing of the script is for its client, but an admin finds the record by this.
    failure.fault.trace_id.iter().fold(error, |error, id| error.with_member("trace_id", id.as_str()))
}
