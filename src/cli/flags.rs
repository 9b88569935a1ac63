//! The flags that stand for settings. Their values are read by the settings' own table, so that all faults come together.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::config::{FlagValue, Settings, Sources, load};

/// Settings given on the command line.
#[derive(Debug, Default, Args)]
pub(super) struct ServerFlags {
    /// Settings file [default: panotti.yaml, when there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port to listen on, 0 for a free one [default: 8000].
    #[arg(long)]
    port: Option<String>,
    /// Folder of everything the server writes [default: data].
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// Folder whose subfolders are plugins; may be repeated [default: user_plugins].
    #[arg(long, value_name = "FOLDER")]
    plugin_dir: Vec<String>,
    /// Folder under which audio files named by clients may lie [default: <data_dir>/recordings].
    #[arg(long, value_name = "FOLDER")]
    recordings_dir: Option<String>,
    /// Where the database is [default: sqlite:<data_dir>/panotti.db].
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Level of the log, or target=level pairs [default: info].
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Starts with every plugin off; the next start without it runs all that ran before.
    #[arg(long)]
    safe_mode: bool,
    /// Shape of the log lines: text or json [default: text].
    #[arg(long, value_name = "SHAPE")]
    log_format: Option<String>,
}

/// Where the running server is, for the commands that talk to it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "The server that is meant")]
pub(super) struct ClientFlags {
    /// Settings file of the server [default: panotti.yaml, when there is one].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The server's data folder, where its key file lies [default: data].
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The server's address, when its data folder does not tell [default: 127.0.0.1].
    #[arg(long, global = true, value_name = "ADDRESS")]
    host: Option<String>,
    /// The server's port, when its data folder does not tell [default: 8000].
    #[arg(long, global = true)]
    port: Option<String>,
}

/// Where the plugin folders are, for the commands that need no server.
#[derive(Debug, Default, Args)]
pub(super) struct FolderFlags {
    /// Settings file that names the plugin folders [default: panotti.yaml, when there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl FolderFlags {
    /// The settings of a server that would be started here.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        ServerFlags { config: self.config.clone(), ..ServerFlags::default() }.settings()
    }
}

impl ServerFlags {
    /// The settings of this process with these flags.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let sources = Sources::of_process(self.config.clone(), self.values());
        load(sources).map_err(|faults| Failure::Usage(faults.to_string()))
    }

    /// The flags that were given.
    pub(super) fn values(&self) -> Vec<FlagValue> {
        let one = |key, flag, value: &Option<String>| FlagValue {
            key,
            flag,
            values: value.iter().cloned().collect(),
        };
        let mut given = vec![
            one("host", "--host", &self.host),
            one("port", "--port", &self.port),
            one("data_dir", "--data-dir", &self.data_dir),
            FlagValue {
                key: "safe_mode",
                flag: "--safe-mode",
                values: self.safe_mode.then(|| "true".to_owned()).into_iter().collect(),
            },
            FlagValue { key: "plugin_dirs", flag: "--plugin-dir", values: self.plugin_dir.clone() },
            one("recordings_dir", "--recordings-dir", &self.recordings_dir),
            one("database_url", "--database-url", &self.database_url),
            one("log", "--log", &self.log),
            one("log_format", "--log-format", &self.log_format),
        ];
        given.retain(|flag| !flag.values.is_empty());
        given
    }
}

impl ClientFlags {
    /// The flag `--data-dir` alone.
    #[cfg(test)]
    pub(super) fn of_data_dir(data_dir: &std::path::Path) -> Self {
        Self { data_dir: data_dir.to_str().map(str::to_owned), ..Self::default() }
    }

    /// The settings of the server that is meant.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        self.settings_with_plugins(Vec::new())
    }

    /// The same, with these plugin folders if there are any.
    pub(super) fn settings_with_plugins(&self, plugin_dir: Vec<String>) -> Result<Settings, Failure> {
        let flags = ServerFlags {
            config: self.config.clone(),
            host: self.host.clone(),
            port: self.port.clone(),
            data_dir: self.data_dir.clone(),
            plugin_dir,
            ..ServerFlags::default()
        };
        flags.settings()
    }

    /// True when the command line itself says where the server is.
    pub(super) fn names_address(&self) -> bool {
        self.host.is_some() || self.port.is_some()
    }
}
