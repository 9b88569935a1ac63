//! Tests run on the server, in a process of their own: whatever a test does, it takes no thread, memory or log line of
//! the server, and it ends with its time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::error::{Code, Error, Result};
use crate::process::{self, Fault, Program};

use super::report::TestReport;
use super::scratch::Scratch;

/// All cases of one request together, after which no other is begun.
pub const WITHIN: Duration = Duration::from_secs(60);

/// How long the last case may go on after that.
const GRACE: Duration = Duration::from_secs(15);

/// Bytes of a report.
const MAX_REPORT: usize = 8 << 20;

/// Bytes of addresses: what threads and allocators only reserve counts, too.
const MAX_MEMORY: u64 = 16 << 30;

/// Bytes of any one file.
const MAX_FILE: u64 = 1 << 30;

/// What the process is told beside its arguments.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// The server's settings.
    pub settings: Settings,
    /// The variables that manifests may read.
    pub env: Vec<(String, String)>,
}

/// Runs the tests of the plugin in `folder`.
///
/// # Errors
/// `PluginTimeout` when they do not end; `Internal` when the process cannot be started or does not answer.
pub async fn run_apart(
    folder: &Path,
    settings: &Arc<Settings>,
    filter: Option<&str>,
    seed: Option<u64>,
) -> Result<TestReport> {
    let scratch = Scratch::new().map_err(Error::internal)?;
    let folder = folder.canonicalize().map_err(Error::internal)?;
    let mut arguments: Vec<String> = ["test", "--apart", "--json"].map(str::to_owned).to_vec();
    arguments.extend(filter.map(|it| format!("--filter={it}")));
    arguments.extend(seed.map(|it| format!("--seed={it}")));
    arguments.extend(["--".to_owned(), folder.display().to_string()]);
    let told = Told { settings: (**settings).clone(), env: std::env::vars().collect() };
    let program = Program {
        tool: own_program()?,
        arguments,
        folder: scratch.path().to_owned(),
        input: serde_json::to_vec(&told).map_err(Error::internal)?,
        timeout: WITHIN + GRACE,
        max_output_bytes: MAX_REPORT,
        max_memory_bytes: MAX_MEMORY,
        max_file_bytes: MAX_FILE,
    };
    let ended = process::run(program).await.map_err(|fault| match fault {
        Fault::TooSlow(_) => Error::new(Code::PluginTimeout, "The tests did not end in their time."),
        fault => Error::internal(fault),
    })?;
    serde_json::from_slice(&ended.output).map_err(|fault| {
        let said = String::from_utf8_lossy(&ended.error);
        Error::internal(format!("the tests ended with {:?} and no report ({fault}): {said}", ended.code))
    })
}

/// This program, also when its file was replaced since it was started.
fn own_program() -> Result<PathBuf> {
    let running = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
    match running.exists() {
        true => Ok(running),
        false => std::env::current_exe().map_err(Error::internal),
    }
}
