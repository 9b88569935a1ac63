//! One case: its file in a VM of its own, and the hosts that it asks for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::config::PluginLimits;
use crate::error::Error;
use crate::hooks::{Given, HookCall, Target};
use crate::lua::effects::{Answered, Door, Work};
use crate::lua::examiner::Examiner;
use crate::lua::library;
use crate::lua::permission::Permissions;
use crate::lua::replay::LogLine;
use crate::lua::stand_in::StandIn;
use crate::lua::{Generation, HostOptions, LuaHost, PluginSource};
use crate::model::call::{CallContext, Caller, Outcome};
use crate::plugins::problem::excerpt;

use super::desk::{Desk, runtime};
use super::find::TestFiles;
use super::report::{TestCase, TestFailure, line};
use super::stage::{Stage, lines_of};

/// The tests of one plugin, and how they are run.
pub(super) struct Plan<'a> {
    pub(super) desk: &'a Desk,
    pub(super) plugin: &'a str,
    pub(super) files: &'a TestFiles,
    pub(super) roots: &'a [PathBuf],
    pub(super) config: Arc<Value>,
    pub(super) seed: u64,
    pub(super) timeout: Duration,
}

/// A case that a file has.
#[derive(Debug, Clone)]
pub(super) struct Found {
    slot: u32,
    pub(super) name: String,
    pub(super) line: Option<u32>,
}

/// What the VM of a test asks and notes.
struct Desktop {
    asks: UnboundedSender<Asked>,
    cases: Mutex<Vec<Found>>,
    notes: Mutex<Vec<(String, String)>>,
    lines: Mutex<Vec<LogLine>>,
    /// Where the test was when it asked last.
    place: Mutex<Option<(String, u32)>>,
}

struct Asked {
    what: String,
    arguments: Value,
    answer: oneshot::Sender<Value>,
}

impl Examiner for Desktop {
    fn ask(&self, what: &str, arguments: Value, place: Option<(String, u32)>) -> Work<Answered> {
        let (answer, waiting) = oneshot::channel();
        *self.place.lock() = place;
        let _ = self.asks.send(Asked { what: what.to_owned(), arguments, answer });
        Box::pin(async move {
            waiting.await.map_err(|_| ("stopped".to_owned(), "the test was stopped".to_owned()))
        })
    }

    fn case(&self, slot: u32, name: &str, place: Option<(String, u32)>) {
        self.cases.lock().push(Found { slot, name: name.to_owned(), line: place.map(|(_, line)| line) });
    }

    fn note(&self, message: &str, detail: &str) {
        let mut notes = self.notes.lock();
        // The last ones count; a test may make claims in a loop that it catches.
        if notes.len() >= 100 {
            notes.remove(0);
        }
        notes.push((message.to_owned(), detail.to_owned()));
    }

    fn line(&self, level: &str, message: &str, fields: &Value) {
        let mut lines = self.lines.lock();
        if lines.len() < 500 {
            let (level, message) = (level.to_owned(), message.to_owned());
            lines.push(LogLine { level, message, fields: fields.clone() });
        }
    }
}

/// The cases of `file`, in their order.
///
/// # Errors
/// Why it does not load.
pub(super) fn cases_of(plan: &Plan, file: &str) -> Result<Vec<Found>, TestFailure> {
    let runtime = runtime().map_err(broken)?;
    runtime.block_on(async {
        let (lua, desktop, _asks) = host(plan).map_err(broken)?;
        let loaded = load(plan, &lua, &desktop, file).await;
        let found = desktop.cases.lock().clone();
        if let Ok(generation) = &loaded {
            generation.retire(Duration::ZERO).await;
        }
        lua.stop();
        loaded.map(|_| found)
    })
}

/// Runs one case.
pub(super) fn run_case(plan: &Plan, file: &str, found: &Found) -> TestCase {
    let began = Instant::now();
    let mut case = TestCase { name: found.name.clone(), line: found.line, ..TestCase::default() };
    match runtime() {
        Ok(runtime) => {
            runtime.block_on(conduct(plan, file, found, &mut case));
            runtime.shutdown_background();
        }
        Err(error) => case.failure = Some(broken(error)),
    }
    case.ok = case.failure.is_none();
    if case.ok {
        case.log.clear();
    }
    case.took_ms = began.elapsed().as_secs_f64() * 1e3;
    case
}

