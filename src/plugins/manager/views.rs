//! Plugins as they are shown.

use crate::error::Result;
use crate::plugins::listing::{PluginFilter, PluginSort};
use crate::plugins::status::{PluginStatus, PluginView};

use super::Manager;

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
