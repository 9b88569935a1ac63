//! What a change is about to do, written down before its first step: a start that finds it takes back what was cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};

use super::hash;

/// Its name in the stage while the change is half made, or half taken back.
const HALF: &str = "plan";
/// Its name in the stage when the change is made wholly.
const WHOLE: &str = "made";

/// What a change does, as it is written down.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Plan {
    files: BTreeMap<String, Planned>,
    /// Folders that it makes, the outer ones first.
    folders: BTreeSet<String>,
}

/// What becomes of one file.
#[derive(Debug, Serialize, Deserialize)]
struct Planned {
    /// Under which number the stage keeps what was there.
    kept: usize,
    /// Whether anything was there.
    was_there: bool,
    /// The hash of the new content; none when the file goes.
    after: Option<String>,
}

impl Plan {
    /// The plan of a change of `dir`; each file gets one of `numbers` for what is there before it.
    pub(super) fn of(
        dir: &Dir,
        put: &BTreeMap<String, Arc<[u8]>>,
        delete: &BTreeSet<String>,
        mut number: impl FnMut() -> usize,
    ) -> Self {
        let mut plan = Plan::default();
        let written = put.iter().map(|(path, content)| (path, Some(hash(content))));
        for (path, after) in written.chain(delete.iter().map(|path| (path, None))) {
            let was_there = dir.symlink_metadata(path).is_ok_and(|it| !it.is_dir());
            plan.files.insert(path.clone(), Planned { kept: number(), was_there, after });
        }
        let above = |path: &String| path.match_indices('/').map(|it| it.0).collect::<Vec<_>>();
        for path in put.keys() {
            let folders = above(path).into_iter().map(|end| &path[..end]);
            plan.folders.extend(folders.filter(|it| dir.symlink_metadata(it).is_err()).map(str::to_owned));
        }
        plan
    }

    /// The number under which the former file is kept.
    pub(super) fn number(&self, path: &str) -> Option<usize> {
        self.files.get(path).map(|it| it.kept)
    }

    /// Writes it into the stage; from then on it counts.
    pub(super) fn write(&self, dir: &Dir, stage: &str) -> io::Result<()> {
        let mut file = dir.create(format!("{stage}/{HALF}"))?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        dir.open(stage)?.sync_all()?;
        dir.open(".")?.sync_all()
    }

    /// The change is made: nobody is to take it back.
    pub(super) fn is_made(dir: &Dir, stage: &str) -> io::Result<()> {
        dir.rename(format!("{stage}/{HALF}"), dir, format!("{stage}/{WHOLE}"))?;
        dir.open(stage)?.sync_all()
    }

    /// A change that was made is about to be taken back.
    pub(super) fn is_taken_back(dir: &Dir, stage: &str) -> io::Result<()> {
        match dir.rename(format!("{stage}/{WHOLE}"), dir, format!("{stage}/{HALF}")) {
            // It was not made wholly, and the plan counts already.
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(fault) => Err(fault),
            Ok(()) => dir.open(stage)?.sync_all(),
        }
    }

    /// Takes back what a change did that was cut off in the middle; false when there is nothing to take back. What
    /// somebody has written since is left alone.
    pub(super) fn take_back(dir: &Dir, stage: &Path) -> io::Result<bool> {
        let text = match dir.read(stage.join(HALF)) {
            Ok(text) => text,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(fault) => return Err(fault),
        };
        // Cut off while it was written: nothing was begun.
        let Ok(plan) = serde_json::from_slice::<Plan>(&text) else { return Ok(false) };
        for (path, planned) in &plan.files {
            planned.take_back(dir, stage, path)?;
        }
        for folder in plan.folders.iter().rev() {
            // Only one that is empty.
            let _ = dir.remove_dir(folder);
        }
        dir.open(".")?.sync_all()?;
        Ok(true)
    }
}

impl Planned {
    fn take_back(&self, dir: &Dir, stage: &Path, path: &str) -> io::Result<()> {
        let kept = stage.join(self.kept.to_string());
        let is_kept = dir.symlink_metadata(&kept).is_ok();
        let is_new = match content(dir, path) {
            Ok(there) => self.after.as_deref() == Some(&*hash(&there)),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => is_kept,
            Err(_) => false,
        };
        if !is_new {
            return Ok(());
        }
        if is_kept {
            if let Some((folder, _)) = path.rsplit_once('/') {
                dir.create_dir_all(folder)?;
            }
            return dir.rename(&kept, dir, path);
        }
        // What was there and is not kept was not touched.
        if self.was_there { Ok(()) } else { dir.remove_file(path) }
    }
}

fn content(dir: &Dir, path: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    dir.open(path)?.read_to_end(&mut content)?;
    Ok(content)
}
