//! The drafts of plugins: changed, tried, published, dropped.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::error::{Code, Error, Result};
use crate::model::plugin_version::Authorship;
use crate::model::time::Timestamp;
use crate::plugins::discovery::Snapshot;
use crate::plugins::drafts::{Draft, DraftCheck, DraftView, Files};
use crate::plugins::sources;

use super::Manager;
use super::admin::act;
use super::edit::{Edited, SourceChange, expect};
use super::files::{folder_of, number_of};
use super::scan::blocking;
use super::slot::Slot;

/// A draft beside the files of its plugin.
struct Beside {
    draft: Draft,
    live: Files,
    live_hash: Arc<str>,
    own: Files,
}

impl Beside {
    fn view(&self, slot: &Slot) -> DraftView {
        DraftView::new(&slot.name, &self.draft, &self.live, &self.live_hash, &self.own)
    }

    fn files(&self) -> Files {
        self.draft.over(&self.live, &self.own)
    }
}

impl Manager {
    /// The draft of a plugin.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is none.
    pub async fn draft(&self, id: &str) -> Result<DraftView> {
        let slot = self.slot(id)?;
        let _turn = self.0.drafts.turn(&slot.name).await;
        Ok(self.existing_draft(&slot).await?.view(&slot))
    }

    /// A file as the draft would have it: its own, else the live one.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::BadPath`].
    pub async fn draft_file(&self, id: &str, path: &str) -> Result<Arc<[u8]>> {
        sources::inside(path)?;
        let slot = self.slot(id)?;
        let _turn = self.0.drafts.turn(&slot.name).await;
        let files = self.draft_beside(&slot, "").await?.0.files();
        files.get(path).cloned().ok_or_else(|| {
            let detail = format!("The draft of `{}` has no file `{}`.", slot.name, path.escape_debug());
            Error::new(Code::NotFound, detail)
        })
    }

    /// Changes files in the draft of a plugin, which is begun when there is none.
    ///
    /// # Errors
    /// [`Code::PreconditionFailed`]; what is wrong with a path or a size; [`Code::DiskFull`].
    pub async fn change_draft(&self, id: &str, change: SourceChange, by: &str) -> Result<DraftView> {
        let (slot, by) = (self.registered(id)?, by.to_owned());
        let _turn = self.0.drafts.turn(&slot.name).await;
        let (mut it, _) = self.draft_beside(&slot, &by).await?;
        let before = it.files();
        expect(&before, &change.expects)?;
        sources::overlay(&before, &change.put, &change.delete)?;
        for (path, content) in &change.put {
            it.draft.change(&it.live, path, Some(sources::hash(content)));
        }
        for path in &change.delete {
            it.draft.change(&it.live, path, None);
        }
        it.own.extend(change.put.clone());
        self.keep_draft(&slot, &mut it, &by).await?;
        self.note(&slot, "plugin.draft.change", &by, what_changed(&before, &change)).await?;
        Ok(it.view(&slot))
    }

    /// Takes back what the draft does to one file: the live one counts again.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is no draft, or it leaves the file alone; [`Code::PreconditionFailed`].
    pub async fn revert_in_draft(
        &self,
        id: &str,
        path: &str,
        expected: Option<Arc<str>>,
        by: &str,
    ) -> Result<DraftView> {
        let (slot, by) = (self.registered(id)?, by.to_owned());
        let _turn = self.0.drafts.turn(&slot.name).await;
        let mut it = self.existing_draft(&slot).await?;
        if let Some(expected) = expected {
            expect(&it.files(), &[(path.to_owned(), Some(expected))])?;
        }
        if it.draft.changes.remove(path).is_none() {
            let detail = format!("The draft of `{}` does not change `{}`.", slot.name, path.escape_debug());
            return Err(Error::new(Code::NotFound, detail));
        }
        self.keep_draft(&slot, &mut it, &by).await?;
        self.note(&slot, "plugin.draft.revert", &by, json!({ "path": path })).await?;
        Ok(it.view(&slot))
    }

    /// Loads the draft aside and throws it away again: whether it would run, and what for it would be called.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is none; a draft that does not load is no error.
    pub async fn check_draft(&self, id: &str) -> Result<DraftCheck> {
        let slot = self.registered(id)?;
        self.not_stopping()?;
        let it = {
            let _turn = self.0.drafts.turn(&slot.name).await;
            self.existing_draft(&slot).await?
        };
        let check = self.try_files(&slot, it.files()).await?;
        Ok(DraftCheck { conflicts: it.draft.conflicts(&it.live), ..check })
    }

