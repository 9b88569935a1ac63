//! A plugin's folder, checked without a server and without running it.

mod asked;
mod calls;
mod fields;
mod finding;
mod names;
mod reads;
mod surface;

use std::collections::HashSet;
use std::path::Path;

use crate::config::LimitRules;
use crate::error::ScriptFault;
use crate::lua::sources::{Sources, unknown_hook};
use crate::store::plugin_db::read_migrations;

use super::discovery::{self, Snapshot};
use super::env::PluginEnv;
use super::manifest::{self, Manifest};
use super::problem::{LoadFault, Problem, excerpt};
use super::settings::{Declared, Layers};
use super::unheard::unheard;

pub use finding::{Finding, Severity};
pub use reads::read_fields;

use names::{Named, Place};

/// Everything that can be said of the plugin `name` in `folder`, errors of its manifest first.
pub fn check(name: &str, folder: &Path, env: &PluginEnv, limits: &LimitRules) -> Vec<Finding> {
    let mut check = Check { name, found: Vec::new() };
    let snapshot = match discovery::snapshot(folder) {
        Ok(snapshot) => snapshot,
        Err(fault) => {
            check.fault("folder", &fault, None);
            return check.found;
        }
    };
    check.problems(Severity::Warning, "folder", &snapshot.warnings, &snapshot);
    check.problems(Severity::Warning, "unheard-hook", &unheard(&snapshot.files), &snapshot);
    let manifest = match manifest::read(name, &snapshot, env, limits) {
        Ok(manifest) => {
            check.manifest(&manifest, &snapshot, env);
            Some(manifest)
        }
        Err(fault) => {
            check.fault("manifest", &fault, Some(&snapshot));
            None
        }
    };
    if manifest.as_ref().is_some_and(|it| it.plugin_type != "lua") {
        return check.found;
    }
    if let Err(fault) = discovery::entry(&snapshot) {
        check.fault("folder", &fault, None);
    }
    if let Err(fault) = read_migrations(&snapshot.files) {
        let mut finding = check.finding(Severity::Error, "migration", &fault.fault.message);
        (finding.file, finding.line, finding.hint) = (fault.file, fault.line, fault.hint);
        check.found.push(finding);
    }
    check.sources(&snapshot, manifest.as_ref());
    check.tests(folder);
    check.found
}

struct Check<'a> {
    name: &'a str,
    found: Vec<Finding>,
}

