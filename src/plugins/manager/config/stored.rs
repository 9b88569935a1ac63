//! Rows of config: sealed before they are stored, opened when they are read; the change, what the plugin left behind, the news
//! of it and the act in the audit log are one transaction.

use serde_json::{Value, json};

use crate::error::Result;
use crate::events::Journal;
use crate::model::call::{Caller, PluginEffects};
use crate::model::plugin::{ConfigRow, StoredConfig, StoredValue, config_row};
use crate::model::time::Timestamp;
use crate::plugins::manager::registry::{Act, Registry, draft};
use crate::plugins::settings::{ConfigChange, Layers};
use crate::store::{AuditEntry, Tx};

/// A change of a plugin's rows, ready to be written.
pub(in crate::plugins::manager) struct ConfigWrite {
    plugin: i64,
    rows: Vec<RowChange>,
    act: Act,
    effects: Vec<PluginEffects>,
    /// What `plugin.config_changed` tells: each key with its source, never a value.
    changed: Vec<Value>,
}

/// One row.
struct RowChange {
    /// Its number; none for a new one.
    id: Option<i64>,
    key: String,
    /// What is stored; none drops it.
    value: Option<StoredValue>,
}

impl ConfigWrite {
    /// The same with what the plugin left behind when it took the change.
    pub(super) fn with_effects(mut self, effects: Vec<PluginEffects>) -> Self {
        self.effects = effects;
        self
    }

    /// Writes it; answers all rows of the plugin as they are stored then.
    pub(in crate::plugins::manager) fn write(
        self,
        tx: &mut Tx,
        journal: &Journal,
        now: Timestamp,
    ) -> Result<Vec<StoredConfig>> {
        let name = self.act.plugin.clone();
        for row in self.rows {
            match (row.id, row.value) {
                (None, Some(value)) => drop(tx.insert_config(self.plugin, &row.key, &value, now)?),
                (Some(id), Some(value)) => drop(tx.update_config(self.plugin, id, &value, now)?),
                (Some(id), None) => _ = tx.delete_config(self.plugin, id)?,
                (None, None) => continue,
            }
            journal.publish(
                tx,
                draft("config.changed", &name, json!({ "key": row.key })),
                &Caller::server(),
            )?;
        }
        if !self.effects.is_empty() {
            journal.commit_effects(tx, &self.effects, &Caller::server())?;
        }
        let news = draft("plugin.config_changed", &name, json!({ "changed": self.changed }));
        journal.publish(tx, news, &Caller::server())?;
        let subject = Some(format!("plugin/{name}"));
        tx.append_audit(&AuditEntry::done(now, &self.act.by, self.act.action, subject, self.act.detail))?;
        tx.configs(self.plugin)
    }
}

impl Registry {
    /// Makes a change ready to be written: secret values are sealed here.
    ///
    /// # Errors
    /// They cannot be sealed.
    pub(super) fn config_write(
        &self,
        plugin: i64,
        change: &ConfigChange,
        layers: &Layers,
        stored: &[ConfigRow],
        act: Act,
    ) -> Result<ConfigWrite> {
        let after = change.applied(layers, stored);
        let (mut rows, mut changed) = (Vec::new(), Vec::new());
        for (key, value) in &change.0 {
            let value = match value {
                Some(value) => Some(self.closed(plugin, key, value, layers.is_secret(key, &after))?),
                None => None,
            };
            let id = stored.iter().find(|it| it.key == *key).map(|it| it.id);
            rows.push(RowChange { id, key: key.clone(), value });
            let is_secret = layers.is_secret(key, &after) || layers.is_secret(key, stored);
            let has = layers.effective(&after).contains_key(key);
            let source = has.then(|| layers.source_of(key, &after));
            changed.push(json!({ "key": key, "source": source, "secret": is_secret }));
        }
        Ok(ConfigWrite { plugin, rows, act, effects: Vec::new(), changed })
    }

    /// Writes a change alone.
    pub(super) async fn write_config(&self, write: ConfigWrite) -> Result<Vec<StoredConfig>> {
        let (journal, now) = (self.journal.clone(), self.now());
        self.store.write(move |tx| write.write(tx, &journal, now)).await
    }

    /// A value as it is stored.
    pub(super) fn closed(&self, plugin: i64, key: &str, value: &Value, secret: bool) -> Result<StoredValue> {
        match secret {
            true => self.keyring.seal(&config_row(plugin, key), &value.to_string()).map(StoredValue::Sealed),
            false => Ok(StoredValue::Plain(value.clone())),
        }
    }

    /// Rows as they are read: one that cannot be opened says why, and is nobody else's concern.
    pub(in crate::plugins::manager) fn opened(&self, plugin: i64, rows: Vec<StoredConfig>) -> Vec<ConfigRow> {
        rows.into_iter().map(|row| self.opened_row(plugin, row)).collect()
    }

    fn opened_row(&self, plugin: i64, row: StoredConfig) -> ConfigRow {
        let (value, sealed, outdated, fault) = match row.value {
            StoredValue::Plain(value) => (value, false, false, None),
            StoredValue::Sealed(text) => {
                let opened = self.keyring.open(&config_row(plugin, &row.key), &text);
                match opened.map(|it| serde_json::from_str(&it)) {
                    Ok(Ok(value)) => (value, true, !self.keyring.is_current(&text), None),
                    Ok(Err(_)) => (
                        Value::Null,
                        true,
                        false,
                        Some("its stored value is damaged; set it anew".to_owned()),
                    ),
                    Err(fault) => (Value::Null, true, false, Some(fault.to_string())),
                }
            }
        };
        ConfigRow {
            id: row.id,
            key: row.key,
            value,
            sealed,
            outdated,
            fault,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
