//! The tests of a plugin, run while it runs.

use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::plugins::testing::{TestReport, run_apart};

use super::Manager;
use super::files::folder_of;

impl Manager {
    /// Runs the tests that lie in a plugin's folder, in a process of their own over folders that are thrown away: nothing
    /// of the server is touched. One such run at a time.
    ///
    /// # Errors
    /// [`Code::PluginNotFound`]; [`Code::Overloaded`] while other tests run; [`Code::PluginTimeout`]; the folder is gone.
    pub async fn test(&self, id: &str, filter: Option<&str>, seed: Option<u64>) -> Result<TestReport> {
        let folder = folder_of(&*self.slot(id)?)?;
        let Ok(_place) = self.0.testing.try_acquire() else {
            let busy = Error::new(Code::Overloaded, "The tests of a plugin are running already.");
            return Err(Error { retry_after: Some(5), ..busy });
        };
        run_apart(&folder, &Arc::clone(&self.0.settings), filter, seed).await
    }
}
