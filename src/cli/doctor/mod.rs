//! `panotti doctor`: looks at everything a server stands on, with it running or not.

mod data;
mod finding;
mod leftovers;
mod machine;
mod plugins;
mod reach;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::flags::ClientFlags;
use super::print::{counted, print};
use crate::app::logging::escaped;
use crate::config::Settings;

use finding::{Findings, Level};

/// Looks for what is wrong or soon will be: settings, data folder, database, plugins, port, certificate, clock, limits.
///
/// Changes nothing, and works with the server running and not. Each finding comes with a remedy. Exit codes: 0 no problem
/// was found (warnings do not count), 1 there is one, 2 the command line is wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti doctor\n  panotti doctor --data-dir /var/lib/panotti\n  panotti doctor --json | jq '.findings[] | select(.level != \"ok\")'"
)]
pub(super) struct DoctorCommand {
    /// As JSON: {healthy, problems, warnings, findings: [{check, level, message, remedy}]}.
    #[arg(long)]
    json: bool,
    /// Folder whose subfolders are plugins; may be repeated [default: that of the settings].
    #[arg(long, value_name = "FOLDER")]
    plugin_dir: Vec<String>,
    #[command(flatten)]
    server: ClientFlags,
}

pub(super) fn run(command: DoctorCommand) -> Result<(), Failure> {
    let mut findings = Findings::default();
    versions(&mut findings);
    match command.server.settings_with_plugins(command.plugin_dir.clone()) {
        Ok(settings) => {
            let file = settings.config_file.as_ref().map(|it| it.display().to_string());
            let file = file.unwrap_or_else(|| "no settings file, the defaults".to_owned());
            findings.ok("settings", format!("they are all right ({file})"));
            looked_at(&settings, &command.server, &mut findings);
        }
        Err(failure) => {
            let text = failure.to_string();
            let faults: Vec<&str> = text.lines().filter(|it| it.starts_with("  ")).collect();
            let faults = if faults.is_empty() { vec![text.as_str()] } else { faults };
            for fault in faults {
                findings.problem(
                    "settings",
                    fault.trim(),
                    "Correct it; `panotti help serve` lists every setting.",
                );
            }
            machine::clock(&mut findings, None);
        }
    }
    let (problems, warnings) = (findings.count(Level::Problem), findings.count(Level::Warning));
    if command.json {
        let told = json!({
            "healthy": problems == 0, "problems": problems, "warnings": warnings, "findings": findings.0,
        });
        print(&format!("{told:#}\n"))?;
    } else {
        print(&shown(&findings))?;
    }
    let told = format!("{} and {}", counted(problems, "problem"), counted(warnings, "warning"));
    match problems {
        0 if command.json => Ok(()),
        0 => print(&format!("\n{told}\n")),
        _ => Err(Failure::Failed(told)),
    }
}

fn versions(findings: &mut Findings) {
    findings.ok(
        "versions",
        format!(
            "panotti {} on {} {}, SQLite {}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
            crate::store::sqlite_version()
        ),
    );
}

fn looked_at(settings: &Settings, server: &ClientFlags, findings: &mut Findings) {
    let runs = reach::runs(settings);
    data::folders(settings, findings);
    data::database(settings, findings);
    data::secrets(settings, findings);
    leftovers::look(settings, runs, findings);
    plugins::folders(settings, findings);
    plugins::tools(settings, findings);
    if runs {
        reach::server(settings, server, findings);
    } else {
        reach::port(settings, findings);
    }
    reach::certificate(settings, findings);
    machine::clock(findings, Some(settings));
    machine::limits(settings, findings);
}

/// A finding a paragraph: what is wrong comes last, where it is read first.
fn shown(findings: &Findings) -> String {
    let mut text = String::new();
    for level in [Level::Ok, Level::Warning, Level::Problem] {
        for it in findings.0.iter().filter(|it| it.level == level) {
            let message = it.message.lines().map(escaped).collect::<Vec<_>>().join("\n           ");
            text.push_str(&format!("{:<8} {}: {message}\n", level.word(), it.check));
            if let Some(remedy) = &it.remedy {
                text.push_str(&format!("         -> {}\n", escaped(remedy)));
            }
        }
    }
    text
}
