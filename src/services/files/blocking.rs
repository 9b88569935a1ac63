//! Work on files, away from the threads that serve requests.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// The pool for blocking work. Its callers may be on any thread, those that run Lua included.
#[derive(Clone, Debug)]
pub struct Blocking {
    runtime: Handle,
    /// Places for work that keeps a processor busy.
    heavy: Arc<Semaphore>,
}

impl Blocking {
    /// The pool of a runtime.
    pub fn of(runtime: Handle) -> Self {
        // Half of the machine goes on answering.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Blocking { runtime, heavy: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }

    /// Runs `work` on the pool.
    ///
    /// # Errors
    /// What `work` says; an internal error when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.runtime.spawn_blocking(work).await.map_err(Error::internal)?
    }

    /// Runs `work` that keeps a processor busy on the pool, once one of the few places for such work is free;
    /// the place is taken until it has ended, also when nobody waits for it any more.
    ///
    /// # Errors
    /// What `work` says; an internal error when it panicked.
    pub async fn run_heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = Arc::clone(&self.heavy).acquire_owned().await.map_err(Error::internal)?;
        self.run(move || {
            let _place = place;
            work()
        })
        .await
    }

    /// Starts `work` and does not wait for it.
    pub fn start(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.runtime.spawn_blocking(work));
    }

    /// Starts `task` within the runtime and does not wait for it.
    pub fn start_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(task));
    }

    /// Runs `task` within the runtime, whatever thread its caller is on.
    ///
    /// # Errors
    /// An internal error when it panicked.
    pub async fn task<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Result<T> {
        self.runtime.spawn(task).await.map_err(Error::internal)
    }
}
