//! Plugins as they are shown.

use serde_json::Value;

use crate::error::Result;
use crate::plugins::listing::{PluginFilter, PluginSort};
use crate::plugins::manifest::Manifest;
use crate::plugins::status::{HookView, PluginStatus, PluginView, SubscriptionView};

use super::Manager;
use super::routes::routes_of;
use super::slot::Slot;
use super::versions::Held;

impl Manager {
    /// The plugins that `filter` wants, by name.
    pub fn list(&self, filter: &PluginFilter) -> Vec<PluginView> {
        self.slots().iter().map(|it| it.view()).filter(|it| filter.wants(it)).collect()
    }

    /// The same in another order.
    pub fn list_sorted(&self, filter: &PluginFilter, sort: PluginSort) -> Vec<PluginView> {
        let mut found = self.list(filter);
        sort.sort(&mut found);
        found
    }

    /// One plugin by its number or name.
    ///
    /// # Errors
    /// [`crate::error::Code::PluginNotFound`].
    pub fn get(&self, id: &str) -> Result<PluginView> {
        Ok(self.slot(id)?.view())
    }

    /// Everything about one plugin at this moment but the number of its version.
    ///
    /// # Errors
    /// [`crate::error::Code::PluginNotFound`].
    pub fn status(&self, id: &str) -> Result<PluginStatus> {
        Ok(self.status_of(self.slot(id)?.as_ref()))
    }

    /// Everything about one plugin at this moment.
    ///
    /// # Errors
    /// [`crate::error::Code::PluginNotFound`]; the store's.
    pub async fn full_status(&self, id: &str) -> Result<PluginStatus> {
        let slot = self.slot(id)?;
        let live = self.live_version(&slot).await?;
        Ok(PluginStatus { version_number: live.map(|it| it.number), ..self.status_of(&slot) })
    }

    /// The status of every plugin, by name.
    pub fn statuses(&self) -> Vec<PluginStatus> {
        self.slots().iter().map(|it| self.status_of(it)).collect()
    }

    /// Lets a plugin be called again that was left alone.
    ///
    /// # Errors
    /// [`crate::error::Code::PluginNotFound`].
    pub fn reset_breaker(&self, id: &str) -> Result<PluginStatus> {
        let slot = self.slot(id)?;
        slot.vitals.reset_breaker();
        Ok(self.status_of(&slot))
    }
}

impl Slot {
    pub(super) fn view(&self) -> PluginView {
        let last_error = self.vitals.last_error();
        self.read(|it| {
            let manifest = it.manifest();
            let own = |f: fn(&Manifest) -> Option<String>| manifest.and_then(f);
            let row = &it.row;
            let mut hooks: Vec<String> = it
                .live
                .iter()
                .flat_map(|live| live.script.registrations())
                .map(|it| it.hook.name().to_owned())
                .collect();
            hooks.sort_unstable();
            hooks.dedup();
            PluginView {
                id: row.id,
                name: row.name.clone(),
                display_name: row.display_name.clone().or_else(|| own(|it| it.display_name.clone())),
                description: row.description.clone().or_else(|| own(|it| it.description.clone())),
                version: own(|it| it.version.as_ref().map(ToString::to_string))
                    .or_else(|| row.version.clone()),
                author: own(|it| it.author.clone()).or_else(|| row.author.clone()),
                plugin_type: it.plugin_type().to_owned(),
                entry_point: row.entry_point.clone(),
                install_path: row.install_path.clone(),
                enabled: it.wanted(),
                metadata: row.metadata.clone(),
                state: it.state(),
                state_since: it.standing.as_ref().map(|it| it.since),
                state_reason: it.standing.as_ref().map(|it| it.reason.clone()),
                generation: it.shown_generation(),
                hash: it.hash(),
                hooks,
                last_error,
                breaker: self.vitals.breaker(),
                request_breaker: self.vitals.request_breaker(),
                created_at: row.created_at,
                updated_at: row.updated_at,
                version_count: row.version_count,
            }
        })
    }

    pub(super) fn status(&self) -> PluginStatus {
        let last_error = self.vitals.last_error();
        self.read(|it| {
            let manifest = it.manifest();
            let usage = it.live.as_ref().map(|it| it.script.usage()).unwrap_or_default();
            let live = it.live.iter();
            PluginStatus {
                id: it.row.id,
                name: it.row.name.clone(),
                state: it.state(),
                state_since: it.standing.as_ref().map(|it| it.since),
                state_reason: it.standing.as_ref().map(|it| it.reason.clone()),
                enabled: it.wanted(),
                generation: it.shown_generation(),
                hash: it.hash(),
                version: manifest
                    .and_then(|it| it.version.as_ref().map(ToString::to_string))
                    .or_else(|| it.row.version.clone()),
                // The manager knows.
                version_number: None,
                hooks: live
                    .clone()
                    .flat_map(|it| it.script.registrations())
                    .map(|it| HookView::from(&it))
                    .collect(),
                subscriptions: live
                    .flat_map(|it| it.script.subscriptions())
                    .map(|it| SubscriptionView::from(&it))
                    .collect(),
                last_error,
                warnings: it.warnings(),
                held_back: it.held().map(Held::view),
                queue_depth: usage.queue_depth,
                in_flight: usage.in_flight,
                memory_bytes: usage.memory_bytes,
                usage,
                counts: self.vitals.stats.outcomes(),
                latency: self.vitals.stats.latencies(),
                limits: manifest.map(|it| it.limits).unwrap_or_default(),
                breaker: self.vitals.breaker(),
                request_breaker: self.vitals.request_breaker(),
                health: it.live.as_ref().and_then(|live| it.health.of(live.generation)).cloned(),
                dependencies: manifest
                    .map(|it| it.dependencies.iter().map(|it| it.name.clone()).collect())
                    .unwrap_or_default(),
                // The manager knows what is granted.
                permissions_requested: Value::Null,
                permissions_granted: Value::Null,
                permissions_waiting: Value::Null,
                learned: None,
                routes: it.live.iter().flat_map(|it| routes_of(it)).collect(),
                quotas: Vec::new(),
            }
        })
    }
}
