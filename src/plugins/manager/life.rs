//! Calling what the host calls once in a plugin's life, and committing what that leaves behind.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::hooks::{Answer, CallFailure, Dispatcher, Hook, HookHandler, Reply};
use crate::model::call::{CallContext, Caller, PluginEffects};

use super::Manager;
use super::slot::Live;

impl Manager {
    /// Calls the functions of one life hook of a generation, and commits their effects.
    ///
    /// # Errors
    /// The first function's failure; it is kept and logged already.
    pub(super) async fn life(
        &self,
        live: &Live,
        hook: Hook,
        payload: Value,
        deadline: Instant,
    ) -> Result<Vec<Reply>, CallFailure> {
        let (replies, effects) = self.life_without_effects(live, hook, payload, deadline).await?;
        if !effects.is_empty() {
            self.0.registry.commit(effects).await;
        }
        Ok(replies)
    }

    /// The same; what it leaves behind is for the caller to commit.
    ///
    /// # Errors
    /// As [`Manager::life`].
    pub(super) async fn life_without_effects(
        &self,
        live: &Live,
        hook: Hook,
        payload: Value,
        deadline: Instant,
    ) -> Result<(Vec<Reply>, Vec<PluginEffects>), CallFailure> {
        let member = live.member();
        let mut replies = Dispatcher::call_life(&member, hook, payload, Some(deadline)).await?;
        let effects = effects_of(live, &mut replies);
        Ok((replies, effects))
    }

    /// Tells a generation of its config and which of its keys have changed; what that leaves behind is for the caller to commit.
    ///
    /// # Errors
    /// As [`Manager::life`].
    pub(super) async fn life_of_config(
        &self,
        live: &Live,
        config: Value,
        changed: Arc<[String]>,
        deadline: Instant,
    ) -> Result<Vec<PluginEffects>, CallFailure> {
        let hook = Hook::OnConfigChanged;
        let ctx = CallContext { changed: Some(changed), ..CallContext::new(hook.name(), Caller::server()) };
        let mut replies = Dispatcher::call_life_in(ctx, &live.member(), hook, config, Some(deadline)).await?;
        Ok(effects_of(live, &mut replies))
    }

    /// What the plugin returns from `on_unload`, for the next generation, and what that leaves behind.
    pub(super) async fn last_words(&self, live: &Live, deadline: Instant) -> (Value, Vec<PluginEffects>) {
        let said = self.life_without_effects(live, Hook::OnUnload, Value::Null, deadline).await;
        let (replies, effects) = said.unwrap_or_default();
        let answers = replies.into_iter().map(|it| it.answer);
        let states = answers.filter_map(|it| match it {
            // The host hands a snapshot over as the details of a health answer.
            Answer::Health { details, .. } if !details.is_null() => Some(details),
            _ => None,
        });
        (states.reduce(|_, last| last).unwrap_or(Value::Null), effects)
    }

    /// Has a generation say its last words before nothing takes its place.
    pub(super) async fn say_goodbye(&self, live: &Live, deadline: Instant) {
        let (_, effects) = self.last_words(live, deadline).await;
        if !effects.is_empty() {
            self.0.registry.commit(effects).await;
        }
    }

    /// What `on_startup` and `on_shutdown` are told.
    pub(super) fn app(&self) -> Value {
        let running: Vec<String> =
            self.slots().iter().filter(|it| it.live().is_some()).map(|it| it.name.to_string()).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "data_dir": self.0.settings.data_dir.display().to_string(),
            "plugins": running,
        })
    }
}

/// What calls have left behind.
fn effects_of(live: &Live, replies: &mut [Reply]) -> Vec<PluginEffects> {
    let effects = replies.iter_mut().map(|it| std::mem::take(&mut it.effects)).filter(|it| !it.is_empty());
    let plugin = live.handler.plugin();
    effects.map(|effects| PluginEffects { plugin: Arc::clone(plugin), effects }).collect()
}
