//! What the manager keeps across restarts: rows, configs, and who changed them; each change, its audit row and
//! its event are one transaction.

use serde_json::{Value, json};

use crate::clock::SharedClock;
use crate::error::{Code, Error, Result};
use crate::events::{EventDraft, Journal};
use crate::model::call::{Caller, PluginEffects};
use crate::model::plugin::{ConfigRow, GrantRow, PluginRow, StoredConfig};
use crate::model::plugin_version::Authorship;
use crate::model::schedule::{ScheduleRow, ScheduleRun};
use crate::model::time::Timestamp;
use crate::plugins::discovery::Snapshot;
use crate::services::keyring::Keyring;
use crate::store::{AuditEntry, Store, Tx};

use super::config::ConfigWrite;
use super::states::{Moved, draft_of};
use super::versions::GoesLive;

/// An administrative act.
#[derive(Debug, Clone)]
pub(super) struct Act {
    /// Who: a key's id, `server`, ….
    pub(super) by: String,
    /// What, such as `plugin.enable`.
    pub(super) action: &'static str,
    /// The event that tells it, if one does.
    pub(super) event: Option<&'static str>,
    /// Which plugin.
    pub(super) plugin: String,
    /// The state it comes into by this act.
    pub(super) moved: Option<Moved>,
    /// Anything else; never a secret.
    pub(super) detail: Value,
}

/// A generation that is about to take over.
pub(super) struct TakeOver {
    /// The number of the plugin's row.
    pub(super) id: i64,
    pub(super) plugin: String,
    pub(super) snapshot: Snapshot,
    pub(super) generation: u64,
    /// Who made its files, when they are new.
    pub(super) authorship: Option<Authorship>,
    /// What `on_unload` and `on_load` left behind.
    pub(super) effects: Vec<PluginEffects>,
    /// What `plugin.reloaded` tells besides.
    pub(super) event: Value,
}

/// The manager's door to the store.
#[derive(Clone)]
pub(super) struct Registry {
    pub(super) store: Store,
    pub(super) journal: Journal,
    pub(super) clock: SharedClock,
    /// What opens secret values.
    pub(super) keyring: Keyring,
    /// Versions of files that are kept of each plugin.
    pub(super) most_versions: i64,
}

impl Registry {
    /// Every plugin with its stored config.
    pub(super) async fn all(&self) -> Result<Vec<(PluginRow, Vec<ConfigRow>)>> {
        let read = self.store.read_async(|reader| {
            let rows = reader.list_plugins()?;
            let rows = rows.into_iter().map(|row| reader.configs(row.id).map(|stored| (row, stored)));
            rows.collect::<Result<Vec<_>>>()
        });
        let rows = read.await?.into_iter();
        Ok(rows.map(|(row, stored)| (row.clone(), self.opened(row.id, stored))).collect())
    }

    /// Every grant.
    pub(super) async fn grants(&self) -> Result<Vec<GrantRow>> {
        self.store.read_async(|reader| reader.list_grants()).await
    }

    /// Stores what a plugin is granted; none takes it back.
    pub(super) async fn set_grant(&self, plugin: String, grant: Option<GrantRow>, act: Act) -> Result<()> {
        let change = move |tx: &mut Tx| match grant {
            Some(row) => tx.put_grant(&row),
            None => tx.delete_grant(&plugin),
        };
        self.acting(act, change).await
    }

    /// Stores a row (a new one has the id 0) and answers it as it is stored now.
    pub(super) async fn save(&self, row: PluginRow, act: Option<Act>) -> Result<PluginRow> {
        let save = move |tx: &mut Tx| save(tx, &row);
        match act {
            Some(act) => self.acting(act, save).await,
            None => self.store.write(save).await,
        }
    }

    /// Stores rows, all or none, and answers them as they are stored.
    pub(super) async fn save_all(&self, rows: Vec<PluginRow>) -> Result<Vec<PluginRow>> {
        self.store.write(move |tx| rows.iter().map(|it| save(tx, it)).collect()).await
    }

