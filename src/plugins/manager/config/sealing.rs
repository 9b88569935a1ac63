//! Secrets that lie in the database as they should not: in plain, from before the schema called them secret, or sealed with a
//! former key.

use std::sync::Arc;

use crate::error::Result;
use crate::model::plugin::{ConfigRow, StoredValue};
use crate::model::time::Timestamp;
use crate::plugins::manager::Manager;
use crate::plugins::manager::slot::Slot;
use crate::store;

impl Manager {
    /// Seals what is not sealed, or not with the key that seals now; what fails stays as it is, and is told.
    pub(in crate::plugins::manager) async fn seal_stored(&self) {
        let (mut plain, mut anew) = (0, 0);
        for slot in self.slots() {
            match self.seal_slot(&slot).await {
                Ok((of_it, again)) => {
                    plain += of_it;
                    anew += again;
                    if of_it > 0 {
                        log::warn!(
                            plugin = &*slot.name;
                            "{of_it} of its secret values lay in the database in plain and are sealed now; copies and backups \
                             that were made before still hold them"
                        );
                    }
                }
                Err(error) => {
                    log::error!(plugin = &*slot.name; "its secret values could not be sealed: {}", error.detail);
                }
            }
        }
        if plain > 0 {
            let path = self.0.settings.database_path();
            let done = super::super::scan::blocking(move || store::empty_log(&path)).await;
            if let Ok(Err(fault)) = done {
                log::warn!("the log of the database may hold them until it is written over: {fault}");
            }
        }
        if anew > 0 {
            log::info!(
                "{anew} secret values were sealed anew: the former key is not needed any more but for older backups"
            );
        }
    }

    /// How many values of a plugin were sealed, and how many sealed anew.
    async fn seal_slot(&self, slot: &Arc<Slot>) -> Result<(usize, usize)> {
        let layers = slot.layers();
        let (plugin, rows) = slot.read(|it| {
            let is_due = |row: &&ConfigRow| {
                row.fault.is_none() && (row.outdated || !row.sealed && layers.schema.is_secret(&row.key))
            };
            (it.row.id, it.stored.iter().filter(is_due).cloned().collect::<Vec<_>>())
        });
        if rows.is_empty() {
            return Ok((0, 0));
        }
        let mut sealed: Vec<(i64, StoredValue, Timestamp)> = Vec::new();
        for row in &rows {
            sealed.push((
                row.id,
                self.0.registry.closed(plugin, &row.key, &row.value, true)?,
                row.updated_at,
            ));
        }
        let written = self.0.registry.store.write(move |tx| {
            tx.leave_no_trace(true)?;
            let done = sealed
                .into_iter()
                .try_for_each(|(id, value, at)| tx.update_config(plugin, id, &value, at).map(drop));
            tx.leave_no_trace(false)?;
            done?;
            tx.configs(plugin)
        });
        let stored = self.0.registry.opened(plugin, written.await?);
        slot.change(|it| it.stored = stored);
        let plain = rows.iter().filter(|it| !it.sealed).count();
        Ok((plain, rows.len() - plain))
    }
}
