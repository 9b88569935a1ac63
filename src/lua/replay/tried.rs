//! Files that are loaded to see whether they do: nothing of it is kept, and nothing reaches the world.

use std::sync::Arc;

use crate::hooks::{CallFailure, Registration, Subscription};
use crate::lua::LuaHost;
use crate::lua::fresh::reply_of;
use crate::lua::generation::PluginSource;
use crate::lua::migrate::{self, Migrations};
use crate::lua::secrets::Secrets;
use crate::lua::strand::Job;
use crate::lua::waiting::Waiting;

use super::{Diverged, Replay};

/// What came of loading files that are thrown away again.
#[derive(Debug, Default)]
pub struct Tried {
    /// The hooks that the chunk registered.
    pub registrations: Vec<Registration>,
    /// Its subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// What it asks of the world while it loads: it was not asked, and nobody knows what follows.
    pub asks: Option<Diverged>,
}

impl LuaHost {
    /// Loads a plugin's files in a VM that is thrown away. What looks at things is answered; what would change any, or
    /// leaves the server, ends the attempt. New migrations are applied and taken back.
    ///
    /// # Errors
    /// As [`LuaHost::load`].
    pub async fn try_out(&self, source: PluginSource) -> Result<Tried, CallFailure> {
        migrate::bring_up(&self.services(), &source, &Arc::default(), Migrations::Try).await?;
        let secrets = Arc::new(Secrets::new(Arc::clone(&source.secret_keys), &source.config));
        let replay = Replay::that_looks(secrets);
        replay.begin(&[], self.clock().now_us(), None, false);
        let closing = self.thrown_away_vm(&source, &replay);
        let (waiting, answer) = Waiting::of(None);
        closing.0.start(Job::Load { entry: Some(source.entry.clone()), waiting });
        let loaded = reply_of(answer, source.generation).await;
        if let (asks @ Some(_), ..) = replay.finish() {
            return Ok(Tried { asks, ..Tried::default() });
        }
        loaded?;
        let registry = &closing.0.context.registry;
        Ok(Tried { registrations: registry.hooks(), subscriptions: registry.subscriptions(), asks: None })
    }
}
