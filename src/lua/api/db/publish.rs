//! `INSERT INTO events`: a row becomes an event, by the rules of `panotti.events.publish`.

use std::sync::Arc;

use serde_json::Value;

use crate::lua::api::events::{EmitLimits, check_depth, check_schema};
use crate::lua::context::{ApiContext, CallKind, CallState};
use crate::model::call::Emitted;
use crate::model::event::{check_event_type, is_reserved_type};
use crate::services::databases::{DbFault, DbFaultKind, Publish};

/// What makes events of the rows that a statement inserts; none for one that cannot insert any.
pub(super) fn maker(ctx: &ApiContext, call: &Arc<CallState>, sql: &str) -> Option<Publish> {
    let speaks_of_events = sql.as_bytes().windows(6).any(|it| it.eq_ignore_ascii_case(b"events"));
    if !speaks_of_events {
        return None;
    }
    let (permissions, limits) = (ctx.permissions.clone(), EmitLimits::of(ctx));
    let (services, plugin, all) = (ctx.services.clone(), ctx.plugin.clone(), ctx.limits);
    let call = Arc::clone(call);
    Some(Arc::new(move |kind: &str, data: Option<&str>| {
        if call.kind == CallKind::Load {
            return Err(DbFault::sql("events are published by hooks, not while the plugin's files load"));
        }
        check_event_type(kind).map_err(|what| DbFault::sql(format!("the type of an event {what}")))?;
        if is_reserved_type(kind) {
            let first = kind.split('.').next().unwrap_or_default();
            if !permissions.allows("events", first) {
                return Err(DbFault::new(
                    DbFaultKind::Denied,
                    format!(
                        "an event of the type '{kind}' needs the permission 'events:{first}': add `permissions: {{ \
                         events: [{first}] }}` to plugin.yaml"
                    ),
                ));
            }
        }
        let bytes = data.map_or(0, str::len) as u64;
        check_depth(&services, &plugin, &all, &call, kind)
            .map_err(|what| DbFault::new(DbFaultKind::Limit, what))?;
        limits.check(bytes).map_err(|what| DbFault::new(DbFaultKind::Limit, what))?;
        let data = data.map_or(Value::Null, |text| {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
        });
        check_schema(&services, kind, &data).map_err(|what| DbFault::sql(format!("the data {what}")))?;
        Ok(Emitted { kind: kind.to_owned(), data: Arc::new(data), ..Emitted::default() })
    }))
}
