//! Changes of a plugin that somebody asks for: of its files, or to be made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result, ScriptFault};
use crate::model::plugin::PluginState;
use crate::model::plugin_version::Authorship;
use crate::plugins::discovery::Snapshot;
use crate::plugins::problem::LoadFault;
use crate::plugins::sources;

use super::edited::{Edit, Undo};
use super::group::TakenUp;
use super::scan::{blocking, read_snapshot};
use super::slot::Slot;
use super::{DRAIN, Manager};

/// One change of a plugin's files: all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct SourceChange {
    /// Files to write, by path.
    pub put: BTreeMap<String, Arc<[u8]>>,
    /// Files to remove.
    pub delete: BTreeSet<String>,
    /// Files that must be as their hash says; without a hash they must not be there.
    pub expects: Vec<(String, Option<Arc<str>>)>,
}

/// What came of a change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Edited {
    /// The plugin.
    pub plugin: String,
    /// The generation that runs; the last one tried when none does.
    pub generation: u64,
    /// BLAKE3 of its files.
    pub hash: Option<String>,
    /// Whether the files run now.
    pub live: bool,
    /// The number of its new version; null when its files are those of the last one.
    pub version: Option<i64>,
    /// Hooks and events it is called for now and was not before.
    pub hooks_added: Vec<String>,
    /// Hooks and events it is not called for any more.
    pub hooks_removed: Vec<String>,
    /// What making the generation took, in milliseconds.
    pub took_ms: f64,
    /// Other plugins that depend on it and were made anew with it.
    pub renewed: Vec<String>,
    /// Why it does not run.
    pub fault: Option<ScriptFault>,
}

impl Manager {
    /// Changes files of a plugin. The new version is made aside, of the files as they would be; only when it is fit
    /// are they written to the folder, and it takes over. Of a plugin that does not run the files are written, and
    /// `fault` says why it does not.
    ///
    /// # Errors
    /// [`Code::PreconditionFailed`] when a file is not as expected; [`Code::PluginLoadFailed`] when a running plugin
    /// does not load with the change; what is wrong with a path or a size; [`Code::DiskFull`]. Nothing is changed then.
    pub async fn edit(&self, id: &str, change: SourceChange, by: Authorship) -> Result<Edited> {
        let id = id.to_owned();
        self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            let folder = slot.read(|it| it.folder.clone()).ok_or_else(|| {
                let detail = format!("The folder of the plugin `{}` is gone.", slot.name);
                Error::new(Code::NoSuchFolder, detail)
            })?;
            let (at, mut change) = (folder.clone(), change);
            let (files, change) = blocking(move || {
                let found = sources::read_all(&at)?;
                expect(&found, &change.expects)?;
                let files = sources::overlay(&found, &change.put, &change.delete)?;
                // Making the version takes a while: what it was made over must not have changed when it is written.
                let touched = change.put.keys().chain(&change.delete);
                let as_found =
                    touched.map(|it| (it.clone(), found.get(it).map(|it| sources::hash(it).into())));
                change.expects = as_found.collect();
                Ok::<_, Error>((files, change))
            })
            .await??;
            let snapshot = Snapshot::of(files);
            manager.require_preview(&slot, &snapshot.hash, &by)?;
            let write = writing(folder, change);
            match slot.live() {
                Some(live) if live.prepared.snapshot.hash == snapshot.hash => {
                    drop(blocking(write).await??);
                    Ok(manager.edited(&slot, TakenUp::default()))
                }
                Some(_) => manager.edit_running(&slot, snapshot, by, write).await,
                None => {
                    drop(blocking(write).await??);
                    manager.note_author(&slot.name, &snapshot.hash, by);
                    manager.look_again(Some(&BTreeSet::from([Arc::clone(&slot.name)]))).await?;
                    Ok(manager.edited(&slot, TakenUp::default()))
                }
            }
        })
        .await
    }

    /// Reads a plugin's folder and makes it anew, even when nothing in it has changed.
    ///
    /// # Errors
    /// [`Code::PluginNotRunning`]; [`Code::PluginLoadFailed`]: the former generation runs on.
    pub async fn reload(&self, id: &str) -> Result<Edited> {
        let id = id.to_owned();
        self.alone(move |manager| async move {
            let slot = manager.registered(&id)?;
            let Some(live) = slot.live() else {
                return Err(not_running(&slot));
            };
            let mut done = manager.take_up_edits(Some(&BTreeSet::from([Arc::clone(&slot.name)]))).await;
            if let Some(fault) = done.failed.remove(&slot.name) {
                return Err(runs_on(&slot, fault));
            }
            if done.taken.is_empty() && slot.live().is_some() {
                let taken = manager.renew(&slot, live.prepared.clone(), DRAIN).await;
                done.taken = vec![taken.map_err(|fault| runs_on(&slot, fault))?];
                // Who has it made anew wants it called.
                slot.vitals.reset_breaker();
            }
            manager.settle().await;
            Ok(manager.edited(&slot, done))
        })
        .await
    }

    async fn edit_running(
        &self,
        slot: &Arc<Slot>,
        snapshot: Snapshot,
        by: Authorship,
        write: impl FnOnce() -> Result<Undo> + Send + 'static,
    ) -> Result<Edited> {
        let (name, env) = (Arc::clone(&slot.name), self.0.env.clone());
        let limits = self.0.settings.limit_rules();
        let prepared = blocking(move || read_snapshot(&name, snapshot, &env, &limits)).await?;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(fault) => {
                self.not_renewed(slot, &fault).await;
                return Err(runs_on(slot, fault));
            }
        };
        if self.is_to_stop(slot, &prepared) {
            drop(blocking(write).await??);
            self.take_up_edits(Some(&BTreeSet::from([Arc::clone(&slot.name)]))).await;
            self.settle().await;
            return Ok(self.edited(slot, TakenUp::default()));
        }
        let mut done = self.take_up_one(slot, Edit { prepared, authorship: by }, write).await;
        if let Some(fault) = done.failed.remove(&slot.name) {
            return Err(runs_on(slot, fault));
        }
        self.settle().await;
        Ok(self.edited(slot, done))
    }

    fn edited(&self, slot: &Slot, done: TakenUp) -> Edited {
        let view = slot.view();
        let (own, others): (Vec<_>, Vec<_>) = done.taken.into_iter().partition(|it| it.plugin == view.name);
        let own = own.into_iter().next().unwrap_or_default();
        let live = slot.live().is_some();
        let fault: Option<LoadFault> = slot.read(|it| it.fault.clone()).filter(|_| !live);
        Edited {
            plugin: view.name,
            generation: view.generation,
            hash: view.hash,
            live,
            version: own.version,
            hooks_added: own.hooks_added,
            hooks_removed: own.hooks_removed,
            took_ms: own.took_ms,
            renewed: others.into_iter().map(|it| it.plugin).collect(),
            fault: fault.map(|it| it.script),
        }
    }
}

