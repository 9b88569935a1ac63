//! The command line: one file per subcommand. Results go to stdout, everything else to stderr.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command line or the settings are wrong.

mod audit;
mod backup;
mod bench;
mod check;
mod client;
mod completions;
mod config;
mod doctor;
mod events;
mod expires;
mod flags;
mod follow;
mod grants;
mod list;
mod logs;
mod new;
mod openapi;
mod plugins;
mod preview;
mod print;
mod progress;
mod rate;
mod replay;
mod secrets;
mod serve;
mod stubs;
mod test;
mod test_watch;
mod token;
mod traces;
mod versions;

use std::ffi::OsString;
use std::fmt;
use std::io::Write;

use clap::{Parser, Subcommand};

use audit::AuditCommand;
use backup::{BackupCommand, RestoreCommand};
use bench::BenchCommand;
use check::CheckCommand;
use completions::CompletionsCommand;
use config::ConfigCommand;
use doctor::DoctorCommand;
use flags::ServerFlags;
use grants::GrantsCommand;
use list::ListCommand;
use logs::LogsCommand;
use new::NewCommand;
use openapi::OpenapiCommand;
use plugins::{OneCommand, PluginsCommand};
use preview::PreviewCommand;
use replay::{EventsCommand, ReplayCommand};
use secrets::SecretsCommand;
use stubs::StubsCommand;
use test::TestCommand;
use token::TokenCommand;
use traces::{TraceCommand, TracesCommand};
use versions::{DiffCommand, RollbackCommand, VersionsCommand};

/// The server was used wrongly: flags or settings.
const EXIT_USAGE: u8 = 2;
/// It was asked rightly and failed.
const EXIT_FAILURE: u8 = 1;

/// A self-hosted recording and clip server that its users extend with Lua plugins.
#[derive(Debug, Parser)]
#[command(
    name = "panotti",
    version,
    args_conflicts_with_subcommands = true,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, 1 it failed or something was found, 2 the command line or the settings are wrong.\nResults go to stdout, everything else to stderr. `panotti help <COMMAND>` tells more of each."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: ServerFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server; what `panotti` without a command does.
    #[command(after_long_help = crate::config::help_text())]
    Serve(ServerFlags),
    New(NewCommand),
    Check(CheckCommand),
    Test(TestCommand),
    Bench(BenchCommand),
    Stubs(StubsCommand),
    Plugins(PluginsCommand),
    List(ListCommand),
    Logs(LogsCommand),
    /// Reads a plugin's folder and makes it anew, also when nothing has changed.
    Reload(OneCommand),
    /// Lets a plugin run, now and after a restart; one that has failed is tried again.
    Enable(OneCommand),
    /// Stops a plugin, now and after a restart.
    Disable(OneCommand),
    /// Loads a plugin that does not run; whether it runs after a restart stays as it is.
    Load(OneCommand),
    /// Stops a plugin until it is loaded or the server restarts; whether it runs after that stays as it is.
    Unload(OneCommand),
    /// Makes, lists, rotates and revokes keys of the running server.
    Token(TokenCommand),
    Audit(AuditCommand),
    /// Shows, gives and takes back what plugins may do.
    Grants(GrantsCommand),
    Config(ConfigCommand),
    Secrets(SecretsCommand),
    Replay(ReplayCommand),
    Events(EventsCommand),
    Traces(TracesCommand),
    Trace(TraceCommand),
    Preview(PreviewCommand),
    Versions(VersionsCommand),
    Diff(DiffCommand),
    Rollback(RollbackCommand),
    Backup(BackupCommand),
    Restore(RestoreCommand),
    Doctor(DoctorCommand),
    Openapi(OpenapiCommand),
    Completions(CompletionsCommand),
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
enum Failure {
    /// The command line or the settings are wrong.
    Usage(String),
    /// It was tried and failed.
    Failed(String),
    /// No server answers, or it takes nothing at the moment.
    Away(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) | Self::Away(text) => f.write_str(text),
        }
    }
}

