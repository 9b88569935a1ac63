//! `panotti bench`: what the hooks of a plugin cost, beside one that does nothing.

mod payload;
mod rig;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::check::meant;
use super::client::Client;
use super::flags::ClientFlags;
use super::print::{columns, print};
use super::progress::Teller;
use crate::app::server_file::ServerFile;
use crate::config::Settings;
use crate::hooks::{Hook, HookCall, HookKind, Registration, Target};
use crate::lua::Generation;
use crate::model::call::{CallContext, Caller, Outcome};

use rig::Rig;

/// Calls before the measurement, so that everything is in its place.
const WARM_UP: usize = 20;
/// Plugin and empty plugin take turns of this length: what else the machine does hits both.
const TURN: Duration = Duration::from_millis(100);

/// Measures the hooks of a plugin, beside a plugin that does nothing, in the same run.
///
/// Runs in a VM that is thrown away, over an empty database, with no way to other machines, programs and files. The hooks
/// are given what they were given last, when a server with recorded calls runs, else a made-up recording, clip or request.
/// Exit codes: 0 measured, 1 it does not load or every call fails, 2 the command line is wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti bench quiet_hours\n  panotti bench user_plugins/tagger --hook on_clip_captured --seconds 10\n  panotti bench tagger --json | jq '.[].ratio'"
)]
pub(super) struct BenchCommand {
    /// The plugin's folder or name [default: all plugins].
    plugin: Option<PathBuf>,
    /// Only this hook.
    #[arg(long)]
    hook: Option<String>,
    /// How long each hook is measured.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// As a JSON array of {plugin, hook, given, calls, calls_per_s, p50_us, p99_us, cpu_us, memory_bytes, ratio, outcomes, fault}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run(command: BenchCommand) -> Result<(), Failure> {
    let settings = command.server.settings()?;
    let hook = command.hook.as_deref().map(known_hook).transpose()?;
    let plugins = match &command.plugin {
        Some(path) => meant(path, &settings.plugin_dirs)?.0,
        None => super::check::all(&settings.plugin_dirs).0,
    };
    let runs = ServerFile::read(&settings.data_dir).is_some() || command.server.names_address();
    let client = if runs { Client::find(&command.server).ok() } else { None };
    let bench = Bench { rig: Rig::new()?, settings, client, seconds: command.seconds };
    let mut measured = Vec::new();
    for (name, folder) in &plugins {
        measured.extend(bench.plugin(name, folder, hook)?);
    }
    bench.rig.end();
    if measured.is_empty() {
        let which = hook.map_or_else(|| "a hook that can be measured".to_owned(), |it| it.name().to_owned());
        return Err(Failure::Failed(format!("nothing to measure: no plugin registers {which}")));
    }
    print(&match command.json {
        true => format!("{:#}\n", Value::from(measured.iter().map(Measured::json).collect::<Vec<_>>())),
        false => table(&measured),
    })?;
    match measured.iter().find(|it| it.succeeded() == 0) {
        Some(it) => {
            Err(Failure::Failed(format!("every call of {} {} fails: {}", it.plugin, it.hook, it.fault())))
        }
        None => Ok(()),
    }
}

fn known_hook(name: &str) -> Result<Hook, Failure> {
    let hook = Hook::from_name(name).ok_or_else(|| {
        let near = crate::model::spelling::find_similar(name, Hook::ALL.iter().map(|it| it.name()));
        let near = near.map(|it| format!(" (did you mean '{it}'?)")).unwrap_or_default();
        Failure::Usage(format!("there is no hook {name:?}{near}"))
    })?;
    match hook.info().kind {
        HookKind::Life => {
            Err(Failure::Usage(format!("{name} is called once in a plugin's life: it cannot be measured")))
        }
        _ => Ok(hook),
    }
}

struct Bench {
    rig: Rig,
    settings: Settings,
    client: Option<Client>,
    seconds: u64,
}

