//! What one call asks of the host, noted down as it goes; bounded, and nothing until it asks for the first time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use mlua::{MultiValue, Value};
use serde_json::json;

use crate::lua::context::{ApiContext, CallState};
use crate::lua::convert::Shapes;
use crate::model::trace::{CallStep, Step, StepAnswer};

use super::class::Class;
use super::effects;
use super::value::{encode, is_lost};

/// What a step takes of the room beside its values.
const STEP_BYTES: usize = 96;

/// The steps of a call.
#[derive(Debug)]
pub struct Tape {
    /// In the order in which they began.
    steps: Vec<Step>,
    /// What steps left on the call, by their places.
    left: Vec<(usize, effects::Left)>,
    /// What was left out, when something was.
    pub cut: Option<String>,
    room: usize,
    ended: u32,
    /// The VM's numbers of the call's parts, in the order in which they came up.
    parts: Vec<u64>,
}

impl Tape {
    /// An empty one with room for so many bytes.
    pub fn new(room: usize) -> Self {
        Tape { steps: Vec::new(), left: Vec::new(), cut: None, room, ended: 0, parts: Vec::new() }
    }

    /// The steps and what was cut, for whoever writes the call out.
    pub fn read(&self) -> (Vec<Step>, Option<String>) {
        let mut steps = self.steps.clone();
        for (at, left) in &self.left {
            if let Some(Step::Call(step)) = steps.get_mut(*at) {
                effects::join(&mut step.effects, left.write());
            }
        }
        (steps, self.cut.clone())
    }

    /// About how many bytes it holds.
    pub fn bytes(&self, of: usize) -> usize {
        of.saturating_sub(self.room) + self.steps.len() * size_of::<Step>()
    }

    /// The number of a part within its call: 0 is the call itself, the others count in the order in which they began.
    pub fn part(&mut self, vm: u64) -> u32 {
        if vm == 0 {
            return 0;
        }
        let at = self.parts.iter().position(|it| *it == vm).unwrap_or_else(|| {
            self.parts.push(vm);
            self.parts.len() - 1
        });
        u32::try_from(at + 1).unwrap_or(u32::MAX)
    }

    /// Notes a reading of a clock or of chance.
    pub fn sense(&mut self, make: impl FnOnce(u32) -> Step, part: u64) {
        if self.take(STEP_BYTES, "a reading of a clock") {
            let part = self.part(part);
            self.steps.push(make(part));
        }
    }

    fn begin(
        &mut self,
        shapes: &Shapes,
        name: &'static str,
        part: u64,
        values: &MultiValue,
    ) -> Option<usize> {
        if !self.take(STEP_BYTES, name) {
            return None;
        }
        let mut args = Vec::with_capacity(values.len());
        for value in values {
            match encode(shapes, value, &mut self.room) {
                Ok(it) => args.push(it),
                Err(lost) => {
                    self.cut = Some(format!("an argument of {name}: {}", lost.why()));
                    return None;
                }
            }
        }
        let part = self.part(part);
        self.steps.push(Step::Call(CallStep {
            name: Cow::Borrowed(name),
            part,
            args,
            answer: StepAnswer::Unfinished,
            order: 0,
            took_us: 0,
            marks: 0,
            effects: serde_json::Value::Null,
        }));
        Some(self.steps.len() - 1)
    }

    fn end(&mut self, at: usize, shapes: &Shapes, answer: &mlua::Result<MultiValue>, waited: bool) {
        let told = answer_of(shapes, answer, &mut self.room);
        if waited {
            self.ended += 1;
        }
        let order = if waited { self.ended } else { 0 };
        if let Some(Step::Call(step)) = self.steps.get_mut(at) {
            step.answer = told;
            step.order = order;
        }
    }

    /// Takes room for `bytes`; once there is none, nothing more is noted.
    fn take(&mut self, bytes: usize, what: &str) -> bool {
        if self.cut.is_some() {
            return false;
        }
        match self.room.checked_sub(bytes) {
            Some(left) => {
                self.room = left;
                true
            }
            None => {
                self.cut = Some(format!(
                    "from step {} on ({what}): no room (traces.call_kib)",
                    self.steps.len() + 1
                ));
                false
            }
        }
    }
}