/// Runs one command line and returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(fault) => {
            // Help and version are "errors" that go to stdout; a closed pipe there is nobody's fault.
            _ = fault.print();
            return u8::try_from(fault.exit_code()).unwrap_or(EXIT_USAGE);
        }
    };
    let done = match cli.command {
        None => serve::run(cli.flags),
        Some(Command::Serve(flags)) => serve::run(flags),
        Some(Command::Stubs(command)) => stubs::run(command),
        Some(Command::Check(command)) => check::run(command),
        Some(Command::Test(command)) => test::run(command),
        Some(Command::New(command)) => new::run(command),
        Some(Command::Token(command)) => token::run(command),
        Some(Command::Audit(command)) => audit::run(command),
        Some(Command::Grants(command)) => grants::run(command),
        Some(Command::Config(command)) => config::run(command),
        Some(Command::Secrets(command)) => secrets::run(command),
        Some(Command::Plugins(command)) => plugins::run(command),
        Some(Command::Reload(command)) => plugins::reload(command),
        Some(Command::Enable(command)) => plugins::switch(command, "enable"),
        Some(Command::Disable(command)) => plugins::switch(command, "disable"),
        Some(Command::Load(command)) => plugins::switch(command, "load"),
        Some(Command::Unload(command)) => plugins::switch(command, "unload"),
        Some(Command::List(command)) => list::run(command),
        Some(Command::Logs(command)) => logs::run(command),
        Some(Command::Preview(command)) => preview::run(command),
        Some(Command::Diff(command)) => versions::diff(command),
        Some(Command::Replay(command)) => replay::run(command),
        Some(Command::Events(command)) => replay::run_events(command),
        Some(Command::Traces(command)) => traces::run_list(command),
        Some(Command::Trace(command)) => traces::run_one(command),
        Some(Command::Versions(command)) => versions::run(command),
        Some(Command::Completions(command)) => completions::run(command),
        Some(Command::Rollback(command)) => versions::roll_back(command),
        Some(Command::Backup(command)) => backup::run(command),
        Some(Command::Restore(command)) => backup::restore(command),
        Some(Command::Bench(command)) => bench::run(command),
        Some(Command::Openapi(command)) => openapi::run(command),
        Some(Command::Doctor(command)) => doctor::run(command),
    };
    match done {
        Ok(()) => 0,
        Err(failure) => {
            say_last(format!("panotti: {failure}\n"));
            match failure {
                Failure::Usage(_) => EXIT_USAGE,
                Failure::Failed(_) | Failure::Away(_) => EXIT_FAILURE,
            }
        }
    }
}

/// Says why it failed. Whoever reads stderr may have stalled, and the log hold it for them: an exit waits for neither.
fn say_last(text: String) {
    let (done, is_done) = std::sync::mpsc::channel();
    let said = std::thread::Builder::new().spawn(move || {
        _ = std::io::stderr().write_all(text.as_bytes());
        _ = done.send(());
    });
    if said.is_ok() {
        _ = is_done.recv_timeout(crate::app::lines::LAST_PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn code(args: &[&str]) -> u8 {
        run(args.iter().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_the_flags_are_those_of_serve() {
        let cli = Cli::try_parse_from(["panotti", "--port", "0", "--plugin-dir", "a", "--plugin-dir", "b"])
            .expect("parsed");
        assert!(cli.command.is_none());
        let keys: Vec<_> = cli.flags.values().iter().map(|given| (given.key, given.values.len())).collect();
        assert_eq!(keys, [("port", 1), ("plugin_dirs", 2)]);
    }

    #[test]
    fn a_wrong_command_line_and_wrong_settings_exit_with_2() {
        assert_eq!(code(&["panotti", "--prot", "1"]), 2);
        assert_eq!(code(&["panotti", "serve", "--port", "many", "--host", "x"]), 2);
        assert_eq!(code(&["panotti", "token", "create", "--name", "x", "--scope", "everything"]), 2);
    }

    #[test]
    fn a_command_that_needs_the_server_fails_with_1_when_none_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("admin.token"), "pnt_x_y\n").expect("written");
        let data_dir = folder.path().to_str().expect("text");
        // Port 1 is nobody's.
        assert_eq!(code(&["panotti", "token", "list", "--data-dir", data_dir, "--port", "1"]), 1);
    }
}