    /// Unregisters a plugin and drops its config; a purge drops what its scripts kept, too.
    pub(super) async fn forget(&self, row: PluginRow, purge: bool, act: Act) -> Result<PluginRow> {
        let forget = move |tx: &mut Tx| {
            tx.clear_config(row.id)?;
            tx.delete_grant(&row.name)?;
            if purge {
                tx.kv_purge(&row.name)?;
                tx.delete_once(&row.name)?;
                tx.delete_backfills(&row.name)?;
                tx.delete_assets(&row.name)?;
                tx.delete_schedules(&row.name)?;
                tx.delete_versions(row.id)?;
                tx.forget_traces(&row.name)?;
                // Nobody is there any more to be told, and what is owed would hold the journal for ever.
                tx.delete_deliveries_of(&[&row.name])?;
            }
            // Nothing of what was said of it over HTTP outlives it.
            tx.update_plugin(&PluginRow {
                registered: false,
                enabled: None,
                display_name: None,
                description: None,
                plugin_type: "lua".to_owned(),
                metadata: serde_json::Map::new(),
                ..row
            })
        };
        self.acting(act, forget).await
    }

    /// Notes an act that has changed nothing here.
    pub(super) async fn note(&self, act: Act) -> Result<()> {
        self.acting(act, |_| Ok(())).await
    }

    /// Notes an act on several plugins, which the detail names.
    pub(super) async fn note_of_several(&self, by: &str, action: &str, detail: Value) -> Result<()> {
        let entry = AuditEntry::done(self.now(), by, action, None, detail);
        self.store.write(move |tx| tx.append_audit(&entry).map(drop)).await
    }

    /// Tells of something that happened to a plugin; a failure is for the log alone.
    pub(super) async fn tell(&self, event: &'static str, plugin: &str, detail: Value) {
        let (journal, draft) = (self.journal.clone(), draft(event, plugin, detail));
        let told =
            self.store.write(move |tx| journal.publish(tx, draft, &Caller::server()).map(|_| ())).await;
        if let Err(fault) = told {
            log::error!(plugin = plugin; "the event {event} could not be stored: {fault}");
        }
    }

    /// Stores that generations take over, all or none, together with the config that one of them was made for; answers the
    /// numbers of new versions, and the config as it is stored now.
    pub(super) async fn take_over(
        &self,
        rows: Vec<TakeOver>,
        config: Option<ConfigWrite>,
    ) -> Result<(Vec<Option<i64>>, Vec<StoredConfig>)> {
        let (mut parts, mut live) = (Vec::new(), Vec::new());
        for row in rows {
            parts.push((row.plugin, row.effects, row.event, row.authorship.is_some()));
            live.extend(row.authorship.map(|authorship| GoesLive {
                plugin: row.id,
                snapshot: row.snapshot,
                generation: row.generation,
                authorship,
            }));
        }
        let mut new = self.packed(live).await?.into_iter();
        let (journal, most, now) = (self.journal.clone(), self.most_versions, self.now());
        let written = self.store.write(move |tx| {
            let stored = config.map(|it| it.write(tx, &journal, now)).transpose()?.unwrap_or_default();
            let mut versions = Vec::with_capacity(parts.len());
            for (plugin, effects, mut event, is_new) in parts {
                if !effects.is_empty() {
                    journal.commit_effects(tx, &effects, &Caller::server())?;
                }
                let new = if is_new { new.next() } else { None };
                let version = new.map(|it| tx.keep_version(&it, most)).transpose()?;
                let version = version.map(|it| it.number);
                event["version_number"] = json!(version);
                versions.push(version);
                journal.publish(tx, draft("plugin.reloaded", &plugin, event), &Caller::server())?;
            }
            Ok((versions, stored))
        });
        written.await
    }

    /// Tells several things in one transaction; a failure is for the log alone.
    pub(super) async fn tell_all(&self, drafts: Vec<EventDraft>) {
        let journal = self.journal.clone();
        let told = self.store.write(move |tx| {
            drafts.into_iter().try_for_each(|it| journal.publish(tx, it, &Caller::server()).map(drop))
        });
        if let Err(fault) = told.await {
            log::error!("what became of plugins could not be told on the journal: {fault}");
        }
    }

    /// Commits what a call of the host left behind; a failure is for the log alone.
    pub(super) async fn commit(&self, effects: Vec<PluginEffects>) {
        let journal = self.journal.clone();
        let written = self.store.write(move |tx| journal.commit_effects(tx, &effects, &Caller::server()));
        if let Err(fault) = written.await {
            log::error!("what plugins left behind could not be stored: {fault}");
        }
    }

    /// Every schedule.
    pub(super) async fn schedules(&self) -> Result<Vec<ScheduleRow>> {
        self.store.read_async(|reader| reader.list_schedules()).await
    }

    /// One schedule.
    pub(super) async fn schedule(&self, id: i64) -> Result<ScheduleRow> {
        let found = self.store.read_async(move |reader| reader.schedule(id)).await?;
        found.ok_or_else(|| Error::new(Code::ScheduleNotFound, format!("There is no schedule {id}.")))
    }

