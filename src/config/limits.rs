//! What one plugin may use, and when one that keeps being killed is left alone.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fault::{Fault, did_you_mean};
use super::table::{Row, SETTINGS};

/// What one plugin may use: the defaults under `limits:` in the settings, changed by `limits:` in its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginLimits {
    /// Milliseconds of CPU for one call that is not a question.
    pub cpu_ms: u64,
    /// Milliseconds of CPU for one question (a before-hook, a clip's pipeline).
    pub question_cpu_ms: u64,
    /// Milliseconds of CPU for running a plugin's files when it loads.
    pub load_cpu_ms: u64,
    /// Milliseconds one call that is not a question may last.
    pub wall_ms: u64,
    /// Milliseconds one question may last.
    pub question_wall_ms: u64,
    /// Milliseconds loading may last.
    pub load_wall_ms: u64,
    /// MiB of memory for each VM of the plugin.
    pub memory_mib: u64,
    /// Calls of the plugin in flight at once.
    pub in_flight: usize,
    /// Calls that may wait for the plugin.
    pub queue: usize,
    /// VMs that run the plugin's hooks side by side, sharing nothing: each runs the hooks of its life, too.
    pub instances: usize,
    /// `task.run` calls at once.
    pub max_concurrent_tasks: usize,
    /// Timers at once.
    pub timers: usize,
    /// Handlers the plugin may register.
    pub hooks: usize,
    /// Events published in answer to events, at most this deep.
    pub event_depth: u32,
    /// Events published per second.
    pub emits_per_s: u64,
    /// Events published at once before `emits_per_s` counts.
    pub emits_burst: u64,
    /// MiB of events published per second.
    pub emit_mib_per_s: u64,
    /// MiB of events published at once before `emit_mib_per_s` counts.
    pub emit_burst_mib: u64,
    /// Log lines per second.
    pub log_per_s: u64,
    /// Log lines at once before `log_per_s` counts.
    pub log_burst: u64,
    /// Bytes of one log line; the rest is cut off.
    pub log_line_bytes: usize,
    /// Bytes of an error's text; the rest is cut off.
    pub error_text_bytes: usize,
    /// HTTP requests of the plugin at once.
    pub http_requests: usize,
    /// Milliseconds one HTTP request may last, redirects and body included.
    pub http_wall_ms: u64,
    /// MiB of one HTTP answer, after decompression.
    pub http_body_mib: u64,
    /// Processes of the plugin at once.
    pub processes: usize,
    /// Milliseconds one process may last.
    pub process_wall_ms: u64,
    /// MiB of what one process may write to its standard output and error.
    pub process_output_mib: u64,
    /// MiB of memory of one process.
    pub process_memory_mib: u64,
    /// Files and folders the plugin may keep in its own folder.
    pub files: u64,
    /// MiB of the files the plugin keeps in its own folder.
    pub files_mib: u64,
    /// Assets the plugin may keep.
    pub assets: u64,
    /// MiB of the assets the plugin keeps.
    pub assets_mib: u64,
    /// MiB of the plugin's own database.
    pub db_mib: u64,
    /// Milliseconds one statement on the plugin's own database may last.
    pub db_statement_ms: u64,
    /// Rows one query of the plugin's own database may answer.
    pub db_rows: u64,
    /// Keys the plugin may keep.
    pub kv_keys: u64,
    /// MiB of the keys and values the plugin keeps.
    pub kv_mib: u64,
    /// Schedules the plugin may have.
    pub schedules: usize,
    /// Of a thousand calls that ended well, so many are kept as traces, up to `traces.samples_per_second`.
    pub trace_per_mille: u64,
    /// Routes the plugin may have.
    pub routes: usize,
    /// Notifications of the plugin per minute.
    pub notifications_per_min: u64,
}

/// When a plugin that keeps being killed is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// Deadline and memory kills within `window_s` that open the breaker.
    pub kills: u32,
    /// Seconds over which kills are counted.
    pub window_s: u64,
    /// Seconds the breaker stays open at first; doubled each time.
    pub open_s: u64,
    /// Seconds the breaker stays open at most.
    pub open_max_s: u64,
    /// Milliseconds after which a question around a request is slow; a plugin most of whose questions are is not asked
    /// them for a while.
    pub slow_request_ms: u64,
}

/// When a plugin goes back to its former version by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Whether it does.
    pub enabled: bool,
    /// Seconds for which a new version is watched.
    pub window_s: u64,
    /// Calls for which it is watched, too, for an hour at most.
    pub calls: u64,
    /// Percent of calls of which more must fail.
    pub error_percent: u32,
    /// Times the former share of failed calls that must be exceeded, too.
    pub factor: u32,
}

/// What is kept of the journal and of the audit log, and for how long; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days after which events may go.
    pub events_days: u64,
    /// Events beyond which the oldest go.
    pub events_max: u64,
    /// MiB of events beyond which the oldest go.
    pub events_mib: u64,
    /// Days for which what was given up keeps its event.
    pub dead_days: u64,
    /// Days after which rows of the audit log go.
    pub audit_days: u64,
    /// Rows of the audit log beyond which the oldest go.
    pub audit_max: u64,
}

