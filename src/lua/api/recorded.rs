//! Functions of the host in a replay: what they were answered then is what they answer now.

use std::sync::Arc;

use mlua::{Lua, MultiValue};

use crate::lua::context::{ApiContext, CallState};
use crate::lua::convert::Shapes;
use crate::lua::recorder::{Class, values_of};
use crate::lua::replay::{Turn, leave};
use crate::model::trace::{CallStep, StepAnswer};

/// A recorded answer, and whose it is.
pub(super) type Replayed = mlua::Result<(Box<CallStep>, Option<Arc<CallState>>)>;

/// What a function that may wait is to answer; none = what it does anyway.
pub(super) fn turn(
    lua: &Lua,
    ctx: &ApiContext,
    shapes: &Shapes,
    name: &'static str,
    class: Class,
    values: &MultiValue,
) -> Option<Replayed> {
    let replay = ctx.replay.as_ref().filter(|_| class != Class::Local)?;
    match replay.turn(lua, ctx, shapes, name, class, values) {
        Ok(Turn::Run) => None,
        Ok(Turn::Answer(step)) => Some(Ok((step, ctx.current.get()))),
        Err(error) => Some(Err(error)),
    }
}

/// Waits as long as it is not its turn.
pub(super) async fn wait(
    ctx: &ApiContext,
    (step, call): (Box<CallStep>, Option<Arc<CallState>>),
) -> Box<CallStep> {
    if let Some(replay) = &ctx.replay {
        replay.wait_for(&step, call).await;
    }
    step
}

/// What a function that does not wait is to answer; none = what it does anyway.
pub(super) fn answer(
    lua: &Lua,
    ctx: &ApiContext,
    shapes: &Shapes,
    name: &'static str,
    class: Class,
    values: &MultiValue,
) -> mlua::Result<Option<MultiValue>> {
    let Some(replayed) = turn(lua, ctx, shapes, name, class, values) else { return Ok(None) };
    let (step, call) = replayed?;
    if let Some(call) = call {
        leave(&step, &call);
    }
    made(lua, shapes, &step).map(Some)
}

/// The values of an answer.
pub(super) fn made(lua: &Lua, shapes: &Shapes, step: &CallStep) -> mlua::Result<MultiValue> {
    let lost = || match &step.answer {
        StepAnswer::Lost(why) => format!("what {} answered was not kept: {why}", step.name),
        _ => format!("what {} answered cannot be made again", step.name),
    };
    values_of(lua, shapes, &step.answer)?.ok_or_else(|| mlua::Error::runtime(lost()))
}
