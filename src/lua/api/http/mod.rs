//! `panotti.http`: other servers, by one guarded client for each plugin.

mod request;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mlua::{Lua, Table, Value};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::lua::context::{ApiContext, CallState, Mark};
use crate::lua::quota::Quota;
use crate::net::{Client, Fault, FixedNames, HostRules, Request, Response};

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};
use super::permit::{self, Shut};
use request::Wanted;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let shared = Arc::new(Shared::new(build.ctx));
    let own = Arc::clone(&shared);
    let get = build.waiting("panotti.http.get", move |ctx, args| {
        let wanted = Wanted::at("GET", ctx, args)?;
        own.send(ctx, args, wanted)
    })?;
    module.raw_set("get", get)?;
    let own = Arc::clone(&shared);
    let post = build.waiting("panotti.http.post", move |ctx, args| {
        let wanted = Wanted::at("POST", ctx, args)?;
        own.send(ctx, args, wanted)
    })?;
    module.raw_set("post", post)?;
    let request = build.waiting("panotti.http.request", move |ctx, args| {
        let wanted = Wanted::whole(ctx, args)?;
        shared.send(ctx, args, wanted)
    })?;
    module.raw_set("request", request)?;
    Ok(module)
}

/// What the functions of one VM have in common.
struct Shared {
    client: OnceLock<Result<Client, String>>,
    /// Each VM has its part of the plugin's requests at once.
    turns: Arc<Semaphore>,
}

impl Shared {
    fn new(ctx: &ApiContext) -> Self {
        let part = (ctx.limits.http_requests / ctx.limits.instances.max(1)).max(1);
        Shared { client: OnceLock::new(), turns: Arc::new(Semaphore::new(part)) }
    }

    fn client(&self, ctx: &ApiContext) -> Result<Client, Raise> {
        let made = self.client.get_or_init(|| {
            let rules = match ctx.learning {
                Some(_) => HostRules::unguarded(),
                None => ctx.permissions.hosts(),
            };
            let fixed = FixedNames::read(&ctx.services.settings.http_hosts)?;
            Client::new(rules, Arc::clone(&ctx.resolver), Arc::new(fixed))
        });
        made.clone().map_err(|why| Raise::Wrong(format!("the HTTP client cannot be made: {why}")))
    }

    fn send(
        &self,
        ctx: &ApiContext,
        args: &Args,
        mut wanted: Wanted,
    ) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
        let (client, call) = (self.client(ctx)?, ctx.call()?);
        match client.check(&wanted.url) {
            Err(Fault::Denied { part, why }) => {
                return Err(Raise::Denied(format!("{} ({why})", args.refuse(ctx, "http", Some(&part)))));
            }
            Err(fault) => return Err(Raise::Wrong(fault.to_string())),
            Ok(()) if ctx.learning.is_some() => {
                let host = wanted.url.host_str().unwrap_or_default();
                let part = wanted.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
                permit::learns(ctx, "http", Some(&part));
            }
            Ok(()) => {}
        }
        hand_on(&call, &mut wanted.headers);
        let most = Duration::from_millis(ctx.limits.http_wall_ms);
        let timeout = wanted.timeout.map_or(most, |it| it.min(most));
        let max_body_bytes = usize::try_from(ctx.limits.http_body_mib << 20).unwrap_or(usize::MAX);
        let (shut, stand_in) = (args.shut(ctx, "http"), ctx.stand_in.clone());
        let (turns, quotas, runtime) =
            (Arc::clone(&self.turns), Arc::clone(&ctx.quotas), ctx.runtime.clone());
        let places = ctx.limits.http_requests.max(ctx.limits.instances) as u64;
        let own_timeout = timeout < most;
        let held = args.hold(ctx, "body", wanted.body.as_ref().map_or(0, Vec::len))?;
        Ok(async move {
            let Ok(_turn) = turns.acquire_owned().await else { return Ok(Reply::Nothing) };
            let _place = quotas.take(Quota::HttpRequests, places);
            let request = Request {
                method: wanted.method,
                url: wanted.url,
                headers: wanted.headers,
                body: wanted.body,
                timeout: call
                    .meter
                    .deadline()
                    .map_or(timeout, |it| timeout.min(it.saturating_duration_since(Instant::now()))),
                max_body_bytes,
            };
            let answer = match stand_in {
                Some(stand_in) => stand_in.http(request).await,
                None => Ended(runtime.spawn(async move { client.send(request).await })).await,
            };
            drop(held);
            Ok(match answer {
                Ok(response) => made(response),
                Err(fault) => failed(&call, fault, own_timeout, &shut),
            })
        })
    }
}

/// Tells the other server which trace the request belongs to that set the call off, unless the script says so itself.
fn hand_on(call: &CallState, headers: &mut Vec<(String, String)>) {
    let Some(trace) = &call.ctx.caller.trace else { return };
    if headers.iter().any(|(name, _)| name == "traceparent") {
        return;
    }
    // Without random numbers the request goes out untraced.
    let Ok(span) = getrandom::u64() else { return };
    headers.push(("traceparent".to_owned(), trace.child(span)));
    headers.retain(|(name, _)| name != "tracestate");
    headers.extend(trace.state.iter().map(|it| ("tracestate".to_owned(), it.clone())));
}

/// A request that ends with whoever waits for it.
struct Ended(JoinHandle<Result<Response, Fault>>);

impl Future for Ended {
    type Output = Result<Response, Fault>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx).map(|it| {
            it.unwrap_or_else(|_| {
                Err(Fault::Failed { code: "cancelled", message: "the request was given up".to_owned() })
            })
        })
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the world did wrong, and what it means to the call.
fn failed(call: &CallState, fault: Fault, own_timeout: bool, shut: &Shut) -> Reply {
    let (code, message) = match &fault {
        Fault::Denied { part, .. } => {
            permit::note(call, shut, part);
            ("denied", fault.to_string())
        }
        Fault::TooSlow(_) if own_timeout => ("timeout", fault.to_string()),
        Fault::TooSlow(_) => limit(call, format!("{fault} (limits.http_wall_ms)")),
        Fault::TooLarge(_) => limit(call, format!("{fault} (limits.http_body_mib)")),
        Fault::Wrong(_) => ("request", fault.to_string()),
        Fault::Failed { code, .. } => (*code, fault.to_string()),
    };
    Reply::Failed { code, message }
}

/// Notes that the world offered more than the plugin may take, with the words its author reads.
fn limit(call: &CallState, message: String) -> (&'static str, String) {
    call.mark_because(Mark::Limit, &message);
    ("limit", message)
}

fn made(response: Response) -> Reply {
    Reply::Made(Box::new(move |lua: &Lua| {
        let table = lua.create_table_with_capacity(0, 4)?;
        table.raw_set("status", response.status)?;
        table.raw_set("url", response.url)?;
        let headers = lua.create_table_with_capacity(0, response.headers.len())?;
        for (name, text) in response.headers {
            let joined = match headers.raw_get::<Option<String>>(name.as_str())? {
                Some(former) => format!("{former}, {text}"),
                None => text,
            };
            headers.raw_set(name, joined)?;
        }
        table.raw_set("headers", headers)?;
        table.raw_set("body", lua.create_string(response.body)?)?;
        Ok(Value::Table(table))
    }))
}

#[cfg(test)]
mod tests;
