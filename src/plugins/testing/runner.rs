//! Goes through the tests of plugins, one case after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::{SharedClock, SystemClock};
use crate::config::Settings;
use crate::error::Result;
use crate::plugins::discovery::Snapshot;
use crate::plugins::env::PluginEnv;
use crate::plugins::manifest;
use crate::plugins::settings::Layers;

use super::case::{Plan, cases_of, no_config, run_case};
use super::desk::Desk;
use super::find::{TestFiles, files_of};
use super::report::{PluginTests, TestCase, TestFailure, TestFile, TestReport};

/// How tests are run.
#[derive(Debug, Clone)]
pub struct TestOptions {
    /// Limits of plugins, and where others lie.
    pub settings: Arc<Settings>,
    /// The variables that manifests may read; those that set single values of a config are passed over.
    pub env: Vec<(String, String)>,
    /// Only cases with this text in `<plugin>/<file>: <name>`.
    pub filter: Option<String>,
    /// Where chance begins.
    pub seed: u64,
    /// The longest time of one case.
    pub timeout: Duration,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A file is begun, and so many cases of it are run.
    File(&'a str, &'a str, usize),
    /// A file does not load.
    Broken(&'a str, &'a str, &'a TestFailure),
    /// A case is begun.
    Case(&'a str, &'a str, &'a str),
    /// It has ended.
    Ended(&'a str, &'a str, &'a TestCase),
}

/// Runs the tests of plugins, given by name and folder, and tells how it goes; `until` ends it between two cases.
///
/// # Errors
/// There is no room for what tests need.
pub fn run(
    plugins: &BTreeMap<String, PathBuf>,
    options: &TestOptions,
    until: Option<Instant>,
    tell: &mut dyn FnMut(Progress),
) -> Result<TestReport> {
    let began = Instant::now();
    let clock: SharedClock = Arc::new(SystemClock);
    let mut report = TestReport { seed: options.seed, ..TestReport::default() };
    let mut desk = None;
    let mut cut = false;
    for (name, folder) in plugins {
        let files = match files_of(folder) {
            Ok(files) => files,
            Err(error) => {
                let failure = TestFailure::plain(error.detail);
                tell(Progress::Broken(name, "", &failure));
                let file = TestFile { failure: Some(failure), ..TestFile::default() };
                report.plugins.push(PluginTests { plugin: name.clone(), files: vec![file] });
                continue;
            }
        };
        if files.tests.is_empty() {
            continue;
        }
        let desk = match &mut desk {
            Some(desk) => desk,
            none => none.insert(Desk::new(&options.settings, &options.env, &clock)?),
        };
        let plan = Plan {
            desk,
            plugin: name,
            roots: &roots(folder, options),
            config: config(name, &files, options),
            files: &files,
            seed: options.seed,
            timeout: options.timeout,
        };
        let mut tests = PluginTests { plugin: name.clone(), files: Vec::new() };
        for file in &files.tests {
            let done = run_file(&plan, file, options, until, tell, &mut cut);
            if done.failure.is_some() || !done.cases.is_empty() {
                tests.files.push(done);
            }
        }
        if !tests.files.is_empty() {
            report.plugins.push(tests);
        }
    }
    report.sum_up(began.elapsed().as_secs_f64() * 1e3, cut);
    Ok(report)
}

fn run_file(
    plan: &Plan,
    file: &str,
    options: &TestOptions,
    until: Option<Instant>,
    tell: &mut dyn FnMut(Progress),
    cut: &mut bool,
) -> TestFile {
    let mut done = TestFile { file: file.to_owned(), ..TestFile::default() };
    let mut cases = match cases_of(plan, file) {
        Ok(cases) => cases,
        Err(failure) => {
            tell(Progress::Broken(plan.plugin, file, &failure));
            done.failure = Some(failure);
            return done;
        }
    };
    if let Some(filter) = &options.filter {
        let wanted = filter.to_lowercase();
        cases.retain(|it| format!("{}/{file}: {}", plan.plugin, it.name).to_lowercase().contains(&wanted));
    }
    if cases.is_empty() {
        return done;
    }
    tell(Progress::File(plan.plugin, file, cases.len()));
    for found in &cases {
        if until.is_some_and(|it| Instant::now() >= it) {
            *cut = true;
            break;
        }
        tell(Progress::Case(plan.plugin, file, &found.name));
        let case = run_case(plan, file, found);
        tell(Progress::Ended(plan.plugin, file, &case));
        done.cases.push(case);
    }
    done
}

/// Where plugins lie that this one needs: beside it, then where the settings say.
fn roots(folder: &Path, options: &TestOptions) -> Vec<PathBuf> {
    let own = folder.canonicalize().ok().and_then(|it| it.parent().map(Path::to_owned));
    own.into_iter().chain(options.settings.plugin_dirs.iter().cloned()).collect()
}

/// The config that a file of tests sees when it requires the plugin's own modules.
fn config(name: &str, files: &TestFiles, options: &TestOptions) -> Arc<Value> {
    let env = PluginEnv::new(options.env.iter().cloned(), &options.settings.plugin_env);
    let snapshot = Snapshot::of(files.plugin.clone());
    match manifest::read(name, &snapshot, &env, &options.settings.limit_rules()) {
        Ok(manifest) => {
            Arc::new(Value::Object(Layers::new(name, manifest.schema, manifest.config, &env).effective(&[])))
        }
        // It is told of where the plugin is loaded.
        Err(_) => no_config(),
    }
}
