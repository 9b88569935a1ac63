//! What a plugin is doing, as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::config::PluginLimits;
use crate::error::ScriptFault;
use crate::hooks::{OnError, Registration, Subscription};
use crate::lua::GenerationStats;
use crate::lua::quota::{Quota, Quotas};
use crate::model::plugin::PluginState;
use crate::model::time::Timestamp;
use crate::plugins::manager::{HeldBack, RouteView};

use super::breaker::BreakerView;
use super::health::HealthView;
use super::stats::Latency;

/// A plugin as it is listed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PluginView {
    /// Its number.
    pub id: i64,
    /// Its folder's name.
    pub name: String,
    /// What people call it.
    pub display_name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Semantic version, from its manifest.
    pub version: Option<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// `lua` runs; others are kept as `unsupported`.
    pub plugin_type: String,
    /// The file that starts it.
    pub entry_point: Option<String>,
    /// Its folder.
    pub install_path: Option<String>,
    /// Whether it is meant to run.
    pub enabled: bool,
    /// Free JSON.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What it is doing, wanted or not.
    pub state: PluginState,
    /// Since when (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub state_since: Option<Timestamp>,
    /// Why it is in this state.
    pub state_reason: Option<String>,
    /// Counts its loads since the server started; 0 before the first.
    pub generation: u64,
    /// BLAKE3 of its files.
    pub hash: Option<String>,
    /// Names of the hooks it has registered.
    pub hooks: Vec<String>,
    /// What went wrong last.
    pub last_error: Option<LastError>,
    /// Whether it is left alone for a while.
    pub breaker: BreakerView,
    /// The same for `before_request` and `after_request` alone.
    pub request_breaker: BreakerView,
    /// When it was first seen (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its row last changed (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Counts the changes of its row, for the ETag.
    #[serde(skip)]
    pub version_count: i64,
}

/// What went wrong last, as the script's author reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LastError {
    /// How it ended: `runtime`, `deadline`, `memory`, `syntax`, `skipped` (not even tried), …
    pub outcome: String,
    /// The hook, or `load`.
    pub hook: Option<String>,
    /// Path inside the plugin's folder.
    pub file: Option<String>,
    /// Line, counted from 1.
    pub line: Option<u32>,
    /// Column, where it is known.
    pub column: Option<u32>,
    /// What happened.
    pub message: String,
    /// The lines around it, the faulty one marked.
    pub excerpt: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The script's own frames.
    pub traceback: Option<String>,
    /// The recorded call, at `/api/v1/traces/{id}`; null when it was not recorded.
    pub trace_id: Option<String>,
    /// The generation that failed.
    pub generation: u64,
    /// When (UTC).
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl LastError {
    /// `init.lua:3: what happened`, for one line of text.
    pub fn line(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}: {}", self.message),
            (Some(file), None) => format!("{file}: {}", self.message),
            _ => self.message.clone(),
        }
    }

    /// A fault with its generation and moment.
    pub fn new(fault: ScriptFault, generation: u64, at: Timestamp) -> Self {
        LastError {
            outcome: fault.outcome,
            hook: fault.hook,
            file: fault.file,
            line: fault.line,
            column: fault.column,
            message: fault.message,
            excerpt: fault.excerpt,
            hint: fault.hint,
            traceback: fault.traceback,
            trace_id: fault.trace_id,
            generation,
            at,
        }
    }
}

