//! A call that has ended, written out without secrets.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value};

use crate::hooks::{Field, Fields, Given};
use crate::lua::context::{CallKind, CallState};
use crate::model::time::Timestamp;
use crate::model::trace::{
    CallStep, FORMAT, Step, StepAnswer, Trace, TraceHead, TraceTarget, TraceWorld, id_of,
};
use crate::services::traces::Recorded;

use super::effects;
use super::mask::Mask;
use super::record::Record;

/// Bytes of a payload's text that are looked at to tell how much memory a call holds.
const COUNTED_VALUES: usize = 10_000;

impl Recorded for CallState {
    fn head(&self) -> TraceHead {
        let Some((record, ended)) = self.record.as_ref().and_then(|it| Some((it, it.ended.get()?))) else {
            return self.trace().head();
        };
        let mut mask = Mask::new(&record.origin.secrets);
        TraceHead {
            number: ended.number,
            id: id_of(ended.number),
            plugin: record.origin.plugin.to_string(),
            hook: self.ctx.hook.to_owned(),
            generation: record.origin.generation,
            at: Timestamp(record.origin.at_us(self)),
            took_ms: ended.took_us as f64 / 1e3,
            outcome: ended.outcome.as_str().to_owned(),
            kept: ended.kept.to_owned(),
            request_id: self.ctx.caller.set_off_by().map(str::to_owned),
            subject: subject_of(&self.ctx, record.input.json()),
            message: ended.fault.as_ref().map(|it| mask.text(&it.to_string())),
        }
    }

    fn trace(&self) -> Trace {
        match &self.record {
            Some(record) => write(self, record),
            None => empty(self.ctx.hook),
        }
    }

    fn number(&self) -> i64 {
        self.record.as_ref().and_then(|it| it.ended.get()).map_or(0, |it| it.number)
    }

    fn bytes(&self) -> usize {
        let Some(record) = &self.record else { return 0 };
        let mut left = COUNTED_VALUES;
        size_of::<CallState>()
            + weigh(&record.input, &mut left)
            + record.tape.lock().bytes(record.origin.call_bytes)
            + record.ended.get().map_or(0, |it| it.returned.bytes())
    }
}

fn empty(hook: &str) -> Trace {
    Trace {
        format: FORMAT,
        id: String::new(),
        plugin: String::new(),
        hook: hook.to_owned(),
        target: TraceTarget::default(),
        generation: 0,
        hash: String::new(),
        version: String::new(),
        at: Timestamp(0),
        took_ms: 0.0,
        outcome: "skipped".to_owned(),
        kept: "recent".to_owned(),
        request_id: None,
        subject: None,
        input: Value::Null,
        ctx: Value::Null,
        world: TraceWorld::default(),
        steps: Vec::new(),
        load: Vec::new(),
        cut: None,
        masked: 0,
        output: Value::Null,
        effects: Value::Null,
        fault: None,
    }
}

