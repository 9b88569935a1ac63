//! `panotti secrets`: the key under which secret values of plugins' config are stored.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Failure;
use super::flags::ClientFlags;
use super::print::print;
use crate::app::lock::lock_data_dir;
use crate::app::lost_database::none_to_work_on;
use crate::services::keyring;

/// Makes and changes the key that secret values of plugins' config are stored under.
///
/// Without one of your own, the server makes `<data_dir>/secret.key` when the first secret is stored. `PANOTTI_SECRET_KEY` wins
/// over the file. No backup holds the key: keep a copy of it apart from them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  PANOTTI_SECRET_KEY=$(panotti secrets key) panotti serve\n  panotti secrets rotate --data-dir data"
)]
pub(super) struct SecretsCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    server: ClientFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Prints a new key, for PANOTTI_SECRET_KEY or a key file; nothing is changed.
    Key,
    /// Puts a new key into the key file and seals everything with it; the server must not run.
    ///
    /// The former key is put aside as `secret.key.<id>`: backups that were made before need it. A key that comes from
    /// PANOTTI_SECRET_KEY is changed there: the new one before the former one, with a comma between; the next start seals
    /// everything with the first one.
    Rotate {
        /// What was done as JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: SecretsCommand) -> Result<(), Failure> {
    let told = |error: crate::error::Error| {
        let hint = error.hint.as_deref().map(|it| format!("\n{it}")).unwrap_or_default();
        Failure::Failed(format!("{}{hint}", error.detail))
    };
    match command.verb {
        Verb::Key => print(&format!("{}\n", keyring::new_written_key().map_err(told)?)),
        Verb::Rotate { json: as_json } => {
            let settings = command.server.settings()?;
            if let Some(none) = none_to_work_on(&settings) {
                return Err(Failure::Failed(none));
            }
            let _lock = lock_data_dir(&settings.data_dir).map_err(|it| Failure::Failed(it.to_string()))?;
            let done = keyring::rotate(&settings).map_err(told)?;
            if as_json {
                let done = json!({ "key": done.key, "sealed": done.sealed, "left": done.left, "former": done.former });
                return print(&format!("{done:#}\n"));
            }
            let mut text = format!(
                "new key {}: sealed with it: {}\n  the former key is in {}: backups that were made before need it\n",
                done.key,
                done.sealed,
                done.former.display()
            );
            if done.left > 0 {
                text.push_str(&format!(
                    "  sealed with a key that is not there: {}; they stay as they are, and so do the former keys\n",
                    done.left
                ));
            }
            print(&text)
        }
    }
}