async fn conduct(plan: &Plan<'_>, file: &str, found: &Found, case: &mut TestCase) {
    let (lua, desktop, mut asks) = match host(plan) {
        Ok(it) => it,
        Err(error) => return case.failure = Some(broken(error)),
    };
    let mut stage = Stage {
        desk: plan.desk,
        plugin: plan.plugin,
        files: &plan.files.plugin,
        fixtures: &plan.files.fixtures,
        scripts: &plan.files.scripts,
        roots: plan.roots,
        seed: plan.seed,
        hosts: Vec::new(),
    };
    match load(plan, &lua, &desktop, file).await {
        Ok(generation) => {
            // The same file has the same cases, unless chance decides which.
            let slot = desktop.cases.lock().iter().find(|it| it.name == found.name).map(|it| it.slot);
            case.failure = match slot {
                Some(slot) => attend(&generation, slot, &desktop, &mut asks, &mut stage).await,
                None => Some(TestFailure::plain("the file has this case no more when it is loaded again")),
            };
            generation.retire(Duration::ZERO).await;
        }
        Err(failure) => case.failure = Some(failure),
    }
    lua.stop();
    case.log = desktop.lines.lock().iter().map(line).collect();
    for bench in stage.hosts {
        case.log.extend(bench.world.log().iter().map(line));
        bench.close().await;
    }
}

