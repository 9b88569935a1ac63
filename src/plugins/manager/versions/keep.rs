//! Keeping what goes live.

use std::sync::Arc;

use crate::error::Result;
use crate::model::kept_version::NewVersion;
use crate::model::plugin_version::Authorship;
use crate::plugins::discovery::Snapshot;
use crate::plugins::manager::Manager;
use crate::plugins::manager::registry::Registry;
use crate::plugins::manager::scan::blocking;
use crate::plugins::manager::slot::Slot;
use crate::store;

/// Versions that are stored in one transaction.
const AT_ONCE: usize = 64;

/// Files that go live.
pub(in crate::plugins::manager) struct GoesLive {
    /// The number of the plugin's row.
    pub(in crate::plugins::manager) plugin: i64,
    /// The files.
    pub(in crate::plugins::manager) snapshot: Snapshot,
    /// The generation they go live as.
    pub(in crate::plugins::manager) generation: u64,
    /// Who made them, and how.
    pub(in crate::plugins::manager) authorship: Authorship,
}

impl Manager {
    /// Keeps the files of plugins that were started; when that fails they run all the same.
    pub(in crate::plugins::manager) async fn keep_started(&self, started: &[Arc<Slot>]) {
        let live = started.iter().filter_map(|slot| {
            let live = slot.live()?;
            Some(GoesLive {
                plugin: slot.read(|it| it.row.id),
                snapshot: live.prepared.snapshot.clone(),
                generation: live.generation,
                authorship: self.author_of(&slot.name, &live.prepared.snapshot.hash),
            })
        });
        if let Err(fault) = self.0.registry.keep_versions(live.collect()).await {
            log::error!("the versions of the plugins that were started could not be kept: {fault}");
        }
    }
}

impl Manager {
    /// Notes who wrote the files of a plugin that does not run: they are its author when it starts.
    pub(in crate::plugins::manager) fn note_author(&self, plugin: &str, hash: &Arc<str>, by: Authorship) {
        self.0.authors.lock().insert(plugin.into(), (Arc::clone(hash), by));
    }

    fn author_of(&self, plugin: &str, hash: &str) -> Authorship {
        let noted = self.0.authors.lock().remove(plugin);
        noted.filter(|it| *it.0 == *hash).map_or_else(Authorship::disk, |it| it.1)
    }
}

impl Registry {
    /// Keeps the files of plugins that go live, in few transactions; a plugin whose files are those of its last version
    /// costs nothing.
    pub(in crate::plugins::manager) async fn keep_versions(&self, all: Vec<GoesLive>) -> Result<()> {
        let last = self.store.read_async(|it| it.last_versions()).await?;
        let is_new = |it: &GoesLive| last.get(&it.plugin).is_none_or(|last| last.hash != *it.snapshot.hash);
        let new = self.packed(all.into_iter().filter(is_new).collect()).await?;
        let (most, mut new) = (self.most_versions, new.into_iter());
        loop {
            let part: Vec<NewVersion> = new.by_ref().take(AT_ONCE).collect();
            if part.is_empty() {
                return Ok(());
            }
            self.store
                .write(move |tx| part.iter().try_for_each(|it| tx.keep_version(it, most).map(drop)))
                .await?;
        }
    }

    pub(in crate::plugins::manager) async fn packed(&self, all: Vec<GoesLive>) -> Result<Vec<NewVersion>> {
        let at = self.now();
        blocking(move || {
            all.into_iter()
                .map(|live| NewVersion {
                    plugin_id: live.plugin,
                    hash: Arc::clone(&live.snapshot.hash),
                    generation: live.generation,
                    authorship: live.authorship,
                    at,
                    files: live
                        .snapshot
                        .files
                        .iter()
                        .map(|(path, bytes)| (path.clone(), Arc::new(store::packed(bytes))))
                        .collect(),
                })
                .collect()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use crate::plugins::manager::fake::World;

    #[tokio::test]
    async fn the_versions_of_a_start_are_stored_in_few_commits_and_those_of_the_next_one_in_none() {
        let paths: Vec<String> = (0..200).map(|n| format!("p{n:03}/init.lua")).collect();
        let files: Vec<(&str, &str)> = paths.iter().map(|it| (it.as_str(), "")).collect();
        let world = World::new(&files);
        world.manager.start().await.unwrap();
        let slots = world.manager.slots();
        let plugins: Vec<i64> = slots.iter().map(|slot| slot.read(|it| it.row.id)).collect();
        let last = |plugin: i64| world.store.read(|it| it.last_version(plugin)).unwrap();
        assert!(plugins.iter().all(|it| last(*it).is_some_and(|it| it.number == 1)));
        let commits = world.store.commits();
        world.manager.keep_started(&slots).await;
        // The start itself may still be writing something.
        let took = world.store.commits() - commits;
        assert!(took <= 3, "nothing is new: {took} commits");
        let all = plugins.clone();
        world.store.write(move |tx| all.iter().try_for_each(|it| tx.delete_versions(*it))).await.unwrap();
        let commits = world.store.commits();
        world.manager.keep_started(&slots).await;
        let took = world.store.commits() - commits;
        assert!(took <= 7, "{took} commits for 200 plugins");
        assert!(plugins.iter().all(|it| last(*it).is_some_and(|it| it.number == 1)));
        assert_eq!(world.store.read(|it| it.blob_usage()).unwrap().0, 1, "all have the same file");
    }
}
