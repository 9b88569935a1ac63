//! Recorded calls run again: on the files they were recorded with, on those that run now, or on a client's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::{Code, Error, Result, ScriptFault};
use crate::lua::PluginSource;
use crate::lua::recorder::fingerprint;
use crate::lua::replay::Replayed;
use crate::model::trace::{FORMAT, Trace};
use crate::plugins::discovery::Snapshot;
use crate::plugins::sources;
use crate::services::traces::{Difference, differences};

use super::Manager;
use super::files::folder_of;
use super::scan::{blocking, read_snapshot};
use super::slot::{Prepared, Slot};

/// On which files a call is run again.
#[derive(Debug, Clone)]
pub enum ReplayCode {
    /// Those it was recorded with.
    Recorded,
    /// Those that run now.
    Live,
    /// Those of the plugin's folder with these in their places; none = without that file.
    Files(BTreeMap<String, Option<String>>),
}

/// What came of running a call again.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReplayView {
    /// The recorded call.
    pub trace_id: String,
    /// Whether it could be run again.
    pub replayable: bool,
    /// Why not.
    pub why: Option<String>,
    /// Whether it came to the same, to the byte: outcome, what it returned, what it leaves to be committed.
    pub same: bool,
    /// The hash of the files it was run on.
    pub hash: String,
    /// Whether these are the files it was recorded with.
    pub same_code: bool,
    /// How it ended; null = it did not run to its end.
    pub outcome: Option<String>,
    /// What it returned.
    pub output: Value,
    /// What would be committed with it.
    pub effects: Value,
    /// Where it differs from the record.
    pub diff: Vec<Difference>,
    /// What went wrong.
    pub fault: Option<ScriptFault>,
    /// The host call that it asks for and that was not recorded: `{function, args, file, line}`.
    #[schema(value_type = Option<Object>)]
    pub diverged: Option<Value>,
    /// Recorded host calls that it does not ask for any more.
    pub left_over: Vec<String>,
    /// What it would have logged: `{level, message, fields}`.
    #[schema(value_type = Vec<Object>)]
    pub log: Vec<Value>,
    /// What else is to be known when the two are compared.
    pub notes: Vec<String>,
    /// How long it took, in milliseconds; what was waited for then is not waited for again.
    pub took_ms: f64,
}

impl Manager {
    /// Runs a recorded call again in a VM that is thrown away; nothing it does reaches the world.
    ///
    /// # Errors
    /// The plugin is gone; its files of then are not kept; a client's files make no plugin.
    pub async fn replay(&self, trace: &Trace, code: ReplayCode) -> Result<ReplayView> {
        let slot = self.slot(&trace.plugin)?;
        let prepared = match code {
            ReplayCode::Recorded => self.recorded_files(&slot, &trace.hash).await?,
            ReplayCode::Live => self.running_files(&slot)?,
            ReplayCode::Files(files) => self.with_files(&slot, files).await?,
        };
        let source = self.replay_source(&slot, &prepared, trace);
        let config = fingerprint(&source.config, &source.secret_keys);
        let hash = prepared.snapshot.hash.to_string();
        let why = match trace.format {
            FORMAT => trace.why_not_replayable(),
            other => Some(format!("it was recorded in the form {other}; this server reads {FORMAT}")),
        };
        if why.is_some() {
            return Ok(not_run(trace, hash, why));
        }
        let replayed = self.0.host.replay(source, Arc::new(trace.clone())).await;
        Ok(view(trace, hash, &config, replayed))
    }

    /// What a VM is made of that runs `trace` again.
    pub(super) fn replay_source(&self, slot: &Slot, prepared: &Prepared, trace: &Trace) -> PluginSource {
        let config = slot.config(&prepared.layers);
        // What the script sees of its generation is as it was.
        self.source_of(slot, prepared, trace.generation, config)
    }

    /// The files with this hash: they run, or were kept.
    pub(super) async fn recorded_files(&self, slot: &Arc<Slot>, hash: &str) -> Result<Prepared> {
        let at_hand = slot.read(|it| {
            let live = it.live.as_ref().map(|it| &it.prepared);
            live.into_iter().chain(it.prepared.as_ref()).find(|it| &*it.snapshot.hash == hash).cloned()
        });
        if let Some(prepared) = at_hand {
            return Ok(prepared);
        }
        let (id, wanted) = (slot.read(|it| it.row.id), hash.to_owned());
        let kept = self.0.registry.store.read_async(move |it| {
            let version = it.version_with_hash(id, &wanted)?;
            version.map(|version| it.version_contents(version.id)).transpose()
        });
        match kept.await? {
            Some(files) => self.prepare_files(slot, files).await,
            None => {
                let detail = format!(
                    "The files of the plugin `{}` that the call was recorded with are not kept.",
                    slot.name
                );
                Err(Error::new(Code::Conflict, detail)
                    .with_hint("Run it on the current ones: {\"code\": \"live\"}."))
            }
        }
    }