impl Bench {
    fn plugin(
        &self,
        name: &str,
        folder: &std::path::Path,
        hook: Option<Hook>,
    ) -> Result<Vec<Measured>, Failure> {
        let generation = self.rig.load(name, folder, &self.settings)?;
        let wanted = |it: &Registration| {
            it.hook.info().kind != HookKind::Life && hook.is_none_or(|hook| it.hook == hook)
        };
        let mut measured = Vec::new();
        for it in generation.registrations().iter().filter(|it| wanted(it)) {
            measured.push(self.hook(name, &generation, it)?);
        }
        self.rig.runtime.block_on(generation.retire(Duration::from_secs(1)));
        Ok(measured)
    }

    fn hook(&self, name: &str, generation: &Arc<Generation>, it: &Registration) -> Result<Measured, Failure> {
        let info = it.hook.info();
        let recorded = payload::recorded(self.client.as_ref(), name, info.name);
        let given = match recorded.len() {
            0 => "made up".to_owned(),
            count => format!("{count} recorded"),
        };
        let payloads = if recorded.is_empty() { vec![payload::made_up(info.payload)] } else { recorded };
        let payloads: Vec<Arc<Value>> = payloads.into_iter().map(Arc::new).collect();
        let empty = self.rig.empty(info.name)?;
        let slot = empty.registrations().first().map_or(0, |it| it.slot);
        let (mut own, mut other) = (Side::new(generation, it.slot), Side::new(&empty, slot));
        let mut teller = Teller::on_terminals(format!("{name} {}", info.name));
        let ends = Instant::now() + Duration::from_secs(self.seconds);
        let rounds = async {
            for side in [&mut own, &mut other] {
                side.calls(it.hook, &payloads, Instant::now() + TURN, Some(WARM_UP)).await;
                side.forget();
            }
            let began = Instant::now();
            loop {
                own.calls(it.hook, &payloads, Instant::now() + TURN, None).await;
                other.calls(it.hook, &payloads, Instant::now() + TURN, None).await;
                teller.tell(&format!("{} s of {}", began.elapsed().as_secs(), self.seconds));
                if Instant::now() >= ends {
                    break;
                }
            }
        };
        self.rig.runtime.block_on(rounds);
        teller.end();
        let stats = generation.stats();
        self.rig.runtime.block_on(empty.retire(Duration::ZERO));
        let ratio = own.quantile(0.5).as_secs_f64() / other.quantile(0.5).as_secs_f64().max(1e-9);
        Ok(Measured {
            plugin: name.to_owned(),
            hook: info.name,
            given,
            ratio,
            empty_p50: other.quantile(0.5),
            p50: own.quantile(0.5),
            p99: own.quantile(0.99),
            calls: own.times.len(),
            per_second: own.times.len() as f64 / own.times.iter().sum::<Duration>().as_secs_f64().max(1e-9),
            cpu_us: own.cpu_us(),
            memory_bytes: stats.memory_peak_bytes,
            outcomes: own.outcomes,
            fault: own.fault,
        })
    }
}

/// One of the two that take turns.
struct Side {
    generation: Arc<Generation>,
    slot: u32,
    /// In the order of the calls until [`Side::quantile`] is asked.
    times: Vec<Duration>,
    outcomes: BTreeMap<&'static str, usize>,
    fault: Option<String>,
    before: (u64, u64),
}

impl Side {
    fn new(generation: &Arc<Generation>, slot: u32) -> Self {
        let generation = Arc::clone(generation);
        Side { generation, slot, times: Vec::new(), outcomes: BTreeMap::new(), fault: None, before: (0, 0) }
    }

    fn forget(&mut self) {
        self.times.clear();
        self.outcomes.clear();
        let stats = self.generation.stats();
        self.before = (stats.calls, stats.cpu_us);
    }

