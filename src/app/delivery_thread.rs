//! The thread that deliveries are managed on. They hand on to each other and wait for the writer all the time: between
//! several threads each of these steps would wake another one, and what plugins make the background do would hold them up.

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// A runtime of one thread.
pub(super) struct DeliveryThread {
    handle: Handle,
    /// Taken when it is let go of.
    runtime: Option<Runtime>,
}

impl DeliveryThread {
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn start() -> Result<Self> {
        let mut runtime = Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name("deliveries").enable_all();
        let runtime = runtime.build().map_err(Error::internal)?;
        Ok(DeliveryThread { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Runs `task`, and what it spawns, on the thread.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.handle.spawn(task)
    }
}

impl Drop for DeliveryThread {
    /// Waits for nobody: a runtime must not do so where its owner is a task itself.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
