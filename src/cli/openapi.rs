//! `panotti openapi`: the document of the HTTP API, without a server.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::print::print;

/// Writes the OpenAPI document of the HTTP API; needs no server.
///
/// It is what a server without plugins answers at /api/openapi.json; a running one adds the routes of its plugins.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  panotti openapi --out openapi.json\n  panotti openapi | jq '.paths | keys'"
)]
pub(super) struct OpenapiCommand {
    /// File to write it to [default: stdout].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(command: OpenapiCommand) -> Result<(), Failure> {
    let text = format!("{:#}\n", crate::http::openapi());
    let Some(path) = command.out else { return print(&text) };
    std::fs::write(&path, &text)
        .map_err(|fault| Failure::Failed(format!("{} cannot be written: {fault}", path.display())))?;
    _ = writeln!(std::io::stderr(), "wrote {} ({} bytes)", path.display(), text.len());
    Ok(())
}