impl PluginLimits {
    /// These limits changed by the `limits:` section of a manifest.
    ///
    /// # Errors
    /// All faults at once; the source of each is `limits.<key>`.
    pub fn merged(&self, asked: &Map<String, Value>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut merged = serde_json::to_value(self).unwrap_or_default();
        for (key, value) in asked {
            let row = rows().find(|row| limit_name(row) == key);
            let read = row.map_or_else(
                || Err(format!("there is no such limit{}", did_you_mean(key, rows().map(limit_name)))),
                |row| row.kind.read_json(value),
            );
            match read {
                Ok(value) => merged[key] = value,
                Err(message) => faults.push(Fault { source: format!("limits.{key}"), message }),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        serde_json::from_value(merged)
            .map_err(|fault| vec![Fault { source: "limits".to_owned(), message: fault.to_string() }])
    }
}

/// What plugins may use when they say nothing, and what they may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitRules {
    /// `limits:` in the settings.
    pub default: PluginLimits,
    /// `limits_max:` in the settings; what is less than the default counts as the default.
    pub max: PluginLimits,
}

impl LimitRules {
    /// The default changed by the `limits:` section of a manifest, and what it asked for beyond what it may: it gets the
    /// most there is, so that one high figure does not keep it from running.
    ///
    /// # Errors
    /// As [`PluginLimits::merged`].
    pub fn merged(&self, asked: &Map<String, Value>) -> Result<(PluginLimits, Vec<Fault>), Vec<Fault>> {
        // Most plugins ask for nothing.
        if asked.is_empty() {
            return Ok((self.default, Vec::new()));
        }
        let merged = self.default.merged(asked)?;
        let [mut merged, default, max] =
            [&merged, &self.default, &self.max].map(|it| serde_json::to_value(it).unwrap_or_default());
        let mut told = Vec::new();
        for name in rows().map(limit_name) {
            let most = default[name].as_u64().max(max[name].as_u64());
            let wanted = merged[name].as_u64();
            if let (Some(most), Some(wanted)) = (most, wanted)
                && wanted > most
            {
                merged[name] = most.into();
                let message = format!(
                    "{wanted} is more than the {most} that the admin allows (limits_max.{name}): the latter is in force"
                );
                told.push(Fault { source: format!("limits.{name}"), message });
            }
        }
        let merged = serde_json::from_value(merged);
        merged
            .map(|it| (it, told))
            .map_err(|fault| vec![Fault { source: "limits".to_owned(), message: fault.to_string() }])
    }
}

impl Default for LimitRules {
    fn default() -> Self {
        super::Settings::default().limit_rules()
    }
}

impl Default for PluginLimits {
    fn default() -> Self {
        super::Settings::default().limits
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    SETTINGS.iter().filter(|row| row.section() == Some("limits"))
}

fn limit_name(row: &'static Row) -> &'static str {
    row.name()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merge(asked: Value) -> Result<PluginLimits, Vec<Fault>> {
        PluginLimits::default().merged(asked.as_object().expect("an object"))
    }

    #[test]
    fn a_manifest_changes_only_the_limits_it_names() {
        let merged = merge(json!({ "cpu_ms": 200, "instances": 2 })).expect("accepted");
        let expected = PluginLimits { cpu_ms: 200, instances: 2, ..PluginLimits::default() };
        assert_eq!(merged, expected);
    }

    #[test]
    fn what_is_asked_for_ends_at_the_maximum_or_at_a_higher_default() {
        let mut rules = LimitRules::default();
        rules.max.memory_mib = 128;
        rules.default.timers = 5000;
        let asked = json!({ "memory_mib": 4096, "load_wall_ms": 86_400_000, "timers": 4000, "cpu_ms": 1500 });
        let (merged, told) = rules.merged(asked.as_object().unwrap()).expect("accepted");
        assert_eq!((merged.memory_mib, merged.load_wall_ms), (128, 30_000));
        assert_eq!((merged.timers, merged.cpu_ms), (4000, 1500));
        let told: Vec<String> = told.iter().map(ToString::to_string).collect();
        let memory = "limits.memory_mib: 4096 is more than the 128 that the admin allows (limits_max.memory_mib): the latter is in force";
        assert!(told.len() == 2 && told.contains(&memory.to_owned()), "{told:?}");
    }

    #[test]
    fn every_limit_has_a_maximum_that_the_default_keeps() {
        let rules = LimitRules::default();
        let [default, max] = [rules.default, rules.max].map(|it| serde_json::to_value(it).unwrap());
        for name in rows().map(limit_name) {
            assert!(
                SETTINGS.iter().any(|row| row.section() == Some("limits_max") && row.name() == name),
                "{name}"
            );
            assert!(default[name].as_u64() <= max[name].as_u64(), "{name}");
        }
    }

    #[test]
    fn all_wrong_limits_are_told_at_once_with_bounds_and_suggestion() {
        let faults =
            merge(json!({ "memory_mb": 3, "cpu_ms": 0, "timers": "many" })).expect_err("three faults");
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3);
        assert!(told[0].contains("did you mean \"memory_mib\"?"), "{}", told[0]);
        assert!(
            told[1].starts_with("limits.cpu_ms: 0 is not accepted; use a whole number from 1 to"),
            "{}",
            told[1]
        );
        assert!(told[2].contains("\"many\""), "{}", told[2]);
    }
}
