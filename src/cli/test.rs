//! `panotti test`: the tests that lie in plugins' folders.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::check::{meant, text};
use super::flags::FolderFlags;
use super::print::{counted, print};
use crate::app::logging::escaped;
use crate::config::Settings;
use crate::plugins::discovery::scan;
use crate::plugins::testing::{
    Progress, TestCase, TestFailure, TestOptions, TestReport, Told, WITHIN, files_of, junit, run as run_tests,
};

/// Runs the tests of plugins: each case in a server of its own, with a clock that the test moves.
///
/// Tests are `*_test.lua`, `*.test.lua` and `tests/*.lua` in a plugin's folder. The network, other programs and other
/// files are closed to them; what they write is thrown away.
///
/// Exit codes: 0 all went well, 1 something failed or there was nothing to run, 2 the command line or the settings are wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti test\n  panotti test user_plugins/quiet_hours\n  panotti test quiet_hours --filter 'at night' --watch\n  panotti test --junit report.xml\n  panotti test --json | jq '.summary'"
)]
pub(super) struct TestCommand {
    /// A plugin's folder or name, or a folder of plugins [default: all plugin folders of the settings].
    path: Option<PathBuf>,
    /// Runs again whenever a file of these plugins is saved, until it is stopped.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Only cases with this text in `<plugin>/<file>: <name>`.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Where chance begins; the same number gives the same run [default: another one each time].
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Also writes the report as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The report as JSON, as `POST /api/v1/plugins/{id}/test` answers it.
    #[arg(long)]
    json: bool,
    /// The longest time of one case, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    timeout: f64,
    /// For the server: settings and environment come over stdin.
    #[arg(long, hide = true, requires = "json", requires = "path")]
    apart: bool,
    #[command(flatten)]
    folders: FolderFlags,
}

type Plugins = BTreeMap<String, PathBuf>;

pub(super) fn run(command: TestCommand) -> Result<(), Failure> {
    let (settings, env) = match command.apart {
        true => handed_over()?,
        false => (command.folders.settings()?, std::env::vars_os().filter_map(text).collect()),
    };
    let settings = Arc::new(settings);
    let plugins = plugins(command.path.as_deref(), &settings)?;
    if !(0.01..=3_600.0).contains(&command.timeout) {
        return Err(Failure::Usage("--timeout takes 0.01 to 3600 seconds".to_owned()));
    }
    let options = TestOptions {
        settings: Arc::clone(&settings),
        env,
        filter: command.filter.clone(),
        seed: command.seed.unwrap_or_else(chance),
        timeout: Duration::from_secs_f64(command.timeout),
    };
    if command.watch {
        return super::test_watch::watch(
            || plugins_again(&command, &settings),
            |found| {
                let seed = command.seed.unwrap_or_else(chance);
                once(&command, found, &TestOptions { seed, ..options.clone() })
            },
        );
    }
    once(&command, &plugins, &options)
}

/// Settings and environment of the server that started this.
fn handed_over() -> Result<(Settings, Vec<(String, String)>), Failure> {
    let told: Told = serde_json::from_reader(std::io::stdin())
        .map_err(|fault| Failure::Usage(format!("--apart is for the server: {fault}")))?;
    Ok((told.settings, told.env))
}

fn plugins_again(command: &TestCommand, settings: &Settings) -> Plugins {
    plugins(command.path.as_deref(), settings).unwrap_or_default()
}

fn plugins(path: Option<&Path>, settings: &Settings) -> Result<Plugins, Failure> {
    match path {
        Some(path) => Ok(meant(path, &settings.plugin_dirs)?.0),
        None => {
            let found = scan(&settings.plugin_dirs).folders;
            Ok(found.into_iter().map(|(name, folder)| (name.to_string(), folder)).collect())
        }
    }
}

/// A number that people can type again.
fn chance() -> u64 {
    getrandom::u32().map_or(0, u64::from)
}

/// Runs everything once, and tells of it.
fn once(command: &TestCommand, plugins: &Plugins, options: &TestOptions) -> Result<(), Failure> {
    let mut told = Ok(());
    let mut teller = Teller { is_json: command.json, ..Teller::new(plugins, options) };
    let until = command.apart.then(|| Instant::now() + WITHIN);
    let report = run_tests(plugins, options, until, &mut |progress| {
        let text = teller.tell(&progress);
        if told.is_ok() && !text.is_empty() {
            told = print(&text);
        }
    });
    teller.clear();
    told?;
    let report = report.map_err(|error| Failure::Failed(error.detail))?;
    if let Some(path) = &command.junit {
        let written = std::fs::write(path, junit(&report));
        written.map_err(|fault| Failure::Failed(format!("{}: {fault}", path.display())))?;
    }
    if command.json {
        let json = serde_json::to_string_pretty(&report).map_err(|it| Failure::Failed(it.to_string()))?;
        print(&format!("{json}\n"))?;
    } else {
        print(&summary(&report))?;
    }
    match (report.summary.failed, report.summary.cases) {
        (0, 0) => Err(Failure::Failed(nothing(plugins, options))),
        (0, _) => Ok(()),
        (failed, _) => {
            let seed = report.seed;
            Err(Failure::Failed(format!("{failed} failed; --seed {seed} runs them with the same chance")))
        }
    }
}

