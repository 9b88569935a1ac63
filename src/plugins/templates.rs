//! Plugins to begin with: what `panotti new` writes. The files lie in `scripts/templates/`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A plugin to begin with.
#[derive(Debug)]
pub struct Template {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it shows, as a clause.
    pub about: &'static str,
    /// Its files by path; `{{name}}` stands for the plugin's name.
    pub files: &'static [(&'static str, &'static str)],
}

macro_rules! file {
    ($template:literal, $path:literal) => {
        ($path, include_str!(concat!("../../scripts/templates/", $template, "/", $path)))
    };
}

/// All templates; the first one is meant where none is named.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "clip-tagger",
        about: "changes clips while they are made",
        files: &[
            file!("clip-tagger", "init.lua"),
            file!("clip-tagger", "lib/rules.lua"),
            file!("clip-tagger", "plugin.yaml"),
            file!("clip-tagger", "tests/tags_test.lua"),
            file!("clip-tagger", "README.md"),
        ],
    },
    Template {
        name: "recording-guard",
        about: "refuses recordings",
        files: &[
            file!("recording-guard", "init.lua"),
            file!("recording-guard", "plugin.yaml"),
            file!("recording-guard", "tests/guard_test.lua"),
            file!("recording-guard", "README.md"),
        ],
    },
    Template {
        name: "http-route",
        about: "answers HTTP requests",
        files: &[
            file!("http-route", "init.lua"),
            file!("http-route", "plugin.yaml"),
            file!("http-route", "tests/notes_test.lua"),
            file!("http-route", "README.md"),
        ],
    },
    Template {
        name: "scheduled",
        about: "does something at its times",
        files: &[
            file!("scheduled", "init.lua"),
            file!("scheduled", "plugin.yaml"),
            file!("scheduled", "tests/count_test.lua"),
            file!("scheduled", "README.md"),
        ],
    },
];

impl Template {
    /// Writes the plugin `name` into `root`; its folder appears there with all its files at once.
    ///
    /// # Errors
    /// `AlreadyExists` when there is something of this name, and what the file system says.
    pub fn write(&self, root: &Path, name: &str) -> io::Result<PathBuf> {
        let folder = root.join(name);
        if folder.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::create_dir_all(root)?;
        // Hidden, so that a running server does not take up half a plugin.
        let aside = root.join(format!(".new-{name}-{}", std::process::id()));
        let made = self.fill(&aside, name).and_then(|()| fs::rename(&aside, &folder));
        if let Err(fault) = made {
            _ = fs::remove_dir_all(&aside);
            return Err(fault);
        }
        Ok(folder)
    }

    fn fill(&self, folder: &Path, name: &str) -> io::Result<()> {
        for (path, text) in self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, text.replace("{{name}}", name))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_written_whole_and_over_nothing_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        for template in TEMPLATES {
            let name = template.name.replace('-', "_");
            let folder = template.write(&root.path().join("plugins"), &name).unwrap();
            for (path, _) in template.files {
                let text = fs::read_to_string(folder.join(path)).unwrap();
                assert!(!text.contains("{{"), "{path}: {text}");
            }
            let again = template.write(&root.path().join("plugins"), &name).unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        }
        let left = fs::read_dir(root.path().join("plugins")).unwrap().count();
        assert_eq!(left, TEMPLATES.len(), "nothing else is left behind");
    }
}
