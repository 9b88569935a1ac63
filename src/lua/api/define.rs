//! How a module is put together: functions that answer a [`Reply`], misuse that raises, names that must exist.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Table, Value};
use parking_lot::RwLock;

use crate::error::Error;
use crate::lua::context::{ApiContext, CallState, Mark};
use crate::lua::convert::{Shapes, record_to_lua, to_lua};
use crate::lua::prelude::Part;
use crate::lua::recorder::{Class, Note, class_of};

use super::args::Args;
use super::permit;
use super::recorded;
use super::stubs::{Entry, ModuleDoc, find_similar};
use super::tested;

static GLUE: Part = Part::new("panotti", include_str!("../../../scripts/prelude/api.luau"));

/// Puts a value together in the VM.
pub type Make = Box<dyn FnOnce(&Lua) -> mlua::Result<Value> + Send>;

/// What a function of a module answers.
pub enum Reply {
    /// Nothing.
    Nothing,
    /// A value that is at hand in Lua.
    Lua(Value),
    /// Several of them.
    Several(MultiValue),
    /// Plain data; its nulls are `panotti.json.null`.
    Json(serde_json::Value),
    /// A record of the host: a field that is null is not there; `metadata` is plain data.
    Record(serde_json::Value),
    /// Bytes, as a Lua string.
    Bytes(Vec<u8>),
    /// What is put together in the VM once the waiting is over.
    Made(Make),
    /// Bytes, as a Luau buffer, and a record about them.
    Buffer(Vec<u8>, serde_json::Value),
    /// The world's failure: `nil, {code, message}`.
    Failed {
        /// A stable code.
        code: &'static str,
        /// One sentence.
        message: String,
    },
}

/// Why a function raises.
pub enum Raise {
    /// It was used wrongly.
    Wrong(String),
    /// A quota or a size was met.
    Limit(String),
    /// A value cannot cross.
    Convert(String),
    /// A permission is missing; [`Args::permit`] has noted it.
    Denied(String),
    /// Lua itself failed (memory).
    Lua(mlua::Error),
}

/// What a function of a module gives back.
pub type Outcome = Result<Reply, Raise>;

impl From<mlua::Error> for Raise {
    fn from(error: mlua::Error) -> Self {
        Raise::Lua(error)
    }
}

impl From<Error> for Reply {
    /// What a service could not do; a cause that is not for callers goes to the log, never to a script.
    fn from(error: Error) -> Self {
        if let Some(source) = &error.source {
            log::error!("{}: {source}", error.detail);
        }
        Reply::Failed { code: error.code.name(), message: error.detail }
    }
}

impl From<Result<serde_json::Value, Error>> for Reply {
    fn from(result: Result<serde_json::Value, Error>) -> Self {
        result.map_or_else(Reply::from, Reply::Record)
    }
}

/// What modules are built with.
pub struct Build<'a> {
    /// The VM.
    pub lua: &'a Lua,
    /// What the functions are given.
    pub ctx: &'a Arc<ApiContext>,
    /// JSON's null and arrays.
    pub shapes: &'a Arc<Shapes>,
    wrap: Function,
    wrap_waiting: Function,
    strict: Function,
    printer: Function,
    /// The one function of the VM that waits, for all of these: each has a poll loop of its own in mlua, and code for it.
    wait: Function,
    waiting: Arc<RwLock<Vec<Waiting>>>,
}

/// Begins what a function of a module waits for.
type Waiting = Arc<dyn Fn(&Lua, MultiValue) -> BoxFuture<'static, mlua::Result<MultiValue>> + Send + Sync>;

#[allow(clippy::disallowed_methods)] // the host's own glue, while a VM is built
impl<'a> Build<'a> {
    /// Ready to build modules into `lua`.
    pub fn new(lua: &'a Lua, ctx: &'a Arc<ApiContext>, shapes: &'a Arc<Shapes>) -> mlua::Result<Self> {
        let (wrap, wrap_waiting, strict, printer) = GLUE.run(lua, ())?;
        let waiting = Arc::<RwLock<Vec<Waiting>>>::default();
        let (known, context) = (Arc::clone(&waiting), Arc::clone(ctx));
        let wait = lua.create_async_function(move |lua, mut values: MultiValue| {
            let index = values.pop_front().and_then(|it| it.as_usize());
            let begin = index.and_then(|it| known.read().get(it).cloned());
            // What the function changes is told of at once: to whom, must be known before.
            let subscribed = context.registry.known.wait();
            let work = begin.map(|it| it(&lua, values));
            async move {
                if let Some(known) = subscribed {
                    known.await;
                }
                work.ok_or_else(|| mlua::Error::runtime("no such function"))?.await
            }
        })?;
        Ok(Build { lua, ctx, shapes, wrap, wrap_waiting, strict, printer, wait, waiting })
    }

