//! The same done with several plugins, one after another in the order of their needs; what fails stops nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result, ScriptFault};
use crate::model::plugin::PluginState;
use crate::plugins::listing::PluginFilter;

use super::Manager;
use super::slot::Slot;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Lets them run, now and after a restart.
    Enable,
    /// Stops them, now and after a restart.
    Disable,
    /// Makes them anew of their folders.
    Reload,
}

/// What is done with which plugins.
#[derive(Debug, Clone)]
pub struct BulkAsk {
    /// What is done.
    pub action: BulkAction,
    /// Their numbers or names.
    pub plugins: Vec<String>,
    /// Those that fit, instead.
    pub filter: Option<PluginFilter>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BulkDone {
    /// What was done.
    pub action: BulkAction,
    /// Plugins with which it went well.
    pub succeeded: usize,
    /// Plugins with which it did not.
    pub failed: usize,
    /// One for each plugin, in the order in which it was done.
    pub results: Vec<BulkResult>,
}

/// What came of it with one plugin.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BulkResult {
    /// Its name; as it was sent when there is no such plugin.
    pub plugin: String,
    /// Whether it went well.
    pub ok: bool,
    /// Whether anything changed: it started, stopped, was made anew, or is wanted otherwise.
    pub changed: bool,
    /// What it is doing now.
    pub state: Option<PluginState>,
    /// Whether it is meant to run.
    pub enabled: Option<bool>,
    /// The generation that runs, else the last one tried.
    pub generation: Option<u64>,
    /// Why it did not go well.
    pub error: Option<BulkError>,
}

/// Why something did not go well with one plugin.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct BulkError {
    /// The code that the route for one plugin answers.
    pub code: &'static str,
    /// What happened.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the script.
    pub fault: Option<ScriptFault>,
}

/// What is compared before and after.
type Shape = (PluginState, bool, u64);

impl BulkAction {
    /// All of them.
    pub const ALL: [BulkAction; 3] = [BulkAction::Enable, BulkAction::Disable, BulkAction::Reload];

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            BulkAction::Enable => "enable",
            BulkAction::Disable => "disable",
            BulkAction::Reload => "reload",
        }
    }

    /// The action of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        BulkAction::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

impl Manager {
    /// Does something with several plugins: enabled and made anew after what they need, disabled before it.
    ///
    /// # Errors
    /// The store's; what goes wrong with one plugin stands in its result.
    pub async fn bulk(&self, ask: BulkAsk, by: &str) -> Result<BulkDone> {
        let (manager, by) = (self.clone(), by.to_owned());
        self.to_its_end(async move {
            manager.not_stopping()?;
            let (slots, mut results) = manager.meant(&ask);
            let mut renewed = BTreeSet::new();
            for slot in manager.in_order_of(ask.action, slots) {
                results.push(manager.do_one(ask.action, &slot, &by, &mut renewed).await);
            }
            let failed = results.iter().filter(|it| !it.ok).count();
            let names = |ok: bool| -> Vec<&str> {
                results.iter().filter(|it| it.ok == ok).map(|it| it.plugin.as_str()).collect()
            };
            let detail =
                json!({ "action": ask.action.as_str(), "plugins": names(true), "failed": names(false) });
            manager.0.registry.note_of_several(&by, "plugin.bulk", detail).await?;
            Ok(BulkDone { action: ask.action, succeeded: results.len() - failed, failed, results })
        })
        .await
    }

    /// The plugins that are meant, each once, and a result for each name that nobody bears.
    fn meant(&self, ask: &BulkAsk) -> (Vec<Arc<Slot>>, Vec<BulkResult>) {
        if let Some(filter) = &ask.filter {
            return (self.list(filter).iter().filter_map(|it| self.named(&it.name)).collect(), Vec::new());
        }
        let (mut slots, mut unknown): (Vec<Arc<Slot>>, Vec<BulkResult>) = Default::default();
        for id in &ask.plugins {
            match self.slot(id) {
                Ok(slot) if slots.iter().any(|it| it.name == slot.name) => {}
                Ok(slot) => slots.push(slot),
                Err(error) => unknown.push(BulkResult {
                    plugin: id.chars().take(80).collect(),
                    ok: false,
                    changed: false,
                    state: None,
                    enabled: None,
                    generation: None,
                    error: Some(error.into()),
                }),
            }
        }
        (slots, unknown)
    }

    fn in_order_of(&self, action: BulkAction, slots: Vec<Arc<Slot>>) -> Vec<Arc<Slot>> {
        let mut sorted = self.in_need_order(slots);
        if action == BulkAction::Disable {
            sorted.reverse();
        }
        sorted
    }

    async fn do_one(
        &self,
        action: BulkAction,
        slot: &Slot,
        by: &str,
        renewed: &mut BTreeSet<String>,
    ) -> BulkResult {
        let before = shape(slot);
        let done = match action {
            BulkAction::Enable => self.enable(&slot.name, by).await.map(drop),
            BulkAction::Disable => self.disable(&slot.name, by).await.map(drop),
            // It was made anew together with what it needs.
            BulkAction::Reload if renewed.contains(&*slot.name) => Ok(()),
            BulkAction::Reload => self.reload(&slot.name).await.map(|edited| renewed.extend(edited.renewed)),
        };
        let after = shape(slot);
        let is_renewed = action == BulkAction::Reload && renewed.contains(&*slot.name);
        BulkResult {
            plugin: slot.name.to_string(),
            ok: done.is_ok(),
            changed: before != after || is_renewed,
            state: Some(after.0),
            enabled: Some(after.1),
            generation: Some(after.2),
            error: done.err().map(BulkError::from),
        }
    }
}

impl From<Error> for BulkError {
    fn from(error: Error) -> Self {
        let is_ours = error.code == Code::Internal;
        if is_ours {
            log::error!("{error} {:?}", error.source);
        }
        let detail = if is_ours { error.code.title().to_owned() } else { error.detail };
        let hint = error.hint.or_else(|| Some(error.code.hint().to_owned()));
        BulkError { code: error.code.name(), detail, hint, fault: error.script.map(|it| *it) }
    }
}

fn shape(slot: &Slot) -> Shape {
    slot.read(|it| (it.state(), it.wanted(), it.shown_generation()))
}
