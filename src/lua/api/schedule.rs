//! `panotti.schedule`: functions that the host calls at their times.

use mlua::Table;

use crate::hooks::{Missed, Offer, Overlap, ScheduleOffer, ScheduleWhen};
use crate::lua::context::{ApiContext, CallKind};
use crate::lua::quota::Quota;

use super::args::{Args, Options};
use super::define::{Build, Outcome, Raise, Reply};

/// Bytes of a name.
const MAX_NAME_BYTES: usize = 64;

/// Bytes of a cron expression.
const MAX_EXPRESSION_BYTES: usize = 256;

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let module = build.lua.create_table()?;
    let every = build.function("panotti.schedule.every", |_, ctx, args| {
        let when = ScheduleWhen::Every(args.number("seconds")?);
        check(args, "seconds", &when)?;
        register(ctx, args, &["missed", "overlap"], |_| Ok(when))
    })?;
    module.raw_set("every", every)?;
    let cron = build.function("panotti.schedule.cron", |_, ctx, args| {
        let expression = args.text_up_to("expression", MAX_EXPRESSION_BYTES)?;
        let utc = ScheduleWhen::Cron { expression: expression.clone(), tz: "UTC".to_owned() };
        check(args, "expression", &utc)?;
        register(ctx, args, &["missed", "overlap", "tz"], |options| {
            let tz = options.text("tz")?.unwrap_or("UTC").to_owned();
            let when = ScheduleWhen::Cron { expression, tz };
            when.check().map_err(|why| options.wrong("tz", &why))?;
            Ok(when)
        })
    })?;
    module.raw_set("cron", cron)?;
    Ok(module)
}

fn check(args: &Args, name: &str, when: &ScheduleWhen) -> Result<(), Raise> {
    when.check().map_err(|why| args.wrong_because(name, &why))
}

fn register(
    ctx: &ApiContext,
    args: &mut Args,
    known: &[&str],
    when: impl FnOnce(&Options) -> Result<ScheduleWhen, Raise>,
) -> Outcome {
    let name = args.text("name")?;
    let is_word = |it: u8| it.is_ascii_alphanumeric() || b"_-.".contains(&it);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_word) {
        return Err(
            args.wrong_because("name", &format!("must be 1 to {MAX_NAME_BYTES} letters, digits, _ - ."))
        );
    }
    let function = args.callback("fn")?;
    let options = args.options("options", known)?;
    let when = when(&options)?;
    let missed = match options.text("missed")? {
        None | Some("skip") => Missed::Skip,
        Some("once") => Missed::Once,
        Some(_) => return Err(options.wrong("missed", "must be skip or once")),
    };
    let overlap = match options.text("overlap")? {
        None | Some("skip") => Overlap::Skip,
        Some("queue") => Overlap::Queue,
        Some("allow") => Overlap::Allow,
        Some(_) => return Err(options.wrong("overlap", "must be skip, queue or allow")),
    };
    let call = ctx.call()?;
    if call.kind != CallKind::Load && call.ctx.hook != "on_load" {
        return Err(Raise::Wrong(
            "schedules are registered while the plugin loads: in its chunk or in on_load".to_owned(),
        ));
    }
    let offers = ctx.registry.offers();
    let own = offers.iter().filter_map(|it| match it {
        Offer::Schedule(it) => Some(&it.name),
        _ => None,
    });
    let most = ctx.limits.schedules;
    let (count, taken) = own.fold((0, false), |(count, taken), it| (count + 1, taken || *it == name));
    if taken {
        return Err(Raise::Wrong(format!("the plugin has a schedule '{name}' already")));
    }
    if count >= most {
        ctx.quotas.refuse(Quota::Schedules);
        return Err(Raise::Limit(format!("the plugin has {most} schedules already (limits.schedules)")));
    }
    ctx.quotas.set(Quota::Schedules, count as u64 + 1);
    ctx.registry.offer(function, |slot| Offer::Schedule(ScheduleOffer { slot, name, when, missed, overlap }));
    Ok(Reply::Nothing)
}