/// The answer to somebody who wants a plugin that does not run made anew: what starts it.
fn not_running(slot: &Slot) -> Error {
    let (unloaded, state) = slot.read(|it| (it.unloaded, it.state()));
    let at = format!("POST /api/v1/plugins/{}", slot.name);
    let error = Error::new(Code::PluginNotRunning, format!("The plugin `{}` does not run.", slot.name));
    match state {
        _ if unloaded => error.with_hint(format!("It was unloaded: {at}/load starts it.")),
        PluginState::Disabled => error.with_hint(format!("It is switched off: {at}/enable starts it.")),
        PluginState::Failed | PluginState::Quarantined => {
            error.with_hint(format!("{at}/load tries it again; its status says why it does not run."))
        }
        _ => error,
    }
}

/// The answer to somebody whose change was not taken.
fn runs_on(slot: &Slot, fault: LoadFault) -> Error {
    let generation = slot.live().map_or(0, |it| it.generation);
    let (is_the_plugins, hint) = (fault.code.is_none(), fault.script.hint.clone());
    let error = fault.into_error(&slot.name);
    match (is_the_plugins, hint) {
        (true, None) => error.with_hint(format!(
            "Generation {generation} runs on. Mend what the fault points at, then save again."
        )),
        _ => error,
    }
}

/// Writes a change into a folder when it is called.
fn writing(folder: PathBuf, change: SourceChange) -> impl FnOnce() -> Result<Undo> + Send + 'static {
    move || {
        expect(&sources::read_all(&folder)?, &change.expects)?;
        let undo = sources::apply(&folder, &change.put, &change.delete)?;
        Ok(Box::new(move || {
            if let Err(error) = undo.undo() {
                log::error!("{}", error.detail);
            }
        }) as Undo)
    }
}

/// Holds files against what a client believes them to be.
pub(super) fn expect(
    files: &BTreeMap<String, Arc<[u8]>>,
    expects: &[(String, Option<Arc<str>>)],
) -> Result<()> {
    for (path, wanted) in expects {
        let has = files.get(path).map(|it| sources::hash(it));
        if has.as_deref() == wanted.as_deref() {
            continue;
        }
        let detail = match (&has, wanted) {
            (None, _) => format!("`{path}` is not there any more."),
            (Some(_), None) => format!("`{path}` is there already."),
            (Some(_), Some(_)) => format!("`{path}` was changed after you read it."),
        };
        let mut error = Error::new(Code::PreconditionFailed, detail).with_member("path", path.as_str());
        if let Some(has) = has {
            error = error.with_member("etag", sources::etag(&has));
        }
        return Err(error);
    }
    Ok(())
}
