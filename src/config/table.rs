//! The table of settings: one row each, in the order in which help and example file show them.

use std::path::Path;

use super::value::Kind;

/// One setting.
#[derive(Debug)]
pub struct Row {
    /// Key in `panotti.yaml`; a dot stands for a section.
    pub key: &'static str,
    /// What values are accepted.
    pub kind: Kind,
    /// The value when nobody says anything.
    pub default: DefaultValue,
    /// Unit of the value, empty where there is none.
    pub unit: &'static str,
    /// One sentence of meaning.
    pub doc: &'static str,
}

/// The value of a setting when nobody says anything.
#[derive(Debug, Clone, Copy)]
pub enum DefaultValue {
    /// Always the same, written as in a variable.
    Text(&'static str),
    /// Worked out at the start from the machine and `data_dir`; the text tells how.
    Computed(&'static str, fn(&Path) -> String),
}

impl Row {
    /// The variable that sets it: `PANOTTI_` and the key in capitals.
    pub fn env(&self) -> String {
        format!("PANOTTI_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// The section of the file it stands in, if any.
    pub fn section(&self) -> Option<&'static str> {
        self.key.split_once('.').map(|(section, _)| section)
    }

    /// The key within its section.
    pub fn name(&self) -> &'static str {
        self.key.rsplit('.').next().unwrap_or(self.key)
    }

    /// The default in words.
    pub fn default_text(&self) -> &'static str {
        match self.default {
            DefaultValue::Text(text) | DefaultValue::Computed(text, _) => text,
        }
    }
}

const DAY_MS: u64 = 86_400_000;
const MIB: u64 = 1 << 20;

/// The row of what a manifest may ask for of one limit.
macro_rules! most {
    ($name:literal, $kind:expr, $most:literal, $unit:literal) => {
        row(
            concat!("limits_max.", $name),
            $kind,
            $most,
            $unit,
            concat!(
                "A manifest may ask for so much of limits.",
                $name,
                "; never less than that limit itself."
            ),
        )
    };
}

/// All settings.
#[rustfmt::skip] // a row a line
pub const SETTINGS: &[Row] = &[
    row("host", Kind::Address, "127.0.0.1", "", "Address to listen on; one that other machines reach needs tls_cert and tls_key, or behind_proxy."),
    row("port", whole(0, 65_535), "8000", "", "Port to listen on; 0 takes a free one and prints it."),
    row("data_dir", Kind::Path, "data", "", "Folder of everything the server writes: database, keys, media."),
    row("plugin_dirs", Kind::Paths, "user_plugins", "", "Folders whose subfolders are plugins."),
    computed("recordings_dir", Kind::Path, "<data_dir>/recordings", in_data_dir_recordings, "Folder under which audio files named by clients may lie."),
    computed("database_url", Kind::Database, "sqlite:<data_dir>/panotti.db", in_data_dir_database, "Where the database is."),
    row("log", Kind::Filter, "info", "", "Level of the log, for everything or by target."),
    row("log_format", Kind::Choice(&["text", "json"]), "text", "", "Shape of the log lines."),
    row("behind_proxy", Kind::Flag, "false", "", "True when a proxy with TLS stands before the server."),
    row("tls_cert", Kind::File, "", "", "PEM file of the certificate and those above it; with tls_key the server speaks HTTPS alone. Read at the start."),
    row("tls_key", Kind::File, "", "", "PEM file of the certificate's private key."),
    row("cors_origins", Kind::Names, "", "", "Web origins, such as https://app.example, whose pages may call the server with a key; none without."),
    row("allowed_hosts", Kind::Names, "", "", "Host names clients may use besides localhost and the address listened on."),
    row("plugin_env", Kind::Names, "", "", "Variables, besides PANOTTI_PLUGIN_*, that plugins' manifests may read."),
    row("secret_key", Kind::Secret, "", "", "Key that secret values of plugins' config are stored under; wins over secret_key_file. As a variable alone: settings files are part of backups."),
    computed("secret_key_file", Kind::Path, "<data_dir>/secret.key", in_data_dir_secret_key, "File with that key; the default one is made when the first secret value is stored. No backup holds it."),
    row("http_hosts", Kind::Names, "", "", "Addresses of names for HTTP of plugins and webhooks, as name=address or name=address:port, before DNS is asked."),
    row("webhook_hosts", Kind::Names, "", "", "Names and addresses of this machine and network that webhooks may reach, on every port; `*.lan` is all below."),
    row("process_tools", Kind::Names, "", "", "Programs that plugins may be granted to run, as name=/absolute/path."),
    row("notify_tool", Kind::Program, "", "", "Program that is given title and message of what plugins notify; none without."),
    row("learn_permissions", Kind::Flag, "false", "", "True lets a plugin that says `permissions: learn` do everything and tells what it needs."),
    row("safe_mode", Kind::Flag, "false", "", "True starts with every plugin off, to find the one that does harm; what is set to run stays set, for the next start without it."),
    row("watch", Kind::Choice(&["auto", "poll", "off"]), "auto", "", "How edits of plugins' files are noticed: by the operating system where it can, by looking at them at intervals, or not before a rescan."),
    row("watch_quiet_ms", whole(10, 60_000), "100", "ms", "An edit is taken up when nothing has changed in the plugin's folder for so long, or after 20 times that."),
    row("watch_poll_ms", whole(50, DAY_MS), "2000", "ms", "Plugins' files are looked at so often where the operating system does not tell of edits."),
    computed("lua_threads", whole(1, 1024), "cores - 1, at least 2", |_| cores().saturating_sub(1).max(2).to_string(), "Threads that run Lua; as many again, of a lower priority, run plugins that compute for long."),
    computed("http_workers", whole(1, 1024), "cores", |_| cores().to_string(), "Threads that serve HTTP."),
    row("shutdown_s", whole(1, 3600), "30", "s", "The whole graceful stop may take so long."),
    row("startup_s", whole(1, 3600), "10", "s", "All plugins together may take so long to start."),
    row("body_max_bytes", whole(1024, 64 * MIB), "1048576", "bytes", "Largest body of a request that is not an upload."),
    row("metadata_max_bytes", whole(1024, 16 * MIB), "262144", "bytes", "Largest metadata of a recording or clip, as JSON."),
    row("upload_max_bytes", whole(0, 1 << 50), "0", "bytes", "Largest upload; 0 is no limit."),
    row("body_timeout_s", whole(1, 3600), "30", "s", "A small body must be complete, and an upload bring its next bytes, within this."),
    row("max_connections", whole(1, 1_000_000), "16384", "", "Connections open at once."),
    row("max_requests", whole(1, 1_000_000), "4096", "", "Requests worked on at once; one more is answered 503 at once."),
    row("max_event_streams", whole(1, 100_000), "256", "", "Streams of events open at once; one more is answered 503 at once."),
    row("chain_wall_ms", whole(1, DAY_MS), "3000", "ms", "All plugins together may take so long to answer one question."),
    row("in_flight_total", whole(1, 1_000_000), "10000", "", "Calls into Lua in flight at once, all plugins together; each plugin may have 16 whatever the others have."),
    row("idempotency_hours", whole(1, 8760), "24", "h", "An answer is kept so long for its Idempotency-Key."),
    row("plugin_versions_keep", whole(2, 100_000), "200", "", "Versions of its files that are kept of each plugin; the one that runs and the last good one before it never go."),
    row("retention.events_days", whole(0, 36_500), "30", "d", "Events are kept so long, and longer while somebody is still to be told of them; 0 is for ever."),
    row("retention.events_max", whole(0, 1 << 40), "1000000", "", "So many events are kept; then the oldest go that nobody is still to be told of; 0 is no limit."),
    row("retention.events_mib", whole(0, 1 << 24), "1024", "MiB", "Events are kept up to this size, without their deliveries; 0 is no limit."),
    row("retention.dead_days", whole(0, 36_500), "90", "d", "Deliveries that were given up are kept so long with their event; 0 is for ever."),
    row("retention.audit_days", whole(0, 36_500), "365", "d", "Rows of the audit log are kept so long; 0 is for ever."),
    row("retention.audit_max", whole(0, 1 << 40), "1000000", "", "So many rows of the audit log are kept; then the oldest go; 0 is no limit."),
    row("uploads.expire_hours", whole(1, 8760), "24", "h", "An upload in pieces is forgotten when nothing has come for so long."),
    row("uploads.max_mib", whole(0, 1 << 30), "102400", "MiB", "Uploads in pieces that are not complete may have so much together, counted from their announcement; 0 is no limit."),
    row("uploads.spare_mib", whole(0, 1 << 30), "256", "MiB", "An upload in pieces is refused that would leave less of the disk free."),
    row("rate_limit.requests", whole(0, 1_000_000_000), "0", "", "Requests in rate_limit.per_seconds that a key may send which has no limit of its own and is no admin's; 0 is no limit."),
    row("rate_limit.per_seconds", whole(1, 86_400), "60", "s", "The time over which rate_limit.requests counts."),
    row("preview_required", Kind::Flag, "false", "", "Whether files of plugins go live over HTTP only after a preview was made of them."),
    row("traces.enabled", Kind::Flag, "true", "", "Whether calls into plugins are recorded."),
    row("traces.last", whole(0, 1000), "20", "", "So many last calls of each hook of a plugin are held in memory."),
    row("traces.call_kib", whole(1, 16_384), "64", "KiB", "What one recorded call may hold of what the host answered it; the rest is cut off."),
    row("traces.failures_per_second", whole(0, 1_000_000), "100", "", "So many calls of one plugin that failed or were refused are stored in a second; 0 is no limit."),
    row("traces.samples_per_second", whole(0, 1_000_000), "10", "", "So many samples (limits.trace_per_mille) of one plugin are stored in a second; 0 is no limit."),
    row("traces.per_plugin", whole(0, 1 << 32), "1000", "", "So many recorded calls of one plugin are kept; 0 is no limit."),
    row("traces.mib", whole(0, 1 << 24), "128", "MiB", "Recorded calls are kept up to this size; 0 is no limit."),
    row("traces.days", whole(0, 36_500), "14", "d", "Recorded calls are kept so long; 0 is for ever."),
    row("logs.lines", whole(10, 100_000), "1000", "", "So many last lines of each plugin are held in memory, its own and those the server says of it."),
    row("logs.kib", whole(16, 1 << 20), "512", "KiB", "What these lines of one plugin may take in memory."),
    row("logs.server_per_s", whole(1, 1_000_000), "100", "1/s", "Log lines the server may write about one plugin, and as many about its tasks; errors are written all the same, but for those of deliveries, which have a limit of their own."),
    row("logs.server_burst", whole(1, 1_000_000), "1000", "", "Such lines at once before server_per_s counts."),
    row("logs.buffer_kib", whole(64, 1 << 20), "4096", "KiB", "Log lines held while whoever reads stderr takes none; those beyond are lost, and the log says how many."),
    row("health.every_s", whole(1, 86_400), "30", "s", "Plugins are asked for their health so often."),
    row("health.timeout_ms", whole(10, 600_000), "5000", "ms", "A plugin may take so long to answer."),
    row("health.history", whole(1, 10_000), "100", "", "So many last answers of each plugin are kept in memory."),
    row("limits.cpu_ms", whole(1, DAY_MS), "1000", "ms", "CPU of one call that is not a question."),
    row("limits.question_cpu_ms", whole(1, DAY_MS), "100", "ms", "CPU of one question (a before-hook, a clip's pipeline)."),
    row("limits.load_cpu_ms", whole(1, DAY_MS), "1000", "ms", "CPU of loading a plugin."),
    row("limits.wall_ms", whole(1, DAY_MS), "30000", "ms", "One call that is not a question may last so long."),
    row("limits.question_wall_ms", whole(1, DAY_MS), "2000", "ms", "One question may last so long."),
    row("limits.load_wall_ms", whole(1, DAY_MS), "10000", "ms", "Loading a plugin may last so long."),
    row("limits.memory_mib", whole(1, 4096), "64", "MiB", "Memory of each VM of a plugin."),
    row("limits.in_flight", whole(1, 1_000_000), "1000", "", "Calls of one plugin in flight at once."),
    row("limits.queue", whole(1, 1_000_000), "1024", "", "Calls that may wait for one plugin."),
    row("limits.instances", whole(1, 64), "1", "", "VMs that run one plugin's hooks side by side, sharing nothing: each runs the hooks of its life, too."),
    row("limits.max_concurrent_tasks", whole(1, 64), "4", "", "task.run calls of one plugin at once."),
    row("limits.timers", whole(0, 100_000), "100", "", "Timers of one plugin at once."),
    row("limits.hooks", whole(1, 10_000), "256", "", "Handlers one plugin may register."),
    row("limits.event_depth", whole(1, 64), "8", "", "Events published in answer to events, at most this deep."),
    row("limits.emits_per_s", whole(1, 10_000_000), "20000", "1/s", "Events one plugin may publish."),
    row("limits.emits_burst", whole(1, 10_000_000), "50000", "", "Events at once before emits_per_s counts."),
    row("limits.emit_mib_per_s", whole(1, 65_536), "8", "MiB", "Events one plugin may publish each second, as JSON."),
    row("limits.emit_burst_mib", whole(1, 65_536), "64", "MiB", "Events at once before emit_mib_per_s counts."),
    row("limits.log_per_s", whole(1, 1_000_000), "50", "1/s", "Log lines one plugin may write."),
    row("limits.log_burst", whole(1, 1_000_000), "500", "", "Log lines at once before log_per_s counts."),
    row("limits.log_line_bytes", whole(80, MIB), "8192", "bytes", "Length of one log line; the rest is cut off."),
    row("limits.error_text_bytes", whole(80, MIB), "8192", "bytes", "Length of an error's text; the rest is cut off."),
    row("limits.http_requests", whole(1, 1000), "8", "", "HTTP requests of one plugin at once."),
    row("limits.http_wall_ms", whole(1, DAY_MS), "10000", "ms", "One HTTP request may last so long, redirects and body included."),
    row("limits.http_body_mib", whole(1, 1024), "10", "MiB", "One HTTP answer, after decompression."),
    row("limits.processes", whole(1, 64), "2", "", "Processes of one plugin at once."),
    row("limits.process_wall_ms", whole(1, DAY_MS), "30000", "ms", "One process may last so long."),
    row("limits.process_output_mib", whole(1, 64), "4", "MiB", "What one process may write to its standard output and error."),
    row("limits.process_memory_mib", whole(16, 65_536), "4096", "MiB", "Memory of one process."),
    row("limits.files", whole(0, 10_000_000), "10000", "", "Files and folders one plugin may keep in its own folder."),
    row("limits.files_mib", whole(0, 1 << 20), "256", "MiB", "Files of one plugin in its own folder, together; also any one file that its programs write."),
    row("limits.assets", whole(0, 10_000_000), "10000", "", "Assets one plugin may keep."),
    row("limits.assets_mib", whole(0, 1 << 20), "256", "MiB", "Assets of one plugin, together."),
    row("limits.db_mib", whole(1, 65_536), "64", "MiB", "One plugin's own database."),
    row("limits.db_statement_ms", whole(1, DAY_MS), "200", "ms", "One statement on a plugin's own database may last so long."),
    row("limits.db_rows", whole(1, 10_000_000), "10000", "", "Rows one query of a plugin's own database may answer."),
    row("limits.kv_keys", whole(0, 100_000_000), "100000", "", "Keys one plugin may keep."),
    row("limits.kv_mib", whole(0, 65_536), "64", "MiB", "Keys and values one plugin may keep."),
    row("limits.schedules", whole(0, 10_000), "100", "", "Schedules one plugin may have."),
    row("limits.trace_per_mille", whole(0, 1000), "10", "", "Of a thousand calls of one plugin that ended well, so many are kept as traces, but no more than traces.samples_per_second; failures, up to traces.failures_per_second."),
    row("limits.routes", whole(0, 1000), "64", "", "Routes one plugin may have."),
    row("limits.notifications_per_min", whole(0, 10_000), "10", "1/min", "Notifications one plugin may send."),
    most!("cpu_ms", whole(1, DAY_MS), "10000", "ms"),
    most!("question_cpu_ms", whole(1, DAY_MS), "2000", "ms"),
    most!("load_cpu_ms", whole(1, DAY_MS), "10000", "ms"),
    most!("wall_ms", whole(1, DAY_MS), "600000", "ms"),
    most!("question_wall_ms", whole(1, DAY_MS), "30000", "ms"),
    most!("load_wall_ms", whole(1, DAY_MS), "30000", "ms"),
    most!("memory_mib", whole(1, 4096), "256", "MiB"),
    most!("in_flight", whole(1, 1_000_000), "10000", ""),
    most!("queue", whole(1, 1_000_000), "10000", ""),
    most!("instances", whole(1, 64), "8", ""),
    most!("max_concurrent_tasks", whole(1, 64), "16", ""),
    most!("timers", whole(0, 100_000), "1000", ""),
    most!("hooks", whole(1, 10_000), "1024", ""),
    most!("event_depth", whole(1, 64), "16", ""),
    most!("emits_per_s", whole(1, 10_000_000), "100000", "1/s"),
    most!("emits_burst", whole(1, 10_000_000), "200000", ""),
    most!("emit_mib_per_s", whole(1, 65_536), "32", "MiB"),
    most!("emit_burst_mib", whole(1, 65_536), "256", "MiB"),
    most!("log_per_s", whole(1, 1_000_000), "500", "1/s"),
    most!("log_burst", whole(1, 1_000_000), "5000", ""),
    most!("log_line_bytes", whole(80, MIB), "65536", "bytes"),
    most!("error_text_bytes", whole(80, MIB), "65536", "bytes"),
    most!("http_requests", whole(1, 1000), "64", ""),
    most!("http_wall_ms", whole(1, DAY_MS), "120000", "ms"),
    most!("http_body_mib", whole(1, 1024), "100", "MiB"),
    most!("processes", whole(1, 64), "8", ""),
    most!("process_wall_ms", whole(1, DAY_MS), "600000", "ms"),
    most!("process_output_mib", whole(1, 64), "32", "MiB"),
    most!("process_memory_mib", whole(16, 65_536), "16384", "MiB"),
    most!("files", whole(0, 10_000_000), "100000", ""),
    most!("files_mib", whole(0, 1 << 20), "4096", "MiB"),
    most!("assets", whole(0, 10_000_000), "100000", ""),
    most!("assets_mib", whole(0, 1 << 20), "4096", "MiB"),
    most!("db_mib", whole(1, 65_536), "1024", "MiB"),
    most!("db_statement_ms", whole(1, DAY_MS), "5000", "ms"),
    most!("db_rows", whole(1, 10_000_000), "100000", ""),
    most!("kv_keys", whole(0, 100_000_000), "1000000", ""),
    most!("kv_mib", whole(0, 65_536), "512", "MiB"),
    most!("schedules", whole(0, 10_000), "1000", ""),
    most!("trace_per_mille", whole(0, 1000), "1000", ""),
    most!("routes", whole(0, 1000), "256", ""),
    most!("notifications_per_min", whole(0, 10_000), "60", "1/min"),
    row("breaker.kills", whole(1, 10_000), "5", "", "Deadline and memory kills of one plugin that open its breaker."),
    row("breaker.window_s", whole(1, 86_400), "60", "s", "Kills are counted over this time."),
    row("breaker.open_s", whole(1, 86_400), "30", "s", "An open breaker lets nothing through for this time, doubled each time."),
    row("breaker.open_max_s", whole(1, 604_800), "3600", "s", "The longest time a breaker stays open."),
    row("breaker.slow_request_ms", whole(1, DAY_MS), "500", "ms", "A plugin that takes longer around 10 of 20 requests is left out of before_request and after_request for a while."),
    row("rollback.enabled", Kind::Flag, "true", "", "True has a plugin go back to its former version when the new one fails too often."),
    row("rollback.window_s", whole(1, 86_400), "60", "s", "A new version is watched for this time."),
    row("rollback.calls", whole(1, 1_000_000), "200", "", "A new version is watched for so many calls, too, for an hour at most."),
    row("rollback.error_percent", whole(1, 100), "5", "%", "A new version of which more calls fail is gone back from, if that is much more than before."),
    row("rollback.factor", whole(1, 1000), "3", "", "Much more is so many times the share of calls that failed before."),
];

const fn row(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    unit: &'static str,
    doc: &'static str,
) -> Row {
    Row { key, kind, default: DefaultValue::Text(default), unit, doc }
}

const fn computed(
    key: &'static str,
    kind: Kind,
    how: &'static str,
    default: fn(&Path) -> String,
    doc: &'static str,
) -> Row {
    Row { key, kind, default: DefaultValue::Computed(how, default), unit: "", doc }
}

const fn whole(min: u64, max: u64) -> Kind {
    Kind::Whole { min, max }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn in_data_dir_recordings(data_dir: &Path) -> String {
    data_dir.join("recordings").to_string_lossy().into_owned()
}

fn in_data_dir_secret_key(data_dir: &Path) -> String {
    data_dir.join("secret.key").to_string_lossy().into_owned()
}

fn in_data_dir_database(data_dir: &Path) -> String {
    format!("sqlite:{}", data_dir.join("panotti.db").to_string_lossy())
}