    /// Makes the draft live: all its files at once. It is gone then.
    ///
    /// # Errors
    /// [`Code::Conflict`] when files that it changes were changed by somebody else, unless `force`; as
    /// [`Manager::edit`], and the draft stays.
    pub async fn publish_draft(&self, id: &str, force: bool, by: Authorship) -> Result<Edited> {
        let slot = self.registered(id)?;
        let turn = self.0.drafts.turn(&slot.name).await;
        let it = self.existing_draft(&slot).await?;
        let conflicts = it.draft.conflicts(&it.live);
        if !force && !conflicts.is_empty() {
            let detail = format!(
                "Files that the draft of `{}` changes were changed by somebody else, too: {}.",
                slot.name,
                conflicts.join(", ")
            );
            return Err(Error::new(Code::Conflict, detail)
                .with_hint("Take the draft's change of them back and write them anew, or publish with ?force=true, which overwrites them.")
                .with_member("conflicts", json!(conflicts)));
        }
        let mut change = SourceChange::default();
        for (path, to_be) in &it.draft.changes {
            change.expects.push((path.clone(), it.live.get(path).map(|it| sources::hash(it).into())));
            match (&to_be.hash, it.own.get(path)) {
                (Some(_), Some(content)) => _ = change.put.insert(path.clone(), Arc::clone(content)),
                _ => _ = change.delete.insert(path.clone()),
            }
        }
        let manager = self.clone();
        self.to_its_end(async move {
            let _turn = turn;
            let edited = manager.save_files(&number_of(&slot), change, by.clone()).await?;
            let (drafts, name) = (manager.0.drafts.clone(), Arc::clone(&slot.name));
            blocking(move || drafts.remove(&name)).await??;
            let paths: Vec<&String> = it.draft.changes.keys().collect();
            let detail = json!({ "files": paths, "forced": force, "overwritten": conflicts });
            manager.note(&slot, "plugin.draft.publish", &by.author, detail).await?;
            Ok(edited)
        })
        .await
    }

    /// Drops the draft of a plugin.
    ///
    /// # Errors
    /// [`Code::NotFound`] when there is none.
    pub async fn drop_draft(&self, id: &str, by: &str) -> Result<()> {
        let slot = self.slot(id)?;
        let _turn = self.0.drafts.turn(&slot.name).await;
        let (drafts, name) = (self.0.drafts.clone(), Arc::clone(&slot.name));
        // Also one that cannot be read any more.
        if !blocking(move || drafts.remove(&name)).await?? {
            return Err(no_draft(&slot));
        }
        self.note(&slot, "plugin.draft.drop", by, Value::Null).await
    }

    /// The files of a plugin as its draft would have them.
    pub(super) async fn draft_files(&self, slot: &Arc<Slot>) -> Result<Files> {
        let _turn = self.0.drafts.turn(&slot.name).await;
        Ok(self.existing_draft(slot).await?.files())
    }

    async fn existing_draft(&self, slot: &Arc<Slot>) -> Result<Beside> {
        match self.draft_beside(slot, "").await? {
            (it, true) => Ok(it),
            (_, false) => Err(no_draft(slot)),
        }
    }

    /// The draft of a plugin, or a new one; and whether it was there.
    async fn draft_beside(&self, slot: &Arc<Slot>, by: &str) -> Result<(Beside, bool)> {
        let folder: PathBuf = folder_of(slot)?;
        let (drafts, name, by) = (self.0.drafts.clone(), Arc::clone(&slot.name), by.to_owned());
        let now = Timestamp(self.0.clock.now_us());
        blocking(move || {
            let live = sources::read_all(&folder)?;
            let live_hash = Snapshot::of(live.clone()).hash;
            let kept = drafts.load(&name)?;
            let was_there = kept.is_some();
            let draft = kept.unwrap_or_else(|| Draft::begin(&live, live_hash.to_string(), now, &by));
            let own = drafts.contents(&name, &draft)?;
            Ok((Beside { draft, live, live_hash, own }, was_there))
        })
        .await?
    }

    async fn keep_draft(&self, slot: &Arc<Slot>, it: &mut Beside, by: &str) -> Result<()> {
        it.draft.changed_at = Timestamp(self.0.clock.now_us());
        it.draft.changed_by = by.to_owned();
        it.own.retain(|path, _| it.draft.changes.get(path).is_some_and(|it| it.hash.is_some()));
        let (drafts, name) = (self.0.drafts.clone(), Arc::clone(&slot.name));
        let (draft, own) = (it.draft.clone(), it.own.clone());
        blocking(move || drafts.save(&name, &draft, &own)).await?
    }

    /// Notes what somebody did with a plugin's files.
    pub(super) async fn note(
        &self,
        slot: &Slot,
        action: &'static str,
        by: &str,
        detail: Value,
    ) -> Result<()> {
        self.0.registry.note(act(slot, action, by, detail)).await
    }
}

/// Which files a change touches: hashes before and after, never contents.
pub(super) fn what_changed(before: &Files, change: &SourceChange) -> Value {
    let written = change.put.iter().map(|(path, content)| (path, Some(sources::hash(content))));
    let removed = change.delete.iter().map(|path| (path, None));
    let files = written.chain(removed).map(|(path, after)| {
        json!({ "path": path, "from": before.get(path).map(|it| sources::hash(it)), "to": after })
    });
    json!({ "files": files.collect::<Vec<_>>() })
}

fn no_draft(slot: &Slot) -> Error {
    Error::new(Code::NotFound, format!("The plugin `{}` has no draft.", slot.name))
        .with_hint("PUT a file to /api/v1/plugins/{id}/draft/files/{path} to begin one.")
}
