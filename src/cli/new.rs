//! `panotti new`: a plugin to begin with.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;

use super::Failure;
use super::flags::FolderFlags;
use super::print::print;
use crate::plugins::discovery::{folder_of, is_plugin_name};
use crate::plugins::editor;
use crate::plugins::templates::TEMPLATES;

/// Writes a new plugin into the first plugin folder, ready to run.
#[derive(Debug, Args)]
#[command(
    after_help = "Templates:\n  clip-tagger      changes clips while they are made\n  recording-guard  refuses recordings\n  http-route       answers HTTP requests\n  scheduled        does something at its times\n\nExamples:\n  panotti new goal_tagger\n  panotti new quiet_hours --template recording-guard\n  panotti new notes --template http-route --dir ~/plugins"
)]
pub(super) struct NewCommand {
    /// The plugin's name, which is that of its folder: a-z, 0-9, _ and -.
    name: String,
    /// What to begin with.
    #[arg(long, value_parser = template_names(), default_value = TEMPLATES[0].name)]
    template: String,
    /// Folder to write it into [default: the first plugin folder of the settings].
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// As JSON: {name, template, folder, files}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderFlags,
}

pub(super) fn run(command: NewCommand) -> Result<(), Failure> {
    let name = &command.name;
    if !is_plugin_name(name) {
        let meant = fitting(name).map(|it| format!("; `{it}` would do")).unwrap_or_default();
        return Err(Failure::Usage(format!(
            "{name:?} cannot be a plugin's name: use a-z, 0-9, _ and -, starting with a letter or digit, at most 64 characters{meant}"
        )));
    }
    let (root, others) = match command.dir {
        Some(dir) => (dir, Vec::new()),
        None => {
            let roots = command.folders.settings()?.plugin_dirs;
            let first = roots.first().cloned();
            (first.ok_or_else(|| Failure::Usage("the settings name no plugin folder".to_owned()))?, roots)
        }
    };
    let taken = |folder: PathBuf| {
        Failure::Failed(format!(
            "there is {} already, and it is left as it is: choose another name, or move the folder away first",
            folder.display()
        ))
    };
    if let Some(folder) = folder_of(&others, name) {
        return Err(taken(folder));
    }
    let template = TEMPLATES
        .iter()
        .find(|it| it.name == command.template)
        .ok_or_else(|| Failure::Usage(format!("there is no template {:?}", command.template)))?;
    let folder = template.write(&root, name).map_err(|fault| match fault.kind() {
        ErrorKind::AlreadyExists => taken(root.join(name)),
        _ => Failure::Failed(format!("{} cannot be written: {fault}", root.join(name).display())),
    })?;
    // What editors complete with; a plugin does without.
    if let Err(fault) = editor::write(&root) {
        _ = writeln!(std::io::stderr(), "panotti: no completion for editors: {}: {fault}", root.display());
    }
    let files: Vec<&str> = template.files.iter().map(|(path, _)| *path).collect();
    if command.json {
        let told = json!({ "name": name, "template": template.name, "folder": folder, "files": files });
        return print(&format!("{told:#}\n"));
    }
    print(&format!(
        "Made {}: {}; it {}.\nA running server takes it up by itself; without one: `panotti serve`.\nNext: edit {} and save. README.md beside it tells how to try it. Editors that have {} open complete panotti.*.\n",
        folder.display(),
        files.join(", "),
        template.about,
        folder.join("init.lua").display(),
        root.display()
    ))
}

fn template_names() -> PossibleValuesParser {
    PossibleValuesParser::new(TEMPLATES.iter().map(|it| it.name))
}

/// A name like `text` that a plugin may have.
fn fitting(text: &str) -> Option<String> {
    let fit = |it: char| if it.is_ascii_alphanumeric() || it == '-' { it.to_ascii_lowercase() } else { '_' };
    let name: String = text.trim().chars().map(fit).take(64).collect();
    let name = name.trim_matches(['_', '-']);
    is_plugin_name(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_do_is_told() {
        assert_eq!(fitting("My Plugin!").as_deref(), Some("my_plugin"));
        assert_eq!(fitting("../x").as_deref(), Some("x"));
        assert_eq!(fitting("äö"), None);
    }
}
