//! `panotti check`: plugins, looked at without a server.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::flags::FolderFlags;
use super::print::{counted, print};
use crate::app::logging::escaped;
use crate::plugins::check::{Finding, Severity, check};
use crate::plugins::discovery::{Rejected, folder_of, is_plugin_name, scan};
use crate::plugins::env::PluginEnv;

/// Checks plugins without running them: manifest, config, syntax, names, permissions, modules, migrations.
///
/// Exit codes: 0 nothing was found, 1 something was, 2 the command line or the settings are wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti check\n  panotti check user_plugins/quiet_hours\n  panotti check quiet_hours --json | jq '.[].message'"
)]
pub(super) struct CheckCommand {
    /// A plugin's folder or name, or a folder of plugins [default: all plugin folders of the settings].
    path: Option<PathBuf>,
    /// As a JSON array of {plugin, file, line, column, severity, code, message, excerpt, hint}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderFlags,
}

pub(super) fn run(command: CheckCommand) -> Result<(), Failure> {
    let settings = command.folders.settings()?;
    let (plugins, rejected) = match &command.path {
        Some(path) => meant(path, &settings.plugin_dirs)?,
        None => all(&settings.plugin_dirs),
    };
    let env = PluginEnv::new(std::env::vars_os().filter_map(text), &settings.plugin_env);
    let limits = settings.limit_rules();
    let mut found: Vec<(PathBuf, Finding)> = rejected.iter().map(no_plugin).collect();
    for (name, folder) in &plugins {
        found.extend(check(name, folder, &env, &limits).into_iter().map(|it| (folder.clone(), it)));
    }
    if command.json {
        let findings: Vec<&Finding> = found.iter().map(|(_, it)| it).collect();
        let json = serde_json::to_string_pretty(&findings).map_err(|it| Failure::Failed(it.to_string()))?;
        print(&format!("{json}\n"))?;
    } else {
        print(&found.iter().map(|(folder, it)| block(folder, it)).collect::<String>())?;
    }
    let count = |severity| found.iter().filter(|(_, it)| it.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let looked_at = counted(plugins.len(), "plugin");
    if errors + warnings > 0 {
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        return Err(Failure::Failed(format!("{errors} and {warnings} in {looked_at}")));
    }
    if command.json { Ok(()) } else { print(&format!("{looked_at} checked, nothing found\n")) }
}

pub(super) type Folders = (BTreeMap<String, PathBuf>, Vec<Rejected>);

pub(super) fn all(roots: &[PathBuf]) -> Folders {
    let found = scan(roots);
    let rejected = found.rejected.into_iter().filter(|it| !it.expected).collect();
    (found.folders.into_iter().map(|(name, folder)| (name.to_string(), folder)).collect(), rejected)
}

/// The plugin or plugins that `path` stands for.
pub(super) fn meant(path: &Path, roots: &[PathBuf]) -> Result<Folders, Failure> {
    let one = |name: &str, folder: PathBuf| (BTreeMap::from([(name.to_owned(), folder)]), Vec::new());
    if !path.is_dir() {
        let named = path.to_str().filter(|it| is_plugin_name(it));
        return match named.and_then(|name| Some(one(name, folder_of(roots, name)?))) {
            Some(found) => Ok(found),
            None => Err(Failure::Usage(format!(
                "{} is neither a folder nor a plugin in {}",
                path.display(),
                roots.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", ")
            ))),
        };
    }
    let unreadable = |fault| Failure::Usage(format!("{} cannot be read: {fault}", path.display()));
    // `.` has a name, too.
    let whole = path.canonicalize().map_err(unreadable)?;
    let files = || path.read_dir().into_iter().flatten().flatten().map(|it| it.path());
    let is_source = |it: PathBuf| {
        it.extension().is_some_and(|it| ["lua", "luau", "yaml", "example"].iter().any(|end| it == *end))
    };
    if !files().any(is_source) && files().any(|it| it.is_dir()) {
        return Ok(all(&[path.to_owned()]));
    }
    match whole.file_name().and_then(|it| it.to_str()).filter(|it| is_plugin_name(it)) {
        Some(name) => Ok(one(name, whole.clone())),
        None => Err(Failure::Usage(format!(
            "the folder {} has no plugin's name: use a-z, 0-9, _ and -, starting with a letter or digit",
            path.display()
        ))),
    }
}

fn no_plugin(it: &Rejected) -> (PathBuf, Finding) {
    let name = it.path.file_name().unwrap_or_default().to_string_lossy();
    (it.path.clone(), Finding::new(&name, Severity::Warning, "folder", &it.reason))
}

/// A finding as people read it.
fn block(folder: &Path, finding: &Finding) -> String {
    let mut text = format!("{}[{}]: {}\n", finding.severity, finding.code, shown(&finding.message));
    let mut place =
        finding.file.as_ref().map_or(folder.to_owned(), |it| folder.join(it)).display().to_string();
    for number in [finding.line, finding.line.and(finding.column)].into_iter().flatten() {
        _ = write!(place, ":{number}");
    }
    _ = writeln!(text, "  --> {}", escaped(&place));
    for line in finding.excerpt.iter().flat_map(|it| it.lines()) {
        _ = writeln!(text, "  {}", escaped(line));
    }
    if let Some(hint) = &finding.hint {
        _ = writeln!(text, "  hint: {}", shown(hint));
    }
    text + "\n"
}

fn shown(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n  ")
}

pub(super) fn text((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}
