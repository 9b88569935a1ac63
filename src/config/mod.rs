//! The server's settings: plain data that every layer may read and nobody changes after the start.
//!
//! One table (`table.rs`) says for each setting its key, default, unit, bounds and meaning; from it come the loading,
//! the fault messages, the help text and `panotti.example.yaml`. A new setting is one field here and one row there.

mod certificate;
mod check;
mod docs;
mod fault;
mod limits;
mod load;
mod observe;
mod secret_keys;
mod table;
mod tls;
mod traces;
mod transfer;
mod value;
mod yaml;
#[cfg(test)]
mod fuzz;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use docs::{example_yaml, help_text};
pub use fault::{ConfigFaults, Fault, did_you_mean};
pub use limits::{Breaker, LimitRules, PluginLimits, Retention, Rollback};
pub use load::{FlagValue, Sources, load};
pub use observe::{Health, Logs};
pub use secret_keys::{SECRET_KEY_BYTES, SecretKeys};
pub use table::{Row, SETTINGS};
pub use tls::Tls;
pub use traces::Traces;
pub use transfer::{RateLimit, Uploads};
pub use yaml::{YAML_MAX_BYTES, YamlFault, line_of, parse_yaml, to_yaml};

/// Every setting of the server, as it is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address the server listens on.
    pub host: IpAddr,
    /// Port the server listens on; 0 takes a free one.
    pub port: u16,
    /// Folder of everything the server writes: database, keys, media.
    pub data_dir: PathBuf,
    /// Folders whose subfolders are plugins, the first one wins on a clash of names.
    pub plugin_dirs: Vec<PathBuf>,
    /// Folder under which files named by clients may lie.
    pub recordings_dir: PathBuf,
    /// Where the database is: `sqlite:<path>`.
    pub database_url: String,
    /// Log filter: a level, or `target=level` pairs, separated by commas.
    pub log: String,
    /// Shape of the log lines.
    pub log_format: LogFormat,
    /// The settings file that was read, if there was one.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
    /// True when a proxy with TLS stands before the server.
    pub behind_proxy: bool,
    /// PEM file of the certificate and those above it; empty for plain HTTP.
    pub tls_cert: PathBuf,
    /// PEM file of the certificate's private key; empty for plain HTTP.
    pub tls_key: PathBuf,
    /// Web origins whose pages may call the server; none when empty.
    pub cors_origins: Vec<String>,
    /// Host names clients may use besides localhost and the address listened on.
    pub allowed_hosts: Vec<String>,
    /// Names of variables, besides `PANOTTI_PLUGIN_*`, that manifests of plugins may read.
    pub plugin_env: Vec<String>,
    /// Keys for secret values of plugins' config; the environment alone sets them.
    pub secret_key: SecretKeys,
    /// The file with the key for such values; it is made when the first one is stored.
    pub secret_key_file: PathBuf,
    /// `name=address` or `name=address:port`: addresses for HTTP of plugins, before DNS is asked.
    pub http_hosts: Vec<String>,
    /// Names and addresses of this machine and network that webhooks may reach, on every port; `*.lan` is all below.
    pub webhook_hosts: Vec<String>,
    /// `name=/absolute/path`: programs that plugins may be granted to run.
    pub process_tools: Vec<String>,
    /// Absolute path of the program that is given title and message of what plugins notify; empty for none.
    pub notify_tool: String,
    /// Whether a plugin whose manifest says `permissions: learn` may do everything, so that it is seen what it needs.
    pub learn_permissions: bool,
    /// What plugins are granted, as under `permissions:` of a manifest, by plugin; the file alone sets it.
    #[serde(default)]
    pub grants: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// Whether every plugin stays off until it is enabled over HTTP, whatever was set before.
    pub safe_mode: bool,
    /// Whether edits of plugins' files are taken up of themselves.
    pub watch: WatchMode,
    /// Milliseconds for which nothing must have changed in a plugin's folder before an edit is taken up.
    pub watch_quiet_ms: u64,
    /// Milliseconds between two looks at folders that the operating system tells nothing of.
    pub watch_poll_ms: u64,
    /// Threads that run Lua.
    pub lua_threads: usize,
    /// Threads that serve HTTP.
    pub http_workers: usize,
    /// Seconds the whole graceful stop may take.
    pub shutdown_s: u64,
    /// Seconds all plugins together may take to start.
    pub startup_s: u64,
    /// Largest body of a request that is not an upload, in bytes.
    pub body_max_bytes: u64,
    /// Largest metadata of a recording or clip, in bytes of JSON.
    pub metadata_max_bytes: u64,
    /// Largest upload in bytes; 0 is no limit.
    pub upload_max_bytes: u64,
    /// What unfinished uploads may take, and for how long.
    pub uploads: Uploads,
    /// How often a key may be used that has no limit of its own.
    pub rate_limit: RateLimit,
    /// Seconds within which a small body must be complete and an upload must bring its next bytes.
    pub body_timeout_s: u64,
    /// Connections open at once.
    pub max_connections: usize,
    /// Requests worked on at once; one more is answered 503.
    pub max_requests: usize,
    /// Streams of events open at once; one more is answered 503.
    pub max_event_streams: usize,
    /// Milliseconds all plugins together may take to answer one question.
    pub chain_wall_ms: u64,
    /// Calls into Lua in flight at once, all plugins together.
    pub in_flight_total: usize,
    /// Hours an answer is kept for its `Idempotency-Key`.
    pub idempotency_hours: u64,
    /// Versions of its files that are kept of each plugin.
    pub plugin_versions_keep: u32,
    /// What is kept of the journal, and for how long.
    pub retention: Retention,
    /// Whether files of plugins go live over HTTP only after a preview was made of them.
    pub preview_required: bool,
    /// What is recorded of calls into plugins.
    pub traces: Traces,
    /// The lines of plugins that are held in memory.
    pub logs: Logs,
    /// How plugins are asked for their health.
    pub health: Health,
    /// What one plugin may use, unless its manifest says otherwise.
    pub limits: PluginLimits,
    /// What its manifest may ask for at most; where it is less than `limits`, these count.
    pub limits_max: PluginLimits,
    /// When a plugin that keeps being killed is left alone for a while.
    pub breaker: Breaker,
    /// When a plugin goes back to its former version by itself.
    pub rollback: Rollback,
}

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people: time, level, target, message, fields.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// How edits of plugins' files are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchMode {
    /// The operating system tells; where it cannot, the files are looked at at intervals.
    Auto,
    /// The files are looked at at intervals.
    Poll,
    /// Not at all: a rescan takes them up.
    Off,
}

impl Settings {
    /// Address and port to listen on.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// True when the server speaks HTTPS, and nothing else.
    pub fn has_tls(&self) -> bool {
        !self.tls_cert.as_os_str().is_empty() && !self.tls_key.as_os_str().is_empty()
    }

    /// What plugins may use, and what they may ask for.
    pub fn limit_rules(&self) -> LimitRules {
        LimitRules { default: self.limits, max: self.limits_max }
    }

    /// The database file that `database_url` names.
    pub fn database_path(&self) -> PathBuf {
        PathBuf::from(value::sqlite_path(&self.database_url).unwrap_or_default())
    }
}

impl Default for Settings {
    /// The defaults of the table, with `data_dir` = `data`.
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a test loads the defaults of the table")]
        load(Sources::default()).expect("the table's defaults are accepted by the table")
    }
}
