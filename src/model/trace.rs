//! One call into a plugin as the flight recorder keeps it: all it was given, all it was answered, what it came to.
//! As JSON it is a file by itself, from which the call can be run again.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::ScriptFault;

use super::time::Timestamp;

/// The form of the file; one that reads an older form says so.
pub const FORMAT: u32 = 1;

/// A recorded call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The form of this file.
    pub format: u32,
    /// Its id; ids grow with time.
    pub id: String,
    /// Whose call it was.
    pub plugin: String,
    /// The hook's name, or `event`, `route`, `timer`, `export`, `task`, `load`.
    pub hook: String,
    /// Which of the plugin's functions.
    pub target: TraceTarget,
    /// The generation that was called.
    pub generation: u64,
    /// The hash of its files.
    pub hash: String,
    /// The version of its manifest.
    pub version: String,
    /// When it began (UTC).
    pub at: Timestamp,
    /// How long it took, waits included, in milliseconds.
    pub took_ms: f64,
    /// How it ended (`ok`, `refused`, `runtime`, `deadline`, …).
    pub outcome: String,
    /// Why it is kept: `failure`, `sample`, or `recent` (one of the last of its hook, in memory).
    pub kept: String,
    /// The HTTP request that set it off, also by way of events; where none did, the id of the first event.
    pub request_id: Option<String>,
    /// What it is about, such as `recording/<id>` or `clip/<id>`.
    pub subject: Option<String>,
    /// The first argument.
    pub input: Value,
    /// The second argument, without `plugin`, `generation` and `deadline`.
    pub ctx: Value,
    /// What of the host's own state the call saw.
    pub world: TraceWorld,
    /// What it asked of the host, in this order.
    pub steps: Vec<Step>,
    /// What the plugin's files asked of the host while they were loaded.
    pub load: Vec<Step>,
    /// What was left out because of its size; none = nothing.
    pub cut: Option<String>,
    /// Values that stand as `***` because they are secret.
    pub masked: usize,
    /// What it returned: `{kind, …}`.
    pub output: Value,
    /// What is committed with it: `{kv, events}`.
    pub effects: Value,
    /// What went wrong.
    pub fault: Option<ScriptFault>,
}

/// Which of a plugin's functions was called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceTarget {
    /// The hook, the pattern of the subscription, `GET /path`, the name of the schedule or the exported function.
    pub name: String,
    /// Which of the handlers with this name, from 0.
    pub nth: usize,
}

/// What a call saw of the host that is neither its input nor an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceWorld {
    /// The state of the random numbers when it began, in hexadecimal digits.
    pub random: String,
    /// The same when the plugin's files were loaded.
    pub load_random: String,
    /// `ctx.deadline`, if the function looked at its second argument.
    pub deadline: Option<f64>,
    /// A fingerprint of the config that was in force.
    pub config: String,
    /// Whether its time slice ended in the middle of what it did: which of its parts went on then is not recorded.
    #[serde(default)]
    pub sliced: bool,
    /// Whether parts of it ran side by side, whatever they asked for. A trace of before this was noted may have had some.
    #[serde(default = "perhaps")]
    pub in_parts: bool,
    /// Whether it was asked as a question, with the smaller budget.
    pub is_question: bool,
    /// Whether the host itself made the payload, so that its files may be heard.
    pub hears: bool,
}

fn perhaps() -> bool {
    true
}

/// One thing that a call asked of the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Step {
    /// A function of the host.
    Call(CallStep),
    /// The wall clock was read: microseconds since 1970 UTC.
    Now {
        /// Which coroutine of the call, from 0.
        part: u32,
        /// What it said.
        us: i64,
    },
    /// The clock that only goes forward was read: seconds.
    Monotonic {
        /// Which coroutine of the call, from 0.
        part: u32,
        /// What it said.
        seconds: f64,
    },
    /// Bytes for an identifier.
    Chance {
        /// Which coroutine of the call, from 0.
        part: u32,
        /// The 16 bytes, in hexadecimal digits.
        bytes: String,
    },
}