/// Lets the case run, and does what it asks for meanwhile.
async fn attend(
    generation: &Generation,
    slot: u32,
    desktop: &Desktop,
    asks: &mut UnboundedReceiver<Asked>,
    stage: &mut Stage<'_>,
) -> Option<TestFailure> {
    let mut ending = generation.call(HookCall {
        target: Target::Slot(slot),
        payload: Given::default(),
        ctx: CallContext::new("test", Caller::server()).into(),
        asked_at: Instant::now(),
        timeout: None,
        deadline: None,
        is_question: false,
        then: None,
    });
    let ended = loop {
        let asked = tokio::select! {
            biased;
            ended = &mut ending => break ended,
            Some(asked) = asks.recv() => asked,
        };
        // A case whose time is over waits for nothing any more.
        tokio::select! {
            biased;
            ended = &mut ending => break ended,
            answer = stage.perform(&asked.what, &asked.arguments) => drop(asked.answer.send(answer)),
        }
    };
    // What failed inside the plugin is no success, unless the test has looked at it.
    let fault = stage.hosts.iter().flat_map(|it| it.world.take_faults()).next();
    if let Err(failure) = ended {
        let is_over = failure.outcome == Outcome::Deadline;
        let mut failure = TestFailure::of(failure.fault);
        if is_over {
            failure.message = "the case ran longer than its time (--timeout)".to_owned();
        }
        // What it waited for is nothing of its own; the line that asked is.
        if failure.file.as_ref().is_none_or(|it| it.starts_with('@')) {
            (failure.file, failure.line) = desktop.place.lock().clone().unzip();
            let text = failure.file.as_ref().and_then(|it| stage.scripts.get(it));
            let text = text.and_then(|it| std::str::from_utf8(it).ok());
            failure.excerpt = text.zip(failure.line).and_then(|(text, line)| excerpt(text, line as usize));
        }
        let notes = desktop.notes.lock();
        let said = notes.iter().rev().find(|(message, _)| failure.message.starts_with(first_line(message)));
        if let Some((message, detail)) = said {
            failure.message.clone_from(message);
            failure.detail = Some(detail.clone()).filter(|it| !it.is_empty());
            failure.traceback = None;
        }
        if let Some(fault) = fault {
            let hook = fault.hook.as_deref().unwrap_or("a call");
            let own = format!("{hook} failed in the plugin: {fault}\n{}", lines_of(&fault));
            let detail = failure.detail.take().map(|it| format!("{it}\n")).unwrap_or_default();
            failure.detail = Some(format!("{detail}{}", own.trim_end()));
        }
        return Some(failure);
    }
    let fault = fault?;
    let detail = lines_of(&fault);
    let hook = fault.hook.as_deref().unwrap_or("a call");
    Some(TestFailure {
        message: format!("{hook} failed in the plugin: {fault}"),
        detail: Some(detail).filter(|it| !it.is_empty()),
        hint: Some("A test that wants this asks host:errors() for it.".to_owned()),
        traceback: fault.traceback,
        ..TestFailure::default()
    })
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The host of the test's own script.
fn host(plan: &Plan) -> Result<(LuaHost, Arc<Desktop>, UnboundedReceiver<Asked>), Error> {
    let (asks, asked) = unbounded_channel();
    let desktop = Arc::new(Desktop {
        asks,
        cases: Mutex::default(),
        notes: Mutex::default(),
        lines: Mutex::default(),
        place: Mutex::default(),
    });
    // The test's own clock stands still, too, and its chance comes from the seed.
    let door: Arc<dyn Door> = Arc::new(StandIn::new(plan.desk.services.clock.now_us(), plan.seed));
    let examiner: Arc<dyn Examiner> = Arc::clone(&desktop) as Arc<dyn Examiner>;
    let options = HostOptions {
        threads: 1,
        library: Arc::new(library::with_tests()),
        door: Some(door),
        examiner: Some(examiner),
        ..HostOptions::new(Handle::current(), plan.desk.services.clone())
    };
    Ok((LuaHost::new(options).map_err(Error::internal)?, desktop, asked))
}

async fn load(
    plan: &Plan<'_>,
    lua: &LuaHost,
    desktop: &Desktop,
    file: &str,
) -> Result<Arc<Generation>, TestFailure> {
    let millis = u64::try_from(plan.timeout.as_millis()).unwrap_or(u64::MAX);
    let limits = PluginLimits {
        cpu_ms: millis,
        wall_ms: millis,
        load_cpu_ms: millis,
        load_wall_ms: millis,
        instances: 1,
        ..PluginLimits::default()
    };
    let source = PluginSource {
        name: plan.plugin.into(),
        version: "0.0.0".to_owned(),
        generation: 1,
        hash: "".into(),
        entry: file.to_owned(),
        files: Arc::clone(&plan.files.scripts),
        config: Arc::clone(&plan.config),
        secret_keys: Arc::new([]),
        permissions: Permissions(BTreeMap::new()),
        dependencies: Arc::new([]),
        requested: Permissions(BTreeMap::new()),
        learn: false,
        limits,
    };
    lua.load(source).await.map_err(|failure| {
        let mut failure = TestFailure::of(failure.fault);
        if let Some((message, detail)) = desktop.notes.lock().last()
            && failure.message.starts_with(first_line(message))
        {
            failure.detail = Some(detail.clone()).filter(|it| !it.is_empty());
        }
        failure
    })
}

fn broken(error: Error) -> TestFailure {
    TestFailure::plain(format!("the test cannot be run: {error}"))
}

/// The config that a plugin has without anybody's values.
pub(super) fn no_config() -> Arc<Value> {
    Arc::new(json!(Map::new()))
}

#[cfg(test)]
mod tests {
    use crate::hooks::catalogue::Payload;

    /// The module that tests require.
    const MODULE: &str = include_str!("../../../scripts/testing/test.luau");

    #[test]
    fn what_tests_make_has_the_fields_that_hooks_are_given() {
        for (name, payload) in [
            ("clip", Payload::Clip),
            ("recording", Payload::Recording),
            ("request", Payload::Request),
            ("response", Payload::Response),
        ] {
            let start = MODULE.find(&format!("function t.{name}(")).expect("the function");
            let body = &MODULE[start..start + MODULE[start..].find("\nend\n").expect("its end")];
            for (field, ..) in payload.fields() {
                let is_there =
                    body.contains(&format!("{field} = ")) || body.contains(&format!("\"{field}\""));
                assert!(is_there, "t.{name} has no {field}");
            }
        }
    }
}
