//! What an edit would change, seen before it goes live: the plugin's last calls, run again on the files as they are and
//! as they would be. Nothing of it reaches the world.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::{Code, Error, Result};
use crate::lua::replay::Replayed;
use crate::model::plugin_version::{Authorship, VersionOrigin};
use crate::model::trace::Trace;
use crate::services::traces::{Difference, Traces, differences};

use super::Manager;
use super::slot::{Prepared, Slot};

/// Calls that one preview runs at most.
pub const MAX_CALLS: usize = 1_000;

/// A preview that has not ended by then leaves the older calls out.
const LONGEST: Duration = Duration::from_secs(60);

/// Previews that are remembered.
const MAX_REMEMBERED: usize = 1_000;

/// Which files a preview is of.
#[derive(Debug, Clone)]
pub enum PreviewOf {
    /// Those of the plugin's folder with these in their places; none = without that file.
    Files(BTreeMap<String, Option<String>>),
    /// The plugin's draft.
    Draft,
}

/// What an edit would change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Preview {
    /// The hash of the files that it is of; they may go live where a preview is required.
    pub hash: String,
    /// The hash of the files they would take the place of.
    pub live_hash: Option<String>,
    /// The calls, newest first.
    pub calls: Vec<PreviewCall>,
    /// All of them together.
    pub summary: PreviewSummary,
}

/// One call, as it was or is now, and as it would be.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PreviewCall {
    /// The recorded call.
    pub trace_id: String,
    /// Its hook.
    pub hook: String,
    /// On the files that run now: `{outcome, output, effects, error, took_ms}`; as it was recorded where they do not run it.
    #[schema(value_type = Object)]
    pub before: Value,
    /// On the files as they would be; null when it could not be run.
    #[schema(value_type = Option<Object>)]
    pub after: Value,
    /// Where the two differ.
    pub diff: Vec<Difference>,
    /// Why it could not be run, or what went wrong in it.
    pub error: Option<String>,
}

/// How many calls come to what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct PreviewSummary {
    /// Calls that were run.
    pub calls: usize,
    /// That come to the same.
    pub same: usize,
    /// That come to something else.
    pub changed: usize,
    /// That refuse what was not refused.
    pub new_refusals: usize,
    /// That do not refuse any more.
    pub gone_refusals: usize,
    /// That fail and did not.
    pub new_errors: usize,
    /// That do not fail any more.
    pub gone_errors: usize,
    /// That leave other writes or events.
    pub other_effects: usize,
    /// That return something else.
    pub other_output: usize,
    /// That ask the host for what was not recorded, or for which there was no time: nobody knows what they would come to.
    pub unknown: usize,
    /// Milliseconds of all calls on the files that run now, without what they waited for.
    pub before_ms: f64,
    /// The same on the files as they would be.
    pub after_ms: f64,
}

/// Files of which a preview was seen.
#[derive(Default)]
pub(super) struct Previewed(Mutex<VecDeque<(Arc<str>, String)>>);

impl Previewed {
    fn note(&self, plugin: &Arc<str>, hash: String) {
        let mut seen = self.0.lock();
        seen.retain(|it| *it != (Arc::clone(plugin), hash.clone()));
        if seen.len() >= MAX_REMEMBERED {
            seen.pop_front();
        }
        seen.push_back((Arc::clone(plugin), hash));
    }

    fn knows(&self, plugin: &Arc<str>, hash: &str) -> bool {
        self.0.lock().iter().any(|(name, seen)| name == plugin && seen == hash)
    }
}

impl Manager {
    /// Runs the last `most` calls of a plugin on its files as they would be.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`]; there is no draft; the files make no plugin.
    pub async fn preview(&self, id: &str, of: PreviewOf, most: usize, traces: &Traces) -> Result<Preview> {
        let slot = self.slot(id)?;
        let prepared = match of {
            PreviewOf::Files(files) => self.with_files(&slot, files).await?,
            PreviewOf::Draft => {
                let files = self.draft_files(&slot).await?;
                self.prepare_files(&slot, files).await?
            }
        };
        let live = self.running_files(&slot).ok();
        let (began, mut summary, mut calls) = (Instant::now(), PreviewSummary::default(), Vec::new());
        for trace in traces.last(&slot.name, most.min(MAX_CALLS)).await? {
            let has_time = began.elapsed() < LONGEST;
            calls.push(self.compare(&slot, live.as_ref(), &prepared, trace, has_time, &mut summary).await);
        }
        let hash = prepared.snapshot.hash.to_string();
        self.0.previewed.note(&slot.name, hash.clone());
        Ok(Preview { hash, live_hash: live.map(|it| it.snapshot.hash.to_string()), calls, summary })
    }