impl Check<'_> {
    fn finding(&self, severity: Severity, code: &'static str, message: &str) -> Finding {
        Finding::new(self.name, severity, code, message)
    }

    fn problems(&mut self, severity: Severity, code: &'static str, problems: &[Problem], files: &Snapshot) {
        for problem in problems {
            let mut finding = self.finding(severity, code, &problem.message);
            let text = files.files.get(&problem.file).and_then(|it| std::str::from_utf8(it).ok());
            finding.file = Some(problem.file.clone()).filter(|it| !it.is_empty());
            finding.line = problem.line.and_then(|it| u32::try_from(it).ok());
            finding.excerpt = problem.line.zip(text).and_then(|(line, text)| excerpt(text, line));
            self.found.push(finding);
        }
    }

    fn fault(&mut self, code: &'static str, fault: &LoadFault, files: Option<&Snapshot>) {
        let from = self.found.len();
        self.problems(Severity::Error, code, &fault.problems, files.unwrap_or(&Snapshot::default()));
        if let Some(first) = self.found.get_mut(from) {
            first.column = fault.script.column;
        }
        if let Some(last) = self.found[from..].last_mut() {
            last.hint.clone_from(&fault.script.hint);
        }
    }

    fn manifest(&mut self, manifest: &Manifest, snapshot: &Snapshot, env: &PluginEnv) {
        self.problems(Severity::Warning, "manifest", &manifest.warnings, snapshot);
        let layers = Layers::new(self.name, manifest.schema.clone(), manifest.config.clone(), env);
        self.problems(Severity::Warning, "config", &layers.unknown_variables(), snapshot);
        if let Err(fault) = layers.require(&[], &Declared::of(manifest, snapshot)) {
            self.fault("config", &fault, Some(snapshot));
        }
    }

    fn sources(&mut self, snapshot: &Snapshot, manifest: Option<&Manifest>) {
        let sources = Sources::new(&snapshot.files);
        let faults = sources.faults();
        let broken: HashSet<Option<String>> = faults.iter().map(|it| it.file.clone()).collect();
        faults.into_iter().for_each(|fault| self.syntax(fault));
        let mut whole = broken.is_empty();
        let mut modules = HashSet::new();
        let mut read = Vec::new();
        let mut written = HashSet::new();
        for path in sources.paths().iter().filter(|it| !broken.contains(&Some((*it).clone()))) {
            let Some(named) = sources.text(path).and_then(names::read) else {
                let why = "the names in this file were not checked: the checker cannot take it apart";
                let mut note = self.finding(Severity::Note, "not-read", why);
                note.file = Some(path.clone());
                self.found.push(note);
                whole = false;
                continue;
            };
            whole &= !named.escapes;
            modules.extend(&named.modules);
            written.extend(named.written.iter().cloned());
            read.push((path, named));
        }
        let all_read = read.len() == sources.paths().len();
        for (path, mut named) in read {
            let nobody_writes = |field: &String| all_read && !written.contains(field);
            named.odd.retain(|it| it.unless_written.as_ref().is_none_or(nobody_writes));
            self.names(&sources, path, named, manifest);
        }
        if let Some(manifest) = manifest.filter(|_| whole) {
            self.unused(manifest, &modules, snapshot);
        }
    }

    /// Tests are no part of the plugin: they may ask for `@panotti/test`, and need no permissions.
    fn tests(&mut self, folder: &Path) {
        use super::discovery::is_of_tests;
        // A folder that cannot be read was told of.
        let Ok(files) = super::testing::files_of(folder) else { return };
        let sources = Sources::with_tests(&files.scripts);
        let (mut broken, faults) = (HashSet::new(), sources.faults());
        for fault in faults.into_iter().filter(|it| it.file.as_deref().is_some_and(is_of_tests)) {
            broken.extend(fault.file.clone());
            self.syntax(fault);
        }
        for path in sources.paths().iter().filter(|it| is_of_tests(it) && !broken.contains(*it)) {
            if let Some(mut named) = sources.text(path).and_then(names::read) {
                named.odd.retain(|it| it.unless_written.is_none());
                self.names(&sources, path, named, None);
            }
        }
    }

    fn syntax(&mut self, fault: ScriptFault) {
        let mut finding = self.finding(Severity::Error, "syntax", &fault.message);
        (finding.file, finding.line, finding.column) = (fault.file, fault.line, fault.column);
        (finding.excerpt, finding.hint) = (fault.excerpt, fault.hint);
        self.found.push(finding);
    }

    fn names(&mut self, sources: &Sources, path: &str, named: Named, manifest: Option<&Manifest>) {
        let from = self.found.len();
        for (place, why) in &named.unknown {
            self.at(sources, path, *place, "unknown-name", why, None);
        }
        for (place, hook) in &named.hooks {
            if let Some(why) = unknown_hook(hook) {
                self.at(sources, path, *place, "unknown-hook", &why, None);
            }
        }
        for (place, function, permission) in &named.needs {
            let (name, part) = match permission.split_once(':') {
                Some((name, part)) => (name, Some(part)),
                None => (permission.as_str(), None),
            };
            let asks = manifest.is_none_or(|it| {
                it.learn
                    || part.map_or_else(|| it.requested.has(name), |part| it.requested.allows(name, part))
            });
            if !asks {
                let why = format!(
                    "{function} needs the permission '{permission}', which plugin.yaml does not ask for"
                );
                let line = part.map_or_else(|| format!("{name}: true"), |part| format!("{name}: [{part}]"));
                let hint = match name {
                    "http" => {
                        "Add `permissions: { http: [api.example] }` with the hosts to plugin.yaml.".to_owned()
                    }
                    "process" => {
                        "Add `permissions: { process: [ffmpeg] }` with the tools to plugin.yaml.".to_owned()
                    }
                    _ => format!("Add `permissions: {{ {line} }}` to plugin.yaml."),
                };
                self.at(sources, path, *place, "permission", &why, Some(hint));
            }
        }
        for it in &named.odd {
            let severity = if it.fails { Severity::Error } else { Severity::Warning };
            self.at_with(severity, sources, path, it.place, it.code, &it.message, None);
        }
        for (place, function, asked) in &named.asked {
            let Some(manifest) = manifest.filter(|it| !it.learn) else { continue };
            if let Some((why, hint)) = asked::refused(function, asked, &manifest.requested) {
                self.at(sources, path, *place, "permission", &why, Some(hint));
            }
        }
        // A module of others may ask for what it can do without.
        for (place, name) in named.requires.iter().filter(|_| !path.starts_with("lua_modules/")) {
            if let Err(why) = sources.find(name, path) {
                self.at(sources, path, *place, "require", &why, None);
            }
        }
        self.found[from..].sort_by_key(|it| (it.line, it.column));
    }

    fn at(
        &mut self,
        sources: &Sources,
        path: &str,
        (line, column): Place,
        code: &'static str,
        message: &str,
        hint: Option<String>,
    ) {
        self.at_with(Severity::Error, sources, path, (line, column), code, message, hint);
    }

    #[expect(clippy::too_many_arguments, reason = "a finding has so many parts")]
    fn at_with(
        &mut self,
        severity: Severity,
        sources: &Sources,
        path: &str,
        (line, column): Place,
        code: &'static str,
        message: &str,
        hint: Option<String>,
    ) {
        let finding = Finding {
            file: Some(path.to_owned()),
            line: Some(line),
            column: Some(column),
            excerpt: sources.excerpt(path, line),
            hint,
            ..self.finding(severity, code, message)
        };
        self.found.push(finding);
    }

    /// What the manifest asks for and no source can use.
    fn unused(&mut self, manifest: &Manifest, used: &HashSet<usize>, snapshot: &Snapshot) {
        let asked = manifest.requested.0.iter().filter(|(_, grant)| grant.opens());
        let idle = asked.filter(|(name, _)| {
            let mut modules = surface::modules_of(name).peekable();
            modules.peek().is_some() && !modules.any(|it| used.contains(&it))
        });
        let why = "is asked for, and nothing in the sources uses it";
        let problems: Vec<Problem> = idle.map(|(name, _)| manifest.about_permission(name, why)).collect();
        self.problems(Severity::Warning, "unused-permission", &problems, snapshot);
    }
}
