//! What an admin grants a plugin: stored with what its manifest asked for, in force at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::lua::permission::{Grant, Permissions};
use crate::model::call::Outcome;
use crate::model::plugin::{GrantRow, PluginState};
use crate::model::time::Timestamp;
use crate::plugins::permissions;
use crate::plugins::status::{PluginStatus, QuotaView};

use super::registry::Act;
use super::slot::Slot;
use super::{DRAIN, Manager};

/// What a plugin asks for, what it has, and who gave it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GrantsView {
    /// The plugin.
    pub plugin: String,
    /// What its manifest asks for.
    #[schema(value_type = Object)]
    pub requested: Permissions,
    /// What of it is its own without a grant.
    #[schema(value_type = Object)]
    pub at_once: Permissions,
    /// What was granted over HTTP, asked for or not.
    #[schema(value_type = Object)]
    pub granted: Permissions,
    /// What `panotti.yaml` grants; it can be changed there alone.
    #[schema(value_type = Object)]
    pub granted_by_settings: Permissions,
    /// What it has.
    #[schema(value_type = Object)]
    pub in_force: Permissions,
    /// What it asks for and does not have.
    #[schema(value_type = Object)]
    pub waiting: Permissions,
    /// What it was granted and does not ask for: it has it as soon as its manifest asks.
    #[schema(value_type = Object)]
    pub unused: Permissions,
    /// The hash of what the manifest asks for now.
    pub manifest_hash: String,
    /// The hash of what it asked for when it was granted; another one means that the manifest has changed since.
    pub granted_hash: Option<String>,
    /// Who granted it.
    pub granted_by: Option<String>,
    /// When it was granted (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub granted_at: Option<Timestamp>,
    /// What it was seen to need while it says `permissions: learn`, as lines for its manifest; null when it does not.
    pub learned: Option<String>,
}

/// What is to be granted.
#[derive(Debug, Clone)]
pub enum Granting {
    /// Everything the manifest asks for.
    All,
    /// These, in place of what was granted.
    These(Permissions),
    /// Nothing.
    Nothing,
}

impl Manager {
    /// What a plugin asks for and what it has.
    ///
    /// # Errors
    /// `PluginNotFound`.
    pub fn grants(&self, id: &str) -> Result<GrantsView> {
        Ok(self.grants_of(self.slot(id)?.as_ref()))
    }

    /// Changes what a plugin is granted; answers when it is in force.
    ///
    /// # Errors
    /// `PluginNotFound`; `PluginLoadFailed` when the plugin does not start with it: it stays granted.
    pub async fn grant(&self, id: &str, granting: Granting, by: &str) -> Result<GrantsView> {
        let (id, by) = (id.to_owned(), by.to_owned());
        self.at_once(move |manager| async move {
            let slot = manager.slot(&id)?;
            let before = manager.grants_of(&slot);
            let takes_back = matches!(granting, Granting::Nothing);
            let granted = match granting {
                Granting::All => before.requested.without(&before.at_once),
                Granting::These(permissions) => permissions,
                Granting::Nothing => Permissions::default(),
            };
            let is_stale = before.granted_hash.as_ref().is_some_and(|it| *it != before.manifest_hash);
            if granted != before.granted || is_stale {
                let row = (!granted.0.is_empty()).then(|| GrantRow {
                    plugin: slot.name.to_string(),
                    permissions: json!(granted),
                    manifest_hash: before.manifest_hash.clone(),
                    granted_by: by.clone(),
                    granted_at: Timestamp(manager.0.clock.now_us()),
                });
                let act = Act {
                    by,
                    action: if takes_back { "plugin.revoke" } else { "plugin.grant" },
                    event: None,
                    plugin: slot.name.to_string(),
                    moved: None,
                    detail: json!({ "permissions": granted }),
                };
                manager.0.registry.set_grant(slot.name.to_string(), row.clone(), act).await?;
                slot.change(|it| it.grant = row);
            }
            let after = manager.grants_of(&slot);
            if after.in_force != before.in_force || slot.read(|it| it.pending.is_some()) {
                // Calls under way may finish with more than they had, and not with what was taken from them.
                let is_less = !before.in_force.without(&after.in_force).0.is_empty();
                manager.put_in_force(&slot, if is_less { Duration::ZERO } else { DRAIN }).await?;
            }
            Ok(manager.grants_of(&slot))
        })
        .await
    }

    /// What is granted of what `requested` asks for.
    pub(super) fn in_force(&self, slot: &Slot, requested: &Permissions) -> Permissions {
        permissions::in_force(requested, &self.granted(slot))
    }

    /// What waits of what `requested` asks for.
    pub(super) fn waiting(&self, slot: &Slot, requested: &Permissions) -> Permissions {
        permissions::waiting(requested, &self.granted(slot))
    }