/// Everything about a plugin at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PluginStatus {
    /// Its number.
    pub id: i64,
    /// Its folder's name.
    pub name: String,
    /// What it is doing, wanted or not.
    pub state: PluginState,
    /// Since when (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub state_since: Option<Timestamp>,
    /// Why it is in this state.
    pub state_reason: Option<String>,
    /// Whether it is meant to run.
    pub enabled: bool,
    /// Counts its loads since the server started; 0 before the first.
    pub generation: u64,
    /// BLAKE3 of the files of the running generation, else of the folder.
    pub hash: Option<String>,
    /// The version of its manifest.
    pub version: Option<String>,
    /// The number of the version that runs, as `/versions` lists it; null when none does.
    pub version_number: Option<i64>,
    /// What it has registered.
    pub hooks: Vec<HookView>,
    /// What events it listens to.
    pub subscriptions: Vec<SubscriptionView>,
    /// What went wrong last.
    pub last_error: Option<LastError>,
    /// What is odd but does no harm.
    pub warnings: Vec<String>,
    /// That its folder holds a version that was rolled back by the server, and does not run; null when that is not so.
    pub held_back: Option<HeldBack>,
    /// Calls that wait for it.
    pub queue_depth: usize,
    /// Calls that have begun and not ended.
    pub in_flight: usize,
    /// Bytes its VMs hold.
    pub memory_bytes: usize,
    /// What else it uses: CPU, tasks, VMs that had to be replaced.
    #[schema(value_type = Object)]
    pub usage: GenerationStats,
    /// Calls by outcome since the server started.
    #[schema(value_type = Object)]
    pub counts: BTreeMap<&'static str, u64>,
    /// How long calls took, by hook.
    #[schema(value_type = Object)]
    pub latency: BTreeMap<&'static str, Latency>,
    /// What it may use.
    #[schema(value_type = Object)]
    pub limits: PluginLimits,
    /// Whether it is left alone for a while.
    pub breaker: BreakerView,
    /// The same for `before_request` and `after_request` alone; here `kills` are slow ones among the last 20.
    pub request_breaker: BreakerView,
    /// What its `health()` said last; null without one.
    pub health: Option<HealthView>,
    /// Plugins it needs.
    pub dependencies: Vec<String>,
    /// Permissions it asks for.
    #[schema(value_type = Object)]
    pub permissions_requested: Value,
    /// Permissions it has.
    #[schema(value_type = Object)]
    pub permissions_granted: Value,
    /// Permissions it asks for and does not have.
    #[schema(value_type = Object)]
    pub permissions_waiting: Value,
    /// While it says `permissions: learn`: the lines of a manifest that ask for what it was seen to need.
    pub learned: Option<String>,
    /// Its own routes, below `/api/v1/plugins/<name>/x`.
    pub routes: Vec<RouteView>,
    /// What it has of what is counted.
    pub quotas: Vec<QuotaView>,
}

/// How much of one thing a plugin has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuotaView {
    /// `http_requests`, `file_bytes`, ….
    pub name: &'static str,
    /// The setting that limits it.
    pub setting: &'static str,
    /// How much of it the plugin may have, in pieces or bytes.
    pub limit: u64,
    /// How much it has.
    pub used: u64,
    /// The most it had since the server started.
    pub peak: u64,
    /// How often it was refused more.
    pub refused: u64,
}

impl QuotaView {
    /// One of each.
    pub fn all(quotas: &Quotas, limits: &PluginLimits) -> Vec<Self> {
        let view = |quota: Quota| {
            let has = quotas.read(quota);
            QuotaView {
                name: quota.name(),
                setting: quota.setting(),
                limit: quota.limit(limits),
                used: has.used,
                peak: has.peak,
                refused: has.refused,
            }
        };
        Quota::ALL.into_iter().map(view).collect()
    }
}

/// One registered hook.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HookView {
    /// Its name.
    pub hook: &'static str,
    /// Higher runs earlier.
    pub priority: i32,
    /// Plugins that come after it.
    pub before: Vec<String>,
    /// Plugins that come before it.
    pub after: Vec<String>,
    /// Seconds a call may take, where the plugin said so.
    pub timeout: Option<f64>,
    /// What a failure means: `allow` or `deny`.
    pub on_error: &'static str,
}

impl From<&Registration> for HookView {
    fn from(it: &Registration) -> Self {
        HookView {
            hook: it.hook.name(),
            priority: it.priority,
            before: it.before.clone(),
            after: it.after.clone(),
            timeout: it.timeout.map(|it| it.as_secs_f64()),
            on_error: if it.on_error == OnError::Deny { "deny" } else { "allow" },
        }
    }
}

/// One subscription to events.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SubscriptionView {
    /// The pattern of event types.
    pub pattern: String,
    /// Higher runs earlier within the plugin.
    pub priority: i32,
}

impl From<&Subscription> for SubscriptionView {
    fn from(it: &Subscription) -> Self {
        SubscriptionView { pattern: it.pattern.clone(), priority: it.priority }
    }
}
