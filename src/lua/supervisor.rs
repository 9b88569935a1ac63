//! What an actor asks of the generation it belongs to.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::model::call::CallContext;

use super::actor::Actor;
use super::strand::{Done, Failed};

/// Who takes over when a VM cannot go on.
pub trait Supervisor: Send + Sync {
    /// The VM of `actor` is broken, full or stuck; a fresh one is needed.
    fn broke(&self, actor: &Arc<Actor>, why: &str);
    /// Calls a function of a module in another VM of the plugin.
    fn run(&self, run: Run) -> oneshot::Receiver<Result<Done, Failed>>;
}

/// A call of a module's function in another VM.
pub struct Run {
    /// What `require` takes.
    pub module: String,
    /// A key of the table that the module returned.
    pub function: String,
    /// The arguments.
    pub arguments: Vec<Value>,
    /// The call that asks.
    pub ctx: Arc<CallContext>,
    /// When it ends.
    pub deadline: Instant,
}