    /// Everything about a plugin, with what it may do and what it has taken of what is counted.
    pub(super) fn status_of(&self, slot: &Slot) -> PluginStatus {
        let mut status = slot.status();
        let grants = self.grants_of(slot);
        let manifest = slot.read(|it| it.manifest().cloned()).unwrap_or_default();
        let waits = format!("waits for the admin's grant: `panotti grants allow {}`", slot.name);
        let waiting = grants.waiting.0.keys().map(|it| manifest.about_permission(it, &waits).to_string());
        status.warnings.extend(waiting);
        if grants.learned.is_some() {
            let what = match self.0.settings.learn_permissions {
                true => "are learnt: every door is open to it until its manifest says what it needs",
                false => "`learn` does nothing until the server's settings say learn_permissions: true",
            };
            status.warnings.push(manifest.about_permission("", what).to_string());
        }
        if slot.read(|it| it.unloaded) {
            let what = match self.0.settings.safe_mode {
                true => "off, for the server runs in safe mode; enable it to try it",
                false => "unloaded: off until it is loaded or enabled, or the server starts again",
            };
            status.warnings.push(what.to_owned());
        }
        status.permissions_requested = json!(grants.requested);
        status.permissions_granted = json!(grants.in_force);
        status.permissions_waiting = json!(grants.waiting);
        status.learned = grants.learned;
        status.quotas = QuotaView::all(&self.0.host.quotas(&slot.name), &status.limits);
        status
    }

    fn granted(&self, slot: &Slot) -> Permissions {
        slot.read(|it| over_http(it.grant.as_ref())).or(&self.by_settings(&slot.name))
    }

    fn by_settings(&self, plugin: &str) -> Permissions {
        let section = self.0.settings.grants.get(plugin).cloned().unwrap_or_default();
        permissions::read(&section, "").unwrap_or_default()
    }

    fn grants_of(&self, slot: &Slot) -> GrantsView {
        let (requested, learns) = slot.read(|it| {
            // What a new version asks for is what there is to grant.
            let manifest = it.pending.as_deref().or(it.manifest());
            (manifest.map(|it| it.requested.clone()).unwrap_or_default(), manifest.is_some_and(|it| it.learn))
        });
        let (granted, row) = slot.read(|it| (over_http(it.grant.as_ref()), it.grant.clone()));
        GrantsView {
            plugin: slot.name.to_string(),
            at_once: permissions::at_once(&requested),
            granted_by_settings: self.by_settings(&slot.name),
            in_force: self.in_force(slot, &requested),
            waiting: self.waiting(slot, &requested),
            unused: self.granted(slot).without(&requested),
            manifest_hash: hash(&requested),
            granted_hash: row.as_ref().map(|it| it.manifest_hash.clone()),
            granted_by: row.as_ref().map(|it| it.granted_by.clone()),
            granted_at: row.as_ref().map(|it| it.granted_at),
            learned: learns.then(|| self.0.host.learned(&slot.name)),
            granted,
            requested,
        }
    }

    /// Makes a plugin anew with what it may do now.
    async fn put_in_force(&self, slot: &Arc<Slot>, drain: Duration) -> Result<()> {
        if let Some(live) = slot.live() {
            if slot.read(|it| it.pending.is_some()) {
                let names = BTreeSet::from([Arc::clone(&slot.name)]);
                let done = self.take_up_edits(Some(&names)).await;
                // Without all it asks for it waits on.
                let failed = done.failed.into_values().find(|it| it.outcome != Outcome::Denied);
                return failed.map_or(Ok(()), |fault| Err(fault.into_error(&slot.name)));
            }
            return self
                .renew(slot, live.prepared.clone(), drain)
                .await
                .map(drop)
                .map_err(|fault| fault.into_error(&slot.name));
        }
        if slot.read(|it| it.state() == PluginState::Failed && it.wanted()) && self.look_at(slot).await {
            self.bring_up(vec![Arc::clone(slot)], self.load_deadline()).await;
            self.settle().await;
            if slot.live().is_none() {
                return Err(slot.load_error());
            }
        }
        Ok(())
    }

    /// Warns of a `grants:` section that says what cannot be.
    pub(super) fn check_grants(&self) {
        for (plugin, section) in &self.0.settings.grants {
            if let Err(faults) = permissions::read(section, "") {
                for fault in faults {
                    log::warn!(
                        "panotti.yaml: grants.{plugin}{}: {}",
                        fault.pointer.replace('/', "."),
                        fault.message
                    );
                }
            }
            if self.named(plugin).is_none() {
                log::warn!("panotti.yaml: grants.{plugin}: there is no such plugin");
            }
        }
    }
}

/// Reads what a client wants granted.
///
/// # Errors
/// `Invalid` with every fault.
pub fn read_granting(body: &Map<String, Value>) -> Result<Granting> {
    let only = |key: &str| body.len() == 1 && body.contains_key(key);
    match (body.get("permissions"), body.get("all")) {
        (Some(Value::Object(map)), None) if only("permissions") => {
            permissions::read(map, "/permissions").map(Granting::These).map_err(Error::fields)
        }
        (None, Some(Value::Bool(true))) if only("all") => Ok(Granting::All),
        _ => Err(Error::fields(vec![crate::error::FieldError {
            pointer: String::new(),
            message: "must be {\"permissions\": {…}} or {\"all\": true}".to_owned(),
        }])),
    }
}

fn over_http(row: Option<&GrantRow>) -> Permissions {
    row.and_then(|it| serde_json::from_value(it.permissions.clone()).ok()).unwrap_or_default()
}

/// The hash of what a manifest asks for.
fn hash(requested: &Permissions) -> String {
    let mut sorted = requested.clone();
    for grant in sorted.0.values_mut() {
        if let Grant::Parts(parts) = grant {
            parts.sort();
        }
    }
    blake3::hash(json!(sorted).to_string().as_bytes()).to_hex().to_string()
}