    /// The last run of every schedule.
    pub(super) async fn last_runs(&self) -> Result<Vec<(i64, ScheduleRun)>> {
        self.store.read_async(|reader| reader.last_runs()).await
    }

    /// The last runs of one schedule, newest first.
    pub(super) async fn runs(&self, id: i64) -> Result<Vec<ScheduleRun>> {
        self.store.read_async(move |reader| reader.list_runs(id)).await
    }

    /// Stores a schedule and answers its number.
    pub(super) async fn save_schedule(&self, row: ScheduleRow) -> Result<i64> {
        self.store.write(move |tx| tx.put_schedule(&row)).await
    }

    /// Sets when a schedule is due next.
    pub(super) async fn advance_schedule(&self, id: i64, next_at: Timestamp, skipped: i64) -> Result<()> {
        self.store.write(move |tx| tx.advance_schedule(id, next_at, skipped)).await
    }

    /// Holds a schedule, or lets it go on.
    pub(super) async fn pause_schedule(
        &self,
        id: i64,
        paused: bool,
        next_at: Timestamp,
        now: Timestamp,
        act: Act,
    ) -> Result<bool> {
        self.acting(act, move |tx| tx.pause_schedule(id, paused, next_at, now)).await
    }

    /// Notes that a run begins, after its schedule was set to its next time.
    pub(super) async fn begin_run(
        &self,
        row: &ScheduleRow,
        advances: bool,
        cause: &'static str,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<i64> {
        let (id, next_at, skipped) = (row.id, row.next_at, row.skipped);
        let begin = move |tx: &mut Tx| {
            if advances {
                tx.advance_schedule(id, next_at, skipped)?;
            }
            tx.begin_run(id, cause, due, now)
        };
        self.store.write(begin).await
    }

    /// Stores what a run left behind, together with its end.
    pub(super) async fn end_run(
        &self,
        run: i64,
        outcome: &'static str,
        error: Option<String>,
        effects: PluginEffects,
        now: Timestamp,
    ) -> Result<()> {
        let journal = self.journal.clone();
        let written = self.store.write(move |tx| {
            if !effects.effects.is_empty() {
                journal.commit_effects(tx, &[effects], &Caller::server())?;
            }
            tx.end_run(run, outcome, error.as_deref(), now)
        });
        written.await?;
        Ok(())
    }

    /// Marks the runs that the end of the server cut off; those that want it are due at `now`.
    pub(super) async fn interrupt_runs(&self, now: Timestamp) -> Result<()> {
        let again = move |tx: &mut Tx| {
            let ids = tx.interrupt_runs()?;
            ids.into_iter().try_for_each(|id| tx.make_due(id, now))
        };
        self.store.write(again).await
    }

    /// Commits what a call left behind for whoever asked for it.
    pub(super) async fn commit_for(&self, effects: Vec<PluginEffects>, caller: &Caller) -> Result<()> {
        let (journal, caller) = (self.journal.clone(), caller.clone());
        self.store.write(move |tx| journal.commit_effects(tx, &effects, &caller)).await?;
        Ok(())
    }

    async fn acting<T, F>(&self, act: Act, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    {
        let (journal, at) = (self.journal.clone(), self.now());
        let written = self.store.write(move |tx| {
            let changed = change(tx)?;
            if let Some(event) = act.event {
                let draft = draft(event, &act.plugin, act.detail.clone());
                journal.publish(tx, draft, &Caller::server())?;
            }
            if let Some(moved) = &act.moved {
                journal.publish(tx, draft_of(moved), &Caller::server())?;
            }
            let subject = Some(format!("plugin/{}", act.plugin));
            tx.append_audit(&AuditEntry::done(at, &act.by, act.action, subject, act.detail))?;
            Ok(changed)
        });
        written.await
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_us())
    }
}

fn save(tx: &mut Tx, row: &PluginRow) -> Result<PluginRow> {
    match row.id {
        0 => tx.upsert_plugin(row),
        _ => tx.update_plugin(row),
    }
}

pub(super) fn draft(event: &str, plugin: &str, detail: Value) -> EventDraft {
    let mut data = json!({ "plugin": plugin });
    if let (Some(data), Value::Object(detail)) = (data.as_object_mut(), detail) {
        data.extend(detail);
    }
    EventDraft::new(event, format!("plugin/{plugin}"), data)
}
