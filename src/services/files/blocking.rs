//! Work on files, away from the threads that serve requests.

use tokio::runtime::Handle;

use crate::error::{Error, Result};

/// The pool for blocking work. Its callers may be on any thread, those that run Lua included.
#[derive(Clone, Debug)]
pub struct Blocking(Handle);

impl Blocking {
    /// The pool of a runtime.
    pub fn of(runtime: Handle) -> Self {
        Blocking(runtime)
    }

    /// Runs `work` on the pool.
    ///
    /// # Errors
    /// What `work` says; an internal error when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.0.spawn_blocking(work).await.map_err(Error::internal)?
    }

    /// Starts `work` and does not wait for it.
    pub fn start(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.0.spawn_blocking(work));
    }

    /// Runs `task` within the runtime, whatever thread its caller is on.
    ///
    /// # Errors
    /// An internal error when it panicked.
    pub async fn task<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Result<T> {
        self.0.spawn(task).await.map_err(Error::internal)
    }
}