    /// A function that answers at once. `name` is what messages call it (`panotti.kv.get`).
    pub fn function(
        &self,
        name: &'static str,
        body: impl Fn(&Lua, &ApiContext, &mut Args) -> Outcome + Send + 'static,
    ) -> mlua::Result<Function> {
        let (ctx, shapes, class) = (self.ctx.clone(), self.shapes.clone(), class(name, false)?);
        let host = self.lua.create_function(move |lua, values: MultiValue| {
            if let Some(done) = recorded::answer(lua, &ctx, &shapes, name, class, &values)? {
                return Ok(done);
            }
            let note = Note::begin(&ctx, class, &shapes, name, &values);
            let mut args = Args::new(lua, name, &shapes, values);
            let ordered = tested::ordered(&ctx, class, name);
            let work = || match ordered.transpose() {
                Some(done) => done,
                None => {
                    noting_panics(&ctx, || body(lua, &ctx, &mut args).and_then(|reply| args.finish(reply)))
                }
            };
            let outcome = watched(note.as_ref(), work);
            let done = finish(lua, &ctx, &shapes, name, outcome);
            if let Some(note) = note {
                note.end(&shapes, &done, false);
            }
            done
        })?;
        self.wrap.call(host)
    }

    /// A function that may wait. `body` reads its arguments at once and answers the work to be awaited, which
    /// must hold nothing of Lua's.
    pub fn waiting<W>(
        &self,
        name: &'static str,
        body: impl Fn(&ApiContext, &mut Args) -> Result<W, Raise> + Send + Sync + 'static,
    ) -> mlua::Result<Function>
    where
        W: Future<Output = Outcome> + Send + 'static,
    {
        self.waiting_for_database(name, move |ctx, args| {
            check_waits(ctx)?;
            body(ctx, args)
        })
    }

    /// The same for what may be waited for inside of a transaction of the plugin's own database.
    pub fn waiting_for_database<W>(
        &self,
        name: &'static str,
        body: impl Fn(&ApiContext, &mut Args) -> Result<W, Raise> + Send + Sync + 'static,
    ) -> mlua::Result<Function>
    where
        W: Future<Output = Outcome> + Send + 'static,
    {
        let (ctx, shapes, class) = (self.ctx.clone(), self.shapes.clone(), class(name, true)?);
        let begin: Waiting = Arc::new(move |lua, values| {
            let replayed = recorded::turn(lua, &ctx, &shapes, name, class, &values);
            let note = Note::begin(&ctx, class, &shapes, name, &values);
            let mut args = Args::new(lua, name, &shapes, values);
            let begin = || {
                noting_panics(&ctx, || body(&ctx, &mut args).and_then(|work| args.check_end().map(|()| work)))
            };
            let ordered = tested::ordered(&ctx, class, name);
            let at_work = tested::at_work(&ctx, name);
            // What is answered from a record, or fails because a test wants it to, does not begin.
            let begins = replayed.is_none() && matches!(ordered, Ok(None));
            let work = begins.then(|| watched(note.as_ref(), begin));
            let (ctx, shapes, lua) = (ctx.clone(), shapes.clone(), lua.weak());
            let wait = async move {
                let unloaded = || mlua::Error::runtime("the plugin was unloaded");
                if let Some(replayed) = replayed {
                    let step = recorded::wait(&ctx, replayed?).await;
                    return recorded::made(&lua.try_upgrade().ok_or_else(unloaded)?, &shapes, &step);
                }
                // What answers at the first look lets nobody else go on in between.
                let mut waited = false;
                let outcome = match work {
                    Some(Ok(work)) => {
                        let mut work = pin!(work);
                        poll_fn(|cx| {
                            let polled =
                                watched(note.as_ref(), || noting_panics(&ctx, || work.as_mut().poll(cx)));
                            waited |= polled.is_pending();
                            polled
                        })
                        .await
                    }
                    Some(Err(raise)) => Err(raise),
                    None => ordered.map(|it| it.unwrap_or(Reply::Nothing)),
                };
                drop(at_work);
                let lua = lua.try_upgrade().ok_or_else(unloaded)?;
                let done = finish(&lua, &ctx, &shapes, name, outcome);
                if let Some(note) = note {
                    note.end(&shapes, &done, waited);
                }
                done
            };
            wait.boxed()
        });
        let mut waiting = self.waiting.write();
        waiting.push(begin);
        self.wrap_waiting.call((&self.wait, waiting.len() - 1))
    }

    /// `print`, which hands its line to `info`.
    pub fn printer(&self, info: &Function) -> mlua::Result<Function> {
        self.printer.call(info)
    }