    async fn compare(
        &self,
        slot: &Slot,
        live: Option<&Prepared>,
        prepared: &Prepared,
        trace: Trace,
        has_time: bool,
        summary: &mut PreviewSummary,
    ) -> PreviewCall {
        let (trace_id, hook) = (trace.id.clone(), trace.hook.clone());
        let recorded = json!({
            "outcome": trace.outcome, "output": trace.output, "effects": trace.effects,
            "error": trace.fault.as_ref().map(|it| it.message.clone()), "took_ms": trace.took_ms,
        });
        summary.calls += 1;
        if !has_time {
            summary.unknown += 1;
            let error = Some("there was no time left for it".to_owned());
            return PreviewCall {
                trace_id,
                hook,
                before: recorded,
                after: Value::Null,
                diff: Vec::new(),
                error,
            };
        }
        let trace = Arc::new(trace);
        // On both sides the same is missing that no record holds, such as what the plugin keeps in variables.
        let now = match live {
            Some(live) => {
                let source = self.replay_source(slot, live, &trace);
                Some(self.0.host.replay(source, Arc::clone(&trace)).await)
            }
            None => None,
        };
        let before = now.filter(|it| it.outcome.is_some()).map_or(recorded, |it| shown(&it));
        let would = self.0.host.replay(self.replay_source(slot, prepared, &trace), trace).await;
        summary.before_ms += before["took_ms"].as_f64().unwrap_or_default();
        summary.after_ms += would.took_ms;
        let error = why(&would);
        let after = if would.outcome.is_some() { shown(&would) } else { Value::Null };
        let diff = if after.is_null() { Vec::new() } else { count(&before, &after, summary) };
        summary.unknown += usize::from(after.is_null());
        PreviewCall { trace_id, hook, before, after, diff, error }
    }

    /// Refuses to let files go live that a client changed and of which no preview was seen, where that is required.
    ///
    /// # Errors
    /// [`Code::PreviewRequired`].
    pub(super) fn require_preview(&self, slot: &Slot, hash: &str, by: &Authorship) -> Result<()> {
        let is_seen = || self.0.previewed.knows(&slot.name, hash);
        if !self.0.settings.preview_required || by.origin != VersionOrigin::Api || is_seen() {
            return Ok(());
        }
        let detail = format!("No preview was made of these files of the plugin `{}`.", slot.name);
        Err(Error::new(Code::PreviewRequired, detail).with_member("hash", hash))
    }
}

fn shown(it: &Replayed) -> Value {
    json!({
        "outcome": it.outcome, "output": it.output, "effects": it.effects,
        "error": it.fault.as_ref().map(|it| it.message.clone()), "took_ms": it.took_ms,
    })
}

fn why(it: &Replayed) -> Option<String> {
    let diverged = it.diverged.as_ref().map(ToString::to_string);
    diverged.or_else(|| it.fault.as_ref().map(ToString::to_string))
}

/// Counts a call that was run, and tells its differences.
fn count(before: &Value, after: &Value, summary: &mut PreviewSummary) -> Vec<Difference> {
    let diff: Vec<Difference> = ["outcome", "output", "effects", "error"]
        .into_iter()
        .flat_map(|part| differences(&format!("/{part}"), &before[part], &after[part]))
        .collect();
    let differs = |part: &str| usize::from(diff.iter().any(|it| it.path.starts_with(part)));
    summary.same += usize::from(diff.is_empty());
    summary.changed += usize::from(!diff.is_empty());
    summary.other_output += differs("/output");
    summary.other_effects += differs("/effects");
    let fine = BTreeSet::from(["ok", "refused"]);
    let [was, is] = [before, after].map(|it| it["outcome"].as_str().unwrap_or_default());
    summary.new_refusals += usize::from(was != "refused" && is == "refused");
    summary.gone_refusals += usize::from(was == "refused" && is != "refused");
    summary.new_errors += usize::from(fine.contains(was) && !fine.contains(is));
    summary.gone_errors += usize::from(!fine.contains(was) && fine.contains(is));
    diff
}