/// What the glue was answered: `true, …` or `false, message`.
fn answer_of(shapes: &Shapes, answer: &mlua::Result<MultiValue>, room: &mut usize) -> StepAnswer {
    let values = match answer {
        Ok(values) => values,
        Err(error) => return StepAnswer::Lost(crate::lua::fault::text_of(error)),
    };
    if let (Some(Value::Boolean(false)), Some(Value::String(message))) = (values.front(), values.get(1)) {
        return StepAnswer::Raised(message.to_string_lossy());
    }
    let mut written = Vec::with_capacity(values.len().saturating_sub(1));
    for value in values.iter().skip(1) {
        match encode(shapes, value, room) {
            Ok(it) => written.push(it),
            Err(lost) => return StepAnswer::Lost(lost.why().to_owned()),
        }
    }
    match written.iter().find_map(is_lost) {
        Some(what) => StepAnswer::Lost(format!("it is a {what}")),
        None => StepAnswer::Returned(written),
    }
}

/// A function of the host that is under way and noted on its call's tape.
pub struct Note {
    call: Arc<CallState>,
    at: usize,
    began: Instant,
    is_told: bool,
}

impl Note {
    /// Notes that `name` is called, unless it is not to be noted.
    pub fn begin(
        ctx: &ApiContext,
        class: Class,
        shapes: &Shapes,
        name: &'static str,
        values: &MultiValue,
    ) -> Option<Note> {
        if class == Class::Local {
            return None;
        }
        let call = ctx.current.get()?;
        let at = call.record.as_ref()?.tape.lock().begin(shapes, name, ctx.current.part(), values)?;
        Some(Note { call, at, began: Instant::now(), is_told: class == Class::Told })
    }

    /// Runs a piece of it and notes what it leaves on the call: effects, and what doors have noted.
    pub fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = effects::Mark::of(&self.call);
        let done = work();
        let (marks, left) = before.since(&self.call);
        if (marks != 0 || left.is_some())
            && let Some(record) = &self.call.record
        {
            let mut tape = record.tape.lock();
            if let Some(Step::Call(step)) = tape.steps.get_mut(self.at) {
                step.marks |= marks;
            }
            tape.left.extend(left.map(|it| (self.at, it)));
        }
        done
    }

    /// It has ended, after some waiting or at once.
    pub fn end(self, shapes: &Shapes, answer: &mlua::Result<MultiValue>, waited: bool) {
        let Some(record) = &self.call.record else { return };
        let mut tape = record.tape.lock();
        // The handle of a task is made anew in a replay.
        let handle = Ok(MultiValue::from_iter([Value::Boolean(true)]));
        let answer = if self.is_told && answer.is_ok() { &handle } else { answer };
        tape.end(self.at, shapes, answer, waited);
        if let Some(Step::Call(step)) = tape.steps.get_mut(self.at) {
            step.took_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        }
    }
}

/// An answer on a tape as the values that the glue takes; none for one that cannot be made.
pub fn values_of(lua: &mlua::Lua, shapes: &Shapes, answer: &StepAnswer) -> mlua::Result<Option<MultiValue>> {
    let values = match answer {
        StepAnswer::Returned(values) => values,
        StepAnswer::Raised(message) => {
            let message = Value::String(lua.create_string(message)?);
            return Ok(Some(MultiValue::from_iter([Value::Boolean(false), message])));
        }
        StepAnswer::Unfinished | StepAnswer::Lost(_) => return Ok(None),
    };
    let mut made = MultiValue::from_iter([Value::Boolean(true)]);
    for value in values {
        let Some(value) = super::value::decode(lua, shapes, value)? else { return Ok(None) };
        made.push_back(value);
    }
    Ok(Some(made))
}

/// The arguments of a call of the host as a tape has them.
pub fn args_of(shapes: &Shapes, values: &MultiValue) -> Vec<serde_json::Value> {
    let mut room = usize::MAX;
    values.iter().map(|it| encode(shapes, it, &mut room).unwrap_or(json!({"$": "too deep"}))).collect()
}
