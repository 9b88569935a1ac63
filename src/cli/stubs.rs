//! `panotti stubs`: what an editor needs for completion.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::flags::FolderFlags;
use super::print::print;
use crate::plugins::editor;

/// Writes what an editor needs to complete and check `panotti.*`, beside the plugins.
///
/// Descriptions go into `.panotti/`, where the server keeps them up to date when it starts, unless they were edited;
/// `.luarc.json`, `.luaurc` and `.vscode/settings.json` are written where there are none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  panotti stubs\n  panotti stubs --dir ~/plugins")]
pub(super) struct StubsCommand {
    /// Folder of plugins to write into [default: the first plugin folder of the settings].
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// As JSON: {folder, stubs, made, kept}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderFlags,
}

pub(super) fn run(command: StubsCommand) -> Result<(), Failure> {
    let none = || Failure::Usage("the settings name no plugin folder".to_owned());
    let root = match command.dir {
        Some(dir) => dir,
        None => command.folders.settings()?.plugin_dirs.into_iter().next().ok_or_else(none)?,
    };
    let written = editor::write(&root)
        .map_err(|fault| Failure::Failed(format!("{} cannot be written: {fault}", root.display())))?;
    if command.json {
        return print(&format!(
            "{:#}\n",
            json!({ "folder": root, "stubs": written.stubs, "made": written.made, "kept": written.kept })
        ));
    }
    let mut text = String::new();
    for (what, paths) in
        [("Wrote", &written.stubs), ("Wrote", &written.made), ("Left as it is:", &written.kept)]
    {
        for path in paths {
            text.push_str(&format!("{what} {}\n", path.display()));
        }
    }
    text.push_str(&format!(
        "LuaLS and luau-lsp (VS Code) find them when {} is the folder that is open.\n",
        root.display()
    ));
    print(&text)
}