fn write(call: &CallState, record: &Record) -> Trace {
    let Some(ended) = record.ended.get() else { return empty(call.ctx.hook) };
    let origin = &record.origin;
    let mut mask = Mask::new(&origin.secrets);
    let (steps, mut cut) = record.tape.lock().read();
    let loaded = origin.load.get().filter(|_| call.kind != CallKind::Load);
    let load = loaded.map(|it| it.steps.clone()).unwrap_or_default();
    cut = cut
        .or_else(|| loaded.and_then(|it| it.cut.as_ref()).map(|it| format!("while its files loaded, {it}")));
    let deadline = f64::from_bits(record.deadline.load(Ordering::Relaxed));
    let effects = ended
        .effects
        .as_ref()
        .map_or_else(|| effects::write(&[], &[]), |it| effects::write(&it.kv, &it.events));
    let mut ctx = call.ctx.to_json();
    if let Some(schedule) = &call.ctx.schedule {
        ctx["schedule"] = (**schedule).into();
    }
    let mut trace = Trace {
        id: id_of(ended.number),
        plugin: origin.plugin.to_string(),
        target: record.slot.map(|it| origin.target(it)).unwrap_or_default(),
        generation: origin.generation,
        hash: origin.hash.to_string(),
        version: origin.version.clone(),
        at: Timestamp(origin.at_us(call)),
        took_ms: ended.took_us as f64 / 1e3,
        outcome: ended.outcome.as_str().to_owned(),
        kept: ended.kept.to_owned(),
        request_id: call.ctx.caller.set_off_by().map(str::to_owned),
        subject: subject_of(&call.ctx, record.input.json()),
        input: mask.value(record.input.json()),
        ctx: mask.value(&ctx),
        world: TraceWorld {
            random: format!("{:016x}", record.random),
            load_random: format!("{:016x}", loaded.map_or(0, |it| it.random)),
            deadline: (deadline != 0.0).then_some(deadline),
            config: origin.config.lock().clone(),
            sliced: record.sliced.load(Ordering::Relaxed),
            in_parts: record.in_parts.load(Ordering::Relaxed),
            is_question: call.kind == CallKind::Question,
            hears: call.payload.is_some(),
        },
        steps: masked(steps, &mut mask),
        load: masked(load, &mut mask),
        cut,
        output: mask.value(&ended.returned.written()),
        effects: mask.value(&effects),
        fault: ended.fault.as_ref().map(|it| (**it).clone()),
        ..empty(call.ctx.hook)
    };
    trace.masked = mask.count;
    trace
}

fn masked(steps: Vec<Step>, mask: &mut Mask<'_>) -> Vec<Step> {
    let step = |it| match it {
        Step::Call(it) => Step::Call(CallStep {
            args: it.args.iter().map(|it| mask.value(it)).collect(),
            effects: mask.value(&it.effects),
            answer: match &it.answer {
                StepAnswer::Returned(values) => {
                    StepAnswer::Returned(values.iter().map(|it| mask.value(it)).collect())
                }
                StepAnswer::Raised(message) => StepAnswer::Raised(mask.text(message)),
                other => other.clone(),
            },
            ..it
        }),
        other => other,
    };
    steps.into_iter().map(step).collect()
}

/// What a call is about.
fn subject_of(ctx: &crate::model::call::CallContext, input: &Value) -> Option<String> {
    if let Some(subject) = input["subject"].as_str() {
        return Some(subject.to_owned());
    }
    let id = match &input["id"] {
        Value::String(it) => it.clone(),
        Value::Number(it) => it.to_string(),
        _ => return None,
    };
    let noun = match ctx.hook {
        it if it.contains("recording") => "recording",
        it if it.contains("clip") => "clip",
        _ => return None,
    };
    Some(format!("{noun}/{id}"))
}

fn weigh(given: &Given, left: &mut usize) -> usize {
    match given.plain_fields() {
        Some(fields) => weight_of_fields(fields, left),
        None => weight(given.json(), left),
    }
}

fn weight_of_fields(fields: &dyn Fields, left: &mut usize) -> usize {
    let weigh = |(name, field): (&str, Field<'_>)| {
        name.len()
            + match field {
                Field::Text(text) => text.len(),
                Field::Texts(texts) => texts.bytes(),
                Field::List(items) => items.iter().map(String::len).sum(),
                Field::Json(json) => weight_of_map(json, left),
                Field::Fields(fields) => weight_of_fields(fields, left),
                Field::Null
                | Field::Flag(_)
                | Field::Whole(_)
                | Field::Number(_)
                | Field::Time(_)
                | Field::Address(_) => 0,
            }
    };
    fields.fields().into_iter().map(weigh).sum()
}

/// About how many bytes a value takes; stops looking after some values.
fn weight(value: &Value, left: &mut usize) -> usize {
    const SLOT: usize = 32;
    *left = left.saturating_sub(1);
    if *left == 0 {
        return SLOT;
    }
    SLOT + match value {
        Value::String(it) => it.len(),
        Value::Array(items) => items.iter().map(|it| weight(it, left)).sum(),
        Value::Object(map) => weight_of_map(map, left),
        _ => 0,
    }
}

fn weight_of_map(map: &Map<String, Value>, left: &mut usize) -> usize {
    map.iter().map(|(key, it)| key.len() + weight(it, left)).sum()
}
