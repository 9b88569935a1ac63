//! `panotti.route`: HTTP requests that the plugin answers.

use mlua::Function;

use crate::hooks::route_path::RoutePath;
use crate::hooks::{Offer, RouteOffer};
use crate::lua::context::{ApiContext, CallKind};
use crate::lua::quota::Quota;

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};

const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Bytes of a summary.
const MAX_SUMMARY_BYTES: usize = 256;

pub(super) fn build(build: &Build) -> mlua::Result<Function> {
    build.function("panotti.route", |_, ctx, args| register(ctx, args))
}

fn register(ctx: &ApiContext, args: &mut Args) -> Outcome {
    let method = args.text_up_to("method", 16)?.to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return Err(args.wrong_because("method", &format!("must be one of {}", METHODS.join(", "))));
    }
    let path = args.text("path")?;
    let parsed = RoutePath::parse(&path).map_err(|why| args.wrong_because("path", &why))?;
    let function = args.callback("fn")?;
    let options = args.options("options", &["summary"])?;
    let summary = options.text("summary")?.map(|it| crate::lua::fault::clean(it, MAX_SUMMARY_BYTES));
    args.permit(ctx, "routes", None)?;
    if ctx.call()?.kind != CallKind::Load {
        return Err(Raise::Wrong("routes are registered while the plugin loads".to_owned()));
    }
    let offers = ctx.registry.offers();
    let own: Vec<&RouteOffer> = offers
        .iter()
        .filter_map(|it| match it {
            Offer::Route(it) => Some(it),
            _ => None,
        })
        .collect();
    if own.iter().any(|it| it.method == method && it.path.is_like(&parsed)) {
        return Err(Raise::Wrong(format!(
            "{method} {path} fits the same paths as a route the plugin has already"
        )));
    }
    let most = ctx.limits.routes;
    if own.len() >= most {
        ctx.quotas.refuse(Quota::Routes);
        return Err(Raise::Limit(format!("the plugin has {most} routes already (limits.routes)")));
    }
    ctx.quotas.set(Quota::Routes, own.len() as u64 + 1);
    ctx.registry.offer(function, |slot| {
        Offer::Route(RouteOffer { slot, method, pattern: path, path: parsed, summary })
    });
    Ok(Reply::Nothing)
}