    /// Closes `entries` into a module: what is not permitted is taken out, the rest is read-only, and any other
    /// name raises with the nearest one that exists.
    pub fn close(&self, entries: Table, doc: &'static ModuleDoc) -> mlua::Result<Table> {
        // A plugin that learns finds behind the missing name what it wants.
        let behind = self.ctx.learning.is_some().then(|| self.lua.create_table()).transpose()?;
        for function in &doc.functions {
            if hidden(self.ctx, function).is_none() {
                continue;
            }
            let name = function.name.as_str();
            if let Some(behind) = &behind {
                behind.raw_set(name, entries.raw_get::<Value>(name)?)?;
            }
            entries.raw_set(name, Value::Nil)?;
        }
        // Every VM has one of these for each module: what it needs, it finds when it is called.
        let ctx = self.ctx.clone();
        let missing = self.lua.create_function(move |lua, (name, entries): (Value, Table)| {
            let name = name.to_string()?;
            let path = doc.path();
            let function = doc.functions.iter().find(|it| it.name == name);
            if let Some((whole, part)) = function.and_then(|it| hidden(&ctx, it)) {
                if permit::learns(&ctx, whole, part) {
                    return Ok(String::new());
                }
                let function = format!("{path}.{name}");
                let why = permit::deny(&ctx, lua, &function, whole, part);
                return Ok(format!("{function} {why}"));
            }
            let mut names = Vec::new();
            entries.for_each(|name: String, _: Value| {
                names.push(name);
                Ok(())
            })?;
            let what = if doc.name.is_empty() { "module or function" } else { "function" };
            Ok(match find_similar(&name, names.iter().map(String::as_str)) {
                Some(near) => format!("{path} has no {what} '{name}' (did you mean '{near}'?)"),
                None => format!("{path} has no {what} '{name}'"),
            })
        })?;
        let table: Table = self.strict.call((entries, missing, behind))?;
        table.set_readonly(true);
        Ok(table)
    }
}

/// Does a piece of a function's work; what it leaves on the call is noted.
fn watched<T>(note: Option<&Note>, work: impl FnOnce() -> T) -> T {
    match note {
        Some(note) => note.watch(work),
        None => work(),
    }
}

/// What the flight recorder does with a function.
fn class(name: &str, waits: bool) -> mlua::Result<Class> {
    let missing = || mlua::Error::runtime(format!("{name} has no class in lua/recorder/class.rs"));
    class_of(name, waits).ok_or_else(missing)
}

/// The permission that a function lacks: its name and part.
fn hidden<'d>(ctx: &ApiContext, function: &'d Entry) -> Option<(&'d str, Option<&'d str>)> {
    let permission = function.permission.as_deref()?;
    let (whole, part) =
        permission.split_once(':').map_or((permission, None), |(whole, part)| (whole, Some(part)));
    let allowed = match part {
        Some(part) => ctx.permissions.allows(whole, part),
        None => ctx.permissions.has(whole),
    };
    (!allowed).then_some((whole, part))
}

/// Refuses to wait while the database is held.
fn check_waits(ctx: &ApiContext) -> Result<(), Raise> {
    let is_open = |call: &Arc<CallState>| call.transactions.is_open(ctx.current.part());
    match ctx.current.get().is_some_and(|it| is_open(&it)) {
        true => Err(Raise::Wrong(
            "waits, and inside of panotti.db.transaction only panotti.db may be waited for; do it before or after"
                .to_owned(),
        )),
        false => Ok(()),
    }
}

/// Runs code of the host under a script. A script could catch its panic, so it is noted before it goes on.
fn noting_panics<T>(ctx: &ApiContext, work: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done,
        Err(panic) => {
            ctx.current.note_panic();
            resume_unwind(panic)
        }
    }
}

/// `true, …` or `false, message`, as the glue expects it.
fn finish(
    lua: &Lua,
    ctx: &ApiContext,
    shapes: &Shapes,
    name: &str,
    outcome: Outcome,
) -> mlua::Result<MultiValue> {
    let value = match outcome {
        Ok(Reply::Nothing) => return true.into_lua_multi(lua),
        Ok(Reply::Lua(value)) => value,
        Ok(Reply::Json(value)) => to_lua(lua, shapes, &value)?,
        Ok(Reply::Record(value)) => record_to_lua(lua, shapes, &value, "metadata", None)?,
        Ok(Reply::Made(make)) => make(lua)?,
        Ok(Reply::Bytes(bytes)) => Value::String(lua.create_string(bytes)?),
        Ok(Reply::Buffer(bytes, about)) => {
            let about = record_to_lua(lua, shapes, &about, "metadata", None)?;
            return (true, lua.create_buffer(bytes)?, about).into_lua_multi(lua);
        }
        Ok(Reply::Several(mut values)) => {
            values.push_front(Value::Boolean(true));
            return Ok(values);
        }
        Ok(Reply::Failed { code, message }) => {
            let failure = lua.create_table_with_capacity(0, 2)?;
            failure.raw_set("code", code)?;
            failure.raw_set("message", message)?;
            return (true, Value::Nil, failure).into_lua_multi(lua);
        }
        Err(raise) => {
            let message = match raise {
                Raise::Wrong(message) | Raise::Convert(message) | Raise::Denied(message) => message,
                Raise::Limit(message) => {
                    ctx.mark(Mark::Limit);
                    message
                }
                Raise::Lua(error) => return Err(error),
            };
            return (false, format!("{name}: {message}")).into_lua_multi(lua);
        }
    };
    (true, value).into_lua_multi(lua)
}
