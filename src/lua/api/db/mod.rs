//! `panotti.db`: the plugin's own SQLite database.

mod publish;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{Table, Value};

use crate::lua::context::{ApiContext, CallState, Mark};
use crate::lua::prelude::Part;
use crate::lua::quota::{Quota, Quotas};
use crate::services::databases::{Answer, DbFault, DbFaultKind, DbLimits, Request, Session};

use super::args::Args;
use super::define::{Build, Outcome, Raise, Reply};

static GLUE: Part = Part::new("panotti", include_str!("../../../../scripts/prelude/db.luau"));

pub(super) fn build(build: &Build) -> mlua::Result<Table> {
    let host = build.lua.create_table()?;
    let query = build.waiting_for_database("panotti.db.query", |ctx, args| statement(ctx, args, true))?;
    host.raw_set("query", query)?;
    let execute =
        build.waiting_for_database("panotti.db.execute", |ctx, args| statement(ctx, args, false))?;
    host.raw_set("execute", execute)?;
    host.raw_set("begin", build.waiting_for_database(TRANSACTION, |ctx, _| begin(ctx))?)?;
    host.raw_set("commit", build.waiting_for_database(TRANSACTION, commit)?)?;
    host.raw_set("rollback", build.waiting_for_database(TRANSACTION, rollback)?)?;
    GLUE.run(build.lua, host)
}

const TRANSACTION: &str = "panotti.db.transaction";

fn statement(
    ctx: &ApiContext,
    args: &mut Args,
    wants_rows: bool,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    args.permit(ctx, "db", None)?;
    let sql = args.text("sql")?;
    let held_sql = args.hold(ctx, "sql", sql.len())?;
    let (params, held) = values::params(ctx, args)?;
    let call = ctx.call()?;
    let request = Request {
        publish: publish::maker(ctx, &call, &sql),
        sql,
        params,
        wants_rows,
        limits: DbLimits::of(&ctx.limits),
        deadline: call.meter.deadline(),
    };
    let session = call.transactions.of(ctx.current.part());
    let database = ctx.services.databases.of(&ctx.plugin);
    let quotas = Arc::clone(&ctx.quotas);
    Ok(async move {
        let answer = match session {
            Some(session) => session.run(request).await,
            None => database.run(request).await,
        };
        drop((held_sql, held));
        let mut answer = match answer {
            Ok(answer) => answer,
            Err(fault) => return failed(&call, &quotas, fault),
        };
        note_size(&quotas, answer.file_bytes);
        for event in std::mem::take(&mut answer.events) {
            call.emit(event).map_err(Raise::Limit)?;
        }
        Ok(made(answer, wants_rows))
    })
}

/// Begins a transaction, or a savepoint in the one that is open; answers how many are open then.
fn begin(ctx: &ApiContext) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let (call, part) = (ctx.call()?, ctx.current.part());
    let (database, mib) = (ctx.services.databases.of(&ctx.plugin), ctx.limits.db_mib);
    let longest = Duration::from_millis(ctx.limits.wall_ms);
    let (runtime, quotas) = (ctx.runtime.clone(), Arc::clone(&ctx.quotas));
    Ok(async move {
        let begun = match call.transactions.of(part) {
            Some(session) => session.save().await.map(|()| session),
            None => database.begin(mib).await.inspect(|session| {
                let until = call.meter.deadline().unwrap_or_else(|| Instant::now() + longest);
                runtime.spawn(end_at(Arc::downgrade(session), until));
                call.transactions.open(part, Arc::clone(session));
            }),
        };
        match begun {
            Ok(session) => Ok(Reply::Lua(Value::Number(session.depth() as f64 + 1.0))),
            Err(fault) => failed(&call, &quotas, fault),
        }
    })
}

/// Takes a transaction back whose call is over, should its script never give way.
async fn end_at(session: std::sync::Weak<Session>, until: Instant) {
    tokio::time::sleep_until(until.into()).await;
    if let Some(session) = session.upgrade() {
        session.abandon();
    }
}

fn commit(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    let ending = Ending::read(ctx, args)?;
    let quotas = Arc::clone(&ctx.quotas);
    Ok(async move {
        let Ending { call, part, session, is_savepoint } = ending;
        if is_savepoint {
            return match session.end_savepoint(true).await {
                Ok(()) => Ok(Reply::Lua(Value::Boolean(true))),
                Err(fault) => failed(&call, &quotas, fault),
            };
        }
        call.transactions.close(part);
        match session.commit().await {
            Ok((events, file_bytes)) => {
                note_size(&quotas, file_bytes);
                for event in events {
                    call.emit(event).map_err(Raise::Limit)?;
                }
                Ok(Reply::Lua(Value::Boolean(true)))
            }
            Err(fault) => failed(&call, &quotas, fault),
        }
    })
}

fn rollback(
    ctx: &ApiContext,
    args: &mut Args,
) -> Result<impl Future<Output = Outcome> + Send + 'static + use<>, Raise> {
    // An error of the script says more than that its transaction is over already.
    let ending = Ending::read(ctx, args).ok();
    Ok(async move {
        let Some(Ending { call, part, session, is_savepoint }) = ending else { return Ok(Reply::Nothing) };
        if is_savepoint {
            // One that is over has taken everything back already.
            let _ = session.end_savepoint(false).await;
        } else {
            call.transactions.close(part);
            session.rollback().await;
        }
        Ok(Reply::Nothing)
    })
}

/// A transaction that is to end.
struct Ending {
    call: Arc<CallState>,
    part: u64,
    session: Arc<Session>,
    is_savepoint: bool,
}

impl Ending {
    fn read(ctx: &ApiContext, args: &mut Args) -> Result<Self, Raise> {
        let number = args.number("number")? as usize;
        let (call, part) = (ctx.call()?, ctx.current.part());
        let over = || Raise::Wrong("the transaction is over: the call that began it has ended".to_owned());
        let session = call.transactions.of(part).ok_or_else(over)?;
        if session.depth() + 1 != number {
            call.transactions.close(part);
            session.abandon();
            return Err(Raise::Wrong(
                "transactions end in the order in which they began; everything was taken back".to_owned(),
            ));
        }
        Ok(Ending { call, part, session, is_savepoint: number > 1 })
    }
}

fn made(answer: Answer, wants_rows: bool) -> Reply {
    Reply::Made(Box::new(move |lua| match wants_rows {
        true => values::rows(lua, &answer),
        false => values::changes(lua, &answer),
    }))
}

fn note_size(quotas: &Quotas, file_bytes: Option<u64>) {
    if let Some(bytes) = file_bytes {
        quotas.set(Quota::DatabaseBytes, bytes);
    }
}

/// What scripts are told of a fault; the call is marked where a door was shut or a limit met.
fn failed(call: &CallState, quotas: &Quotas, fault: DbFault) -> Outcome {
    match fault.kind {
        DbFaultKind::Misused => return Err(Raise::Wrong(fault.message)),
        DbFaultKind::Denied => call.mark_because(Mark::Denied, &fault.message),
        DbFaultKind::Limit => {
            call.mark_because(Mark::Limit, &fault.message);
            if fault.message.contains(Quota::DatabaseBytes.setting()) {
                quotas.refuse(Quota::DatabaseBytes);
            }
        }
        _ => {}
    }
    Ok(Reply::Failed { code: fault.code(), message: fault.message })
}