    pub(super) fn running_files(&self, slot: &Slot) -> Result<Prepared> {
        let prepared =
            slot.read(|it| it.live.as_ref().map(|it| it.prepared.clone()).or_else(|| it.prepared.clone()));
        prepared.ok_or_else(|| {
            Error::new(Code::PluginNotRunning, format!("The plugin `{}` does not run.", slot.name))
        })
    }

    /// The files of a plugin's folder with some changed.
    pub(super) async fn with_files(
        &self,
        slot: &Arc<Slot>,
        files: BTreeMap<String, Option<String>>,
    ) -> Result<Prepared> {
        let folder = folder_of(slot)?;
        let (mut put, mut delete) = (BTreeMap::new(), BTreeSet::new());
        for (path, text) in files {
            match text {
                Some(text) => _ = put.insert(path, Arc::from(text.into_bytes())),
                None => _ = delete.insert(path),
            }
        }
        let all = blocking(move || sources::would_be(&folder, &put, &delete)).await??;
        self.prepare_files(slot, all).await
    }

    pub(super) async fn prepare_files(
        &self,
        slot: &Arc<Slot>,
        files: BTreeMap<String, Arc<[u8]>>,
    ) -> Result<Prepared> {
        let (name, env, limits) = (Arc::clone(&slot.name), self.0.env.clone(), self.0.settings.limit_rules());
        let prepared = blocking(move || read_snapshot(&name, Snapshot::of(files), &env, &limits)).await?;
        prepared.map_err(|fault| fault.into_error(&slot.name))
    }
}

fn not_run(trace: &Trace, hash: String, why: Option<String>) -> ReplayView {
    ReplayView {
        trace_id: trace.id.clone(),
        replayable: why.is_none(),
        why,
        same: false,
        same_code: hash == trace.hash,
        hash,
        outcome: None,
        output: Value::Null,
        effects: Value::Null,
        diff: Vec::new(),
        fault: None,
        diverged: None,
        left_over: Vec::new(),
        log: Vec::new(),
        notes: Vec::new(),
        took_ms: 0.0,
    }
}

fn view(trace: &Trace, hash: String, config: &str, it: Replayed) -> ReplayView {
    let mut view = not_run(trace, hash, None);
    view.notes = notes(trace, &view, config, &it);
    let before = json!({"outcome": trace.outcome, "output": trace.output, "effects": trace.effects});
    let after = json!({"outcome": it.outcome, "output": it.output, "effects": it.effects});
    let has_ended = it.outcome.is_some();
    // To the byte: a list that is no list, or keys in another order, are another answer.
    let (then, now) = (before.to_string(), after.to_string());
    view.same = has_ended && then == now;
    if has_ended {
        view.diff = differences("", &before, &after);
    }
    view.outcome = it.outcome;
    view.output = it.output;
    view.effects = it.effects;
    view.fault = it.fault;
    view.diverged = it
        .diverged
        .map(|it| json!({"function": it.function, "args": it.args, "file": it.file, "line": it.line}));
    view.left_over = it.left_over;
    view.log = it
        .log
        .into_iter()
        .map(|it| json!({"level": it.level, "message": it.message, "fields": it.fields}))
        .collect();
    view.took_ms = it.took_ms;
    if view.same_code && has_ended && !view.same && view.notes.is_empty() && view.left_over.is_empty() {
        view.notes.push(
            "The code is the same and so is all that the host answered: what differs is likely what the plugin keeps \
             in variables between its calls, which no record holds."
                .to_owned(),
        );
    }
    view
}

fn notes(trace: &Trace, view: &ReplayView, config: &str, it: &Replayed) -> Vec<String> {
    let mut notes = Vec::new();
    if trace.world.config != config {
        notes.push("The plugin's config is another one than it was then.".to_owned());
    }
    if trace.masked > 0 {
        let masked = trace.masked;
        notes.push(format!(
            "{masked} secret values stand as *** in the record: what depends on them may differ."
        ));
    }
    if trace.order_is_unknown() {
        notes.push("Parts of the call that ran side by side had to give way to each other; in which order is not recorded.".to_owned());
    }
    if it.made_up > 0 {
        let made_up = it.made_up;
        notes.push(format!("{made_up} readings of clocks or chance were not recorded and are made up."));
    }
    if view.same_code && it.diverged.is_some() {
        notes.push(
            "The code is the same and yet asks for something else: it depends on what no record holds."
                .to_owned(),
        );
    }
    notes
}