/// A call of a function of the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallStep {
    /// Such as `panotti.http.get`.
    pub name: Cow<'static, str>,
    /// Which coroutine of the call asked, from 0; the others are those of `task.gather`.
    pub part: u32,
    /// What it was given.
    pub args: Vec<Value>,
    /// What it answered.
    pub answer: StepAnswer,
    /// Of those that waited: which ended first, from 1; 0 = it never waited, or never ended.
    pub order: u32,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What a door noted: 1 = a permission was missing, 2 = a limit was met, 4 = a value could not cross.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub marks: u8,
    /// Writes and events that it left to be committed with the call.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub effects: Value,
}

/// What a function of the host answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepAnswer {
    /// Its values.
    Returned(Vec<Value>),
    /// It raised this.
    Raised(String),
    /// The call ended before it answered.
    Unfinished,
    /// It answered what cannot be kept; why.
    Lost(String),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(it: &u8) -> bool {
    *it == 0
}

/// What a list shows of a recorded call.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TraceHead {
    /// Its place among all calls.
    #[serde(skip)]
    pub number: i64,
    /// Its id.
    pub id: String,
    /// Whose call it was.
    pub plugin: String,
    /// The hook's name, or `event`, `route`, `timer`, `export`, `task`, `load`.
    pub hook: String,
    /// The generation that was called.
    pub generation: u64,
    /// When it began (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// How it ended.
    pub outcome: String,
    /// Why it is kept: `failure`, `sample` or `recent`.
    pub kept: String,
    /// The HTTP request that set it off, also by way of events; where none did, the id of the first event.
    pub request_id: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// What went wrong, in one line, with file and line.
    pub message: Option<String>,
}

impl Trace {
    /// What a list shows of it.
    pub fn head(&self) -> TraceHead {
        TraceHead {
            number: number_of(&self.id).unwrap_or_default(),
            id: self.id.clone(),
            plugin: self.plugin.clone(),
            hook: self.hook.clone(),
            generation: self.generation,
            at: self.at,
            took_ms: self.took_ms,
            outcome: self.outcome.clone(),
            kept: self.kept.clone(),
            request_id: self.request_id.clone(),
            subject: self.subject.clone(),
            message: self.fault.as_ref().map(ToString::to_string),
        }
    }

    /// Whether parts of it may have gone on in an order that is not recorded.
    pub fn order_is_unknown(&self) -> bool {
        self.world.sliced && self.world.in_parts
    }

    /// Why it cannot be run again; none = it can.
    pub fn why_not_replayable(&self) -> Option<String> {
        match self.hook.as_str() {
            "task" => return Some("a task is a function of a running VM, which no file holds".to_owned()),
            "load" if self.outcome == "syntax" => return Some("its files do not compile".to_owned()),
            _ => {}
        }
        if let Some(cut) = &self.cut {
            return Some(format!("not all of it was kept: {cut}"));
        }
        self.load.iter().chain(&self.steps).find_map(|it| match it {
            Step::Call(CallStep { name, answer: StepAnswer::Lost(why), .. }) => {
                Some(format!("what {name} answered could not be kept: {why}"))
            }
            _ => None,
        })
    }
}

/// The id of the call with this number.
pub fn id_of(number: i64) -> String {
    format!("{number:x}")
}

/// The number of the call with this id.
pub fn number_of(id: &str) -> Option<i64> {
    i64::from_str_radix(id, 16).ok().filter(|it| *it > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_that_does_not_say_whether_it_had_parts_may_have_had_some() {
        let mut world = serde_json::to_value(TraceWorld::default()).unwrap();
        assert!(world.as_object_mut().unwrap().remove("in_parts").is_some());
        assert!(serde_json::from_value::<TraceWorld>(world).unwrap().in_parts);
    }

    #[test]
    fn an_id_leads_back_to_its_number() {
        assert_eq!(number_of(&id_of(7_300_000_000_000_000_000)), Some(7_300_000_000_000_000_000));
        assert_eq!((number_of("-1"), number_of("xyz"), number_of("")), (None, None, None));
    }
}
