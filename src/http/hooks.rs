//! Hooks: what there is, and who is asked in which order.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::hooks::{Hook, OnError, Table};

use super::call::{Call, scope};
use super::reply;

/// A hook and its effective chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HookChain {
    /// What scripts call it.
    name: &'static str,
    /// `question` (asked, may answer), `fact` (told from the journal), `life` (called once by the host).
    kind: &'static str,
    /// When exactly it is called.
    description: &'static str,
    /// Whether `panotti.deny` belongs here.
    may_deny: bool,
    /// Top-level fields a patch may change.
    may_patch: &'static [&'static str],
    /// The event it is told from.
    event: Option<&'static str>,
    /// Who is called, in this order.
    chain: Vec<HookLink>,
}

/// One handler in its place.
#[derive(Debug, Serialize, ToSchema)]
struct HookLink {
    /// Counted from 1.
    position: usize,
    /// The plugin.
    plugin: String,
    /// Higher comes earlier.
    priority: i32,
    /// Seconds it may take; none = the plugin's limit.
    timeout: Option<f64>,
    /// What its failure means: `allow` or `deny`.
    on_error: &'static str,
    /// Plugins that must come after it.
    before: Vec<String>,
    /// Plugins that must come before it.
    after: Vec<String>,
    /// Why it stands here.
    why: String,
}

/// Every hook with its chain.
pub(super) async fn list(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let table = call.state.services.hooks.table();
    let items: Vec<HookChain> = Hook::ALL.iter().map(|hook| view(*hook, &table)).collect();
    reply::hashed(&call.req, &serde_json::json!({ "items": items }))
}

/// One hook with its chain.
pub(super) async fn get(call: Call<scope::PluginsRead>) -> Result<HttpResponse> {
    let name = call.part("hook");
    let Some(hook) = Hook::from_name(name) else {
        let guess = crate::config::did_you_mean(name, Hook::ALL.iter().map(|it| it.name()));
        let shown: String = name.chars().take(64).collect();
        return Err(Error::new(
            Code::HookNotFound,
            format!("There is no hook `{}`{guess}", shown.escape_debug()),
        ));
    };
    reply::hashed(&call.req, &view(hook, &call.state.services.hooks.table()))
}

fn view(hook: Hook, table: &Table) -> HookChain {
    let info = hook.info();
    let chain = table.chain(hook).iter().enumerate().map(|(index, entry)| HookLink {
        position: index + 1,
        plugin: entry.handler.plugin().to_string(),
        priority: entry.registration.priority,
        timeout: entry.registration.timeout.map(|it| it.as_secs_f64()),
        on_error: match entry.registration.on_error {
            OnError::Allow => "allow",
            OnError::Deny => "deny",
        },
        before: entry.registration.before.clone(),
        after: entry.registration.after.clone(),
        why: entry.why.clone(),
    });
    HookChain {
        name: info.name,
        kind: info.kind.as_str(),
        description: info.doc,
        may_deny: info.may_deny,
        may_patch: info.may_patch,
        event: info.event,
        chain: chain.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_nobody_listens_to_has_an_empty_chain() {
        let view = view(Hook::BeforeRecordingStart, &Table::default());
        assert!(view.chain.is_empty() && view.may_deny);
        assert_eq!(view.may_patch, ["title", "metadata"]);
    }
}
