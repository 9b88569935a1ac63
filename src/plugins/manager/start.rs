//! The first start of all plugins and their last stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::error::{Code, Error, Result};
use crate::hooks::{Hook, Table};
use crate::model::plugin::PluginState;
use crate::plugins::order;

use super::slot::{Live, Prepared};
use super::versions::keep_watch;
use super::{Manager, health, schedules};

impl Manager {
    /// Takes up the stored rows, looks through the folders, loads every enabled plugin and calls `on_startup`;
    /// returns when each has started or failed, within `startup_s` in all.
    ///
    /// # Errors
    /// The rows cannot be read or stored; a plugin that fails is no error.
    pub async fn start(&self) -> Result<()> {
        let _ = self.0.runtime.set(tokio::runtime::Handle::current());
        let deadline = self.load_deadline();
        let _changing = self.0.changing.lock().await;
        self.tell_moves();
        self.0.moves.gather(true);
        for (row, stored) in self.0.registry.all().await? {
            self.adopt(row, stored);
        }
        for grant in self.0.registry.grants().await? {
            if let Some(slot) = self.named(&grant.plugin) {
                slot.change(|it| it.grant = Some(grant));
            }
        }
        self.recall_held().await?;
        self.sweep_folders().await;
        let (_, candidates) = self.scan(None).await?;
        self.check_grants();
        let names: Vec<String> = self.slots().iter().map(|it| it.name.to_string()).collect();
        for variable in self.0.env.of_none(&names).filter(|it| !self.is_filled_in(it)) {
            log::warn!("{variable}: there is no plugin whose config it could set");
        }
        self.seal_stored().await;
        // A deleted plugin without a folder is nobody's concern any more.
        self.0.slots.write().retain(|_, slot| slot.read(|it| it.row.registered || it.folder.is_some()));
        if let Some(damaged) = self.0.databases.corrupt() {
            self.spawn(super::database::watch(Arc::downgrade(&self.0), damaged));
        }
        self.bring_up_first(candidates, deadline).await;
        self.0.moves.gather(false);
        self.0.moves.told().await;
        let every = Duration::from_secs(self.0.settings.health.every_s);
        self.spawn(health::keep_asking(Arc::downgrade(&self.0), every));
        let worse = self.0.worse.1.lock().take();
        if let Some(worse) = worse {
            self.spawn(keep_watch(Arc::downgrade(&self.0), worse));
        }
        self.spawn(schedules::keep_time(Arc::downgrade(&self.0)));
        Ok(())
    }

    /// Whether some plugin's manifest has this variable among its values.
    fn is_filled_in(&self, variable: &str) -> bool {
        let start = format!("${{{variable}");
        let goes_on = |byte: Option<&u8>| byte.is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
        let is_in = |text: &[u8]| {
            let mut all = text.windows(start.len()).enumerate();
            all.any(|(at, it)| it == start.as_bytes() && !goes_on(text.get(at + start.len())))
        };
        let names = |it: &Prepared| {
            let mut manifests = it.snapshot.files.iter().filter(|(path, _)| path.starts_with("plugin.yaml"));
            manifests.any(|(_, text)| is_in(text))
        };
        self.slots().iter().any(|slot| slot.read(|it| it.prepared.as_ref().is_some_and(names)))
    }

    /// Stops all plugins before `deadline`: `on_shutdown` in reverse order while everything still runs, then
    /// `on_unload`, then their calls under way.
    pub async fn stop(&self, deadline: Instant) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.0.schedules.look_again();
        // Somebody may be in the middle of a change; the stop does not wait for ever.
        let _changing = tokio::time::timeout_at(deadline.into(), self.0.changing.lock()).await;
        let nodes = self.nodes();
        let live: BTreeMap<Arc<str>, Arc<Live>> =
            self.slots().iter().filter_map(|it| Some((Arc::clone(&it.name), it.live()?))).collect();
        let needs: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> =
            live.keys().map(|name| (Arc::clone(name), order::needs(name, &nodes))).collect();
        let app = self.app();
        let goodbye = order::in_order(order::reversed(&needs), |name| {
            let (live, app) = (live.get(&name).cloned(), app.clone());
            async move {
                if let Some(live) = live {
                    let told = self.life(&live, Hook::OnShutdown, app, deadline);
                    // A failure is kept and logged where the call ends.
                    let _ = tokio::time::timeout_at(deadline.into(), told).await;
                }
            }
        });
        goodbye.await;
        self.0.dispatcher.replace(Table::default());
        for slot in self.slots() {
            slot.change(|it| {
                if let Some(watcher) = it.watcher.take() {
                    watcher.abort();
                }
                if it.live.take().is_some() {
                    // Of the end of all nobody is told: it says nothing of this one.
                    drop(it.enter_untold(PluginState::Disabled, "the server stops"));
                }
            });
        }
        let ends = live.values().map(|live| async move {
            let left = || deadline.saturating_duration_since(Instant::now());
            let _ = tokio::time::timeout(left(), self.say_goodbye(live, deadline)).await;
            let drained = live.script.retire(left());
            let _ = tokio::time::timeout(left() + Duration::from_millis(200), drained).await;
        });
        join_all(ends).await;
    }

    /// An error for whoever wants a change while the server stops.
    pub(super) fn not_stopping(&self) -> Result<()> {
        match self.0.stopping.load(Ordering::Relaxed) {
            true => Err(Error::new(Code::Stopping, "The server is stopping; plugins stay as they are.")),
            false => Ok(()),
        }
    }
}