    /// One call after another until `until`, at most `most`, at least one.
    async fn calls(&mut self, hook: Hook, payloads: &[Arc<Value>], until: Instant, most: Option<usize>) {
        let mut done = 0;
        while done == 0 || Instant::now() < until && most.is_none_or(|most| done < most) {
            let call = HookCall {
                target: Target::Slot(self.slot),
                payload: Arc::clone(&payloads[self.times.len() % payloads.len()]).into(),
                ctx: CallContext::new(hook.name(), Caller::server()).into(),
                asked_at: Instant::now(),
                timeout: None,
                deadline: None,
                is_question: hook.info().kind == HookKind::Question,
                then: None,
            };
            let began = Instant::now();
            let ended = self.generation.call(call).await;
            self.times.push(began.elapsed());
            let outcome = match ended {
                Ok(reply) => reply.outcome,
                Err(failure) => {
                    self.fault.get_or_insert_with(|| failure.fault.to_string());
                    failure.outcome
                }
            };
            *self.outcomes.entry(outcome.as_str()).or_default() += 1;
            done += 1;
        }
    }

    fn quantile(&self, part: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = ((times.len() as f64 * part).ceil() as usize).saturating_sub(1);
        times.get(at).copied().unwrap_or_default()
    }

    /// Microseconds of CPU in Lua a call.
    fn cpu_us(&self) -> f64 {
        let stats = self.generation.stats();
        let (calls, cpu) = (stats.calls - self.before.0, stats.cpu_us - self.before.1);
        cpu as f64 / calls.max(1) as f64
    }
}

/// What a hook costs.
struct Measured {
    plugin: String,
    hook: &'static str,
    given: String,
    calls: usize,
    per_second: f64,
    p50: Duration,
    p99: Duration,
    empty_p50: Duration,
    cpu_us: f64,
    memory_bytes: usize,
    ratio: f64,
    outcomes: BTreeMap<&'static str, usize>,
    fault: Option<String>,
}

impl Measured {
    fn succeeded(&self) -> usize {
        let fine = [Outcome::Ok.as_str(), Outcome::Refused.as_str()];
        self.outcomes.iter().filter(|(name, _)| fine.contains(name)).map(|(_, count)| count).sum()
    }

    fn fault(&self) -> &str {
        self.fault.as_deref().and_then(|it| it.lines().next()).unwrap_or("-")
    }

    fn json(&self) -> Value {
        let us = |it: Duration| it.as_secs_f64() * 1e6;
        json!({
            "plugin": self.plugin, "hook": self.hook, "given": self.given, "calls": self.calls,
            "calls_per_s": self.per_second, "p50_us": us(self.p50), "p99_us": us(self.p99), "cpu_us": self.cpu_us,
            "memory_bytes": self.memory_bytes, "empty_p50_us": us(self.empty_p50), "ratio": self.ratio,
            "outcomes": self.outcomes, "fault": self.fault,
        })
    }
}

fn table(measured: &[Measured]) -> String {
    let us = |it: Duration| format!("{:.1}", it.as_secs_f64() * 1e6);
    let rows = measured.iter().map(|it| {
        let outcomes: Vec<String> =
            it.outcomes.iter().map(|(name, count)| format!("{name} {count}")).collect();
        [
            it.plugin.clone(),
            it.hook.to_owned(),
            it.given.clone(),
            format!("{:.0}", it.per_second),
            us(it.p50),
            us(it.p99),
            format!("{:.1}", it.cpu_us),
            format!("{}", it.memory_bytes >> 10),
            us(it.empty_p50),
            format!("{:.1}", it.ratio),
            outcomes.join(", "),
        ]
    });
    let mut text = columns(
        [
            "PLUGIN", "HOOK", "GIVEN", "CALLS/S", "P50 US", "P99 US", "CPU US", "KIB", "EMPTY US", "RATIO",
            "OUTCOMES",
        ],
        rows,
    );
    for it in measured.iter().filter(|it| it.fault.is_some()) {
        text.push_str(&format!("{} {}: {}\n", it.plugin, it.hook, crate::app::logging::escaped(it.fault())));
    }
    text
}
