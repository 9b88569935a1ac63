//! Who needs whom: told to the admin, and minded when one of them goes.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::model::plugin::PluginState;
use crate::plugins::order::{self, Standing, Verdict};
use crate::plugins::problem::LoadFault;

use super::Manager;
use super::settle::set;
use super::slot::Slot;

/// One plugin's need of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DependencyView {
    /// Who needs.
    pub plugin: String,
    /// What that one is doing.
    pub plugin_state: PluginState,
    /// Who is needed; null when no plugin provides the capability.
    pub needs: Option<String>,
    /// What that one is doing; null when there is no such plugin.
    pub needs_state: Option<PluginState>,
    /// Its version, if it says one.
    pub needs_version: Option<String>,
    /// The versions that do; null where a capability is required.
    pub range: Option<String>,
    /// The capability that is required, from `requires`.
    pub capability: Option<String>,
    /// Whether the plugin also runs without.
    pub optional: bool,
    /// Whether the one that is needed runs, in a version that does.
    pub met: bool,
}

impl Manager {
    /// What a plugin needs: one row for each dependency, and for each plugin that provides what it requires.
    ///
    /// # Errors
    /// [`crate::error::Code::PluginNotFound`].
    pub fn dependencies(&self, id: &str) -> Result<Vec<DependencyView>> {
        let slot = self.slot(id)?;
        Ok(self.needs_of(&slot))
    }

    /// The plugins that need this one.
    ///
    /// # Errors
    /// [`crate::error::Code::PluginNotFound`].
    pub fn dependents(&self, id: &str) -> Result<Vec<DependencyView>> {
        let slot = self.slot(id)?;
        let all = self.slots().into_iter().flat_map(|it| self.needs_of(&it));
        Ok(all.filter(|it| it.needs.as_deref() == Some(&*slot.name)).collect())
    }

    /// Stops a plugin, after those that cannot run without it.
    pub(super) async fn take_down_with_dependents(&self, slot: &Arc<Slot>, why: &'static str) {
        self.take_down_lost(Some((&slot.name, why))).await;
        self.take_down(slot, why, true).await;
    }

    /// Stops what has lost what it needs, or is about to lose `going`; whoever is needed by another one of them
    /// stops after that.
    pub(super) async fn take_down_lost(&self, going: Option<(&Arc<str>, &'static str)>) {
        for (slot, fault) in self.lost(going) {
            self.take_down(&slot, "loses what it needs", true).await;
            slot.fail(&fault, true);
        }
    }

    fn lost(&self, going: Option<(&Arc<str>, &'static str)>) -> Vec<(Arc<Slot>, Box<LoadFault>)> {
        let mut nodes = self.nodes();
        if let Some((name, why)) = going {
            set(&mut nodes, name, Standing::Down(why));
        }
        let mut lost = Vec::new();
        loop {
            let running = nodes.iter().filter(|(_, node)| node.standing == Standing::Running);
            let next = running.map(|(name, _)| name).find_map(|name| match order::judge(name, &nodes) {
                Verdict::Never(fault) => Some((Arc::clone(name), fault)),
                _ => None,
            });
            let Some((name, fault)) = next else { break };
            set(&mut nodes, &name, Standing::Down("does not load"));
            lost.extend(self.named(&name).map(|slot| (slot, fault)));
        }
        lost.reverse();
        lost
    }

    fn needs_of(&self, slot: &Slot) -> Vec<DependencyView> {
        let (state, manifest) = slot.read(|it| (it.state(), it.shared_manifest()));
        let Some(manifest) = manifest else { return Vec::new() };
        let row = |needed: Option<&Arc<Slot>>| DependencyView {
            plugin: slot.name.to_string(),
            plugin_state: state,
            needs: needed.map(|it| it.name.to_string()),
            needs_state: needed.map(|it| it.read(|it| it.state())),
            needs_version: needed
                .and_then(|it| it.read(|it| it.manifest()?.version.as_ref().map(ToString::to_string))),
            range: None,
            capability: None,
            optional: false,
            met: needed.is_some_and(|it| it.live().is_some()),
        };
        let named = manifest.dependencies.iter().map(|wanted| {
            let needed = self.named(&wanted.name);
            let row = row(needed.as_ref());
            let fits = needed
                .is_some_and(|it| it.read(|it| it.manifest().is_some_and(|it| order::fits(wanted, it))));
            DependencyView {
                needs: Some(wanted.name.clone()),
                range: Some(wanted.version.to_string()),
                optional: wanted.optional,
                met: row.met && fits,
                ..row
            }
        });
        let nodes = self.nodes();
        let required = manifest.requires.iter().flat_map(|wanted| {
            let mut rows: Vec<DependencyView> = order::providers(wanted, &slot.name, &nodes)
                .filter_map(|it| Some(row(Some(&self.named(&it)?))))
                .collect();
            if rows.is_empty() {
                rows.push(row(None));
            }
            rows.into_iter().map(|row| DependencyView { capability: Some(wanted.clone()), ..row })
        });
        named.chain(required).collect()
    }
}
