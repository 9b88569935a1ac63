//! `panotti completions`: what a shell needs to complete this command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::print::print;
use super::{Cli, Failure};

/// Prints what a shell needs to complete this command line.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti completions bash > ~/.local/share/bash-completion/completions/panotti\n  panotti completions zsh > ~/.zfunc/_panotti\n  panotti completions fish > ~/.config/fish/completions/panotti.fish"
)]
pub(super) struct CompletionsCommand {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(command: CompletionsCommand) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(command.shell, &mut Cli::command(), "panotti", &mut text);
    print(&String::from_utf8_lossy(&text))
}