fn nothing(plugins: &Plugins, options: &TestOptions) -> String {
    match &options.filter {
        Some(filter) => format!("no case has {filter:?} in its plugin, file or name"),
        None => format!(
            "no tests in {} plugins: write them into tests/*.lua or *_test.lua; `panotti new` makes a plugin that has some",
            plugins.len()
        ),
    }
}

/// Tells how a run goes: lines for people, and on a terminal which case is under way.
struct Teller {
    is_json: bool,
    shows_place: bool,
    total: usize,
    done: usize,
}

impl Teller {
    fn new(plugins: &Plugins, options: &TestOptions) -> Self {
        let with_tests = |folder: &PathBuf| files_of(folder).map_or(0, |it| it.tests.len());
        let total = if options.filter.is_some() { 0 } else { plugins.values().map(with_tests).sum() };
        Teller { is_json: false, shows_place: std::io::stderr().is_terminal(), total, done: 0 }
    }

    /// What people read of it.
    fn tell(&mut self, progress: &Progress) -> String {
        let mut text = String::new();
        match progress {
            Progress::File(plugin, file, _) => {
                self.done += 1;
                _ = writeln!(text, "{}/{}", escaped(plugin), escaped(file));
            }
            Progress::Case(plugin, file, name) => self.place(&format!("{plugin}/{file}: {name}")),
            Progress::Ended(plugin, _, case) => text = told(plugin, case),
            Progress::Broken(plugin, file, failure) => {
                self.done += 1;
                _ = writeln!(text, "{}/{}\n  failed  does not load", escaped(plugin), escaped(file));
                text.push_str(&shown(plugin, failure));
            }
        }
        if !text.is_empty() {
            self.clear();
        }
        if self.is_json { String::new() } else { text }
    }

    /// Says on the terminal what is under way; nothing of it stays.
    fn place(&self, what: &str) {
        if self.shows_place {
            let of = if self.total > 0 { format!("[{}/{}] ", self.done, self.total) } else { String::new() };
            let line: String = format!("{of}{}", escaped(what)).chars().take(100).collect();
            _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        }
    }

    fn clear(&self) {
        if self.shows_place {
            _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// One case as people read it.
fn told(plugin: &str, case: &TestCase) -> String {
    let outcome = if case.ok { "ok    " } else { "failed" };
    let mut text = format!("  {outcome}  {} ({:.0} ms)\n", escaped(&case.name), case.took_ms);
    if let Some(failure) = &case.failure {
        text.push_str(&shown(plugin, failure));
    }
    if !case.log.is_empty() {
        text.push_str("          log:\n");
    }
    for it in &case.log {
        let fields = match &it["fields"] {
            Value::Null => String::new(),
            fields => format!(" {fields}"),
        };
        let (level, message) = (it["level"].as_str().unwrap_or("-"), it["message"].as_str().unwrap_or("-"));
        _ = writeln!(text, "            {level:<5} {}{}", escaped(message), escaped(&fields));
    }
    text
}

fn shown(plugin: &str, failure: &TestFailure) -> String {
    let mut text = String::new();
    let mut line = |indent: usize, it: &str| {
        _ = writeln!(text, "{:indent$}{}", "", it.split('\t').map(escaped).collect::<Vec<_>>().join("\t"));
    };
    let place = match (&failure.file, failure.line) {
        (Some(file), Some(at)) => format!("{plugin}/{file}:{at}: "),
        (Some(file), None) => format!("{plugin}/{file}: "),
        _ => String::new(),
    };
    let mut message = failure.message.lines();
    line(10, &format!("{place}{}", message.next().unwrap_or_default()));
    message.chain(failure.detail.iter().flat_map(|it| it.lines())).for_each(|it| line(12, it));
    failure.excerpt.iter().flat_map(|it| it.lines()).for_each(|it| line(12, it));
    failure.hint.iter().for_each(|it| line(12, &format!("hint: {it}")));
    failure.traceback.iter().flat_map(|it| it.lines()).for_each(|it| line(14, it));
    text
}

fn summary(report: &TestReport) -> String {
    let sum = &report.summary;
    if sum.cases + sum.failed == 0 {
        return String::new();
    }
    format!(
        "{} of {}: {} ok, {} failed ({:.1} s, seed {})\n",
        counted(sum.cases, "case"),
        counted(sum.plugins, "plugin"),
        sum.ok,
        sum.failed,
        sum.took_ms / 1e3,
        report.seed
    )
}
