//! A change of a plugin's files: all of it, or none.
//!
//! New contents are written and synced in a hidden folder first, what they take the place of is kept there until
//! nobody can want it back; then each file is put in its place by one rename. A plan in that folder says what is being
//! done: the next start takes back what the end of the process cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions, Permissions};

use crate::error::{Code, Error, Result};

use super::path::{check, inside};
use super::plan::Plan;
use super::sweep::STAGE_PREFIX;
use super::{io_error, tree};

/// A change that was made and can be taken back; dropped, it stays.
#[must_use = "dropped at once, the change cannot be taken back"]
pub struct Undo {
    dir: Dir,
    stage: String,
    done: Vec<Step>,
}

/// What was done, in its order.
enum Step {
    /// A file was made where none was.
    Made { path: String },
    /// A file was put in the place of another one, or taken away; that one is in the stage under this number.
    Kept { path: String, number: usize },
    /// A folder was made.
    FolderMade { path: String },
    /// An empty folder was removed.
    FolderRemoved { path: String, mode: Permissions },
}

/// Writes `put` and removes `delete` in the plugin's folder; folders come and go as they are needed.
///
/// # Errors
/// A path is none of a plugin's; something stands in the way; the disk. Nothing is changed then.
pub fn apply(folder: &Path, put: &BTreeMap<String, Arc<[u8]>>, delete: &BTreeSet<String>) -> Result<Undo> {
    apply_until(folder, put, delete, usize::MAX)
}

/// As [`apply`]; a test lets the disk be full at step `full_at`.
pub(super) fn apply_until(
    folder: &Path,
    put: &BTreeMap<String, Arc<[u8]>>,
    delete: &BTreeSet<String>,
    full_at: usize,
) -> Result<Undo> {
    match attempt(folder, put, delete, full_at)? {
        (undo, Ok(())) => Ok(undo),
        (undo, Err((path, fault))) => {
            let error = io_error(&path, fault);
            undo.undo()?;
            Err(error)
        }
    }
}

/// Goes on until `full_at`, and takes nothing back.
pub(super) fn attempt(
    folder: &Path,
    put: &BTreeMap<String, Arc<[u8]>>,
    delete: &BTreeSet<String>,
    full_at: usize,
) -> Result<(Undo, std::result::Result<(), Fault>)> {
    for path in put.keys() {
        check(path)?;
    }
    for path in delete {
        inside(path)?;
    }
    let dir = tree::open(folder)?;
    let stage = format!("{STAGE_PREFIX}{}", uuid::Uuid::new_v4().simple());
    let undo = Undo { dir, stage, done: Vec::new() };
    let mut change = Change { undo, plan: Plan::default(), numbers: 0, left: full_at };
    let made = change.make(put, delete);
    Ok((change.undo, made))
}

impl Undo {
    /// As if the process had ended half way back.
    #[cfg(test)]
    pub(super) fn cut_off(self, is_on_its_way_back: bool) {
        if is_on_its_way_back {
            Plan::is_taken_back(&self.dir, &self.stage).unwrap();
        }
        std::mem::forget(self);
    }

    /// Takes the change back: the folder is as it was.
    ///
    /// # Errors
    /// The disk's; what was there before then lies in a hidden folder beside the files, named in the error.
    pub fn undo(mut self) -> Result<()> {
        let mut touched = BTreeSet::new();
        Plan::is_taken_back(&self.dir, &self.stage).map_err(|fault| io_error("", fault))?;
        for step in std::mem::take(&mut self.done).into_iter().rev() {
            let path = step.path().to_owned();
            if let Err(fault) = self.take_back(step) {
                let kept = self.stage.replacen(STAGE_PREFIX, ".lost-", 1);
                // Under another name the sweep leaves it alone.
                let _ = self.dir.rename(&self.stage, &self.dir, &kept);
                let detail = format!(
                    "A change of the plugin's files failed at `{}` and could not be taken back; the former files lie in `{kept}`.",
                    path.escape_debug()
                );
                log::error!("{detail} {fault}");
                return Err(Error { source: Some(fault.into()), ..Error::new(Code::Internal, detail) });
            }
            touched.insert(folder_of(&path).to_owned());
        }
        sync(&self.dir, &touched).map_err(|fault| io_error("", fault))
    }

    fn take_back(&self, step: Step) -> io::Result<()> {
        match step {
            Step::Made { path } => self.dir.remove_file(path),
            Step::Kept { path, number } => self.dir.rename(self.staged(number), &self.dir, path),
            Step::FolderMade { path } => self.dir.remove_dir(path),
            Step::FolderRemoved { path, mode } => {
                self.dir.create_dir(&path)?;
                self.dir.set_permissions(&path, mode)
            }
        }
    }

    fn staged(&self, number: usize) -> String {
        format!("{}/{number}", self.stage)
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        match self.dir.remove_dir_all(&self.stage) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
                log::warn!("the folder {} stays until the next start: {fault}", self.stage);
            }
            _ => {}
        }
    }
}

impl Step {
    fn path(&self) -> &str {
        match self {
            Step::Made { path }
            | Step::Kept { path, .. }
            | Step::FolderMade { path }
            | Step::FolderRemoved { path, .. } => path,
        }
    }
}

/// A change under way.
struct Change {
    undo: Undo,
    plan: Plan,
    numbers: usize,
    left: usize,
}

/// A path and what the disk says of it.
pub(super) type Fault = (String, io::Error);

impl Change {
    fn make(
        &mut self,
        put: &BTreeMap<String, Arc<[u8]>>,
        delete: &BTreeSet<String>,
    ) -> std::result::Result<(), Fault> {
        self.step()
            .and_then(|()| self.undo.dir.create_dir(&self.undo.stage))
            .map_err(|it| (String::new(), it))?;
        let mut staged = Vec::new();
        for (path, content) in put {
            staged.push((path, self.write(path, content).map_err(|it| (path.clone(), it))?));
        }
        let numbers = &mut self.numbers;
        self.plan = Plan::of(&self.undo.dir, put, delete, || {
            *numbers += 1;
            *numbers
        });
        self.step()
            .and_then(|()| self.plan.write(&self.undo.dir, &self.undo.stage))
            .map_err(|it| (String::new(), it))?;
        let mut touched = BTreeSet::new();
        for path in delete {
            let gone = self.take_away(path, &mut touched);
            gone.map_err(|it| (path.clone(), it))?;
        }
        for (path, number) in staged {
            let placed = self.place(path, number, &mut touched);
            placed.map_err(|it| (path.clone(), it))?;
        }
        self.step()
            .and_then(|()| sync(&self.undo.dir, &touched))
            .and_then(|()| Plan::is_made(&self.undo.dir, &self.undo.stage))
            .map_err(|it| (String::new(), it))
    }

    /// Writes a content into the stage, with the mode of the file it takes the place of.
    fn write(&mut self, path: &str, content: &[u8]) -> io::Result<usize> {
        self.step()?;
        let number = self.number();
        let mut file = self
            .undo
            .dir
            .open_with(self.undo.staged(number), OpenOptions::new().write(true).create_new(true))?;
        file.write_all(content)?;
        if let Some((folder, name)) = tree::parent(&self.undo.dir, path)?
            && let Ok(former) = folder.symlink_metadata(name)
            && former.is_file()
        {
            file.set_permissions(former.permissions())?;
        }
        file.sync_all()?;
        Ok(number)
    }

    /// Moves a file into the stage, and removes the folders that it leaves empty.
    fn take_away(&mut self, path: &str, touched: &mut BTreeSet<String>) -> io::Result<()> {
        let Some((folder, name)) = tree::parent(&self.undo.dir, path)? else { return Ok(()) };
        match folder.symlink_metadata(name) {
            Ok(kind) if kind.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(_) => {}
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(fault) => return Err(fault),
        }
        self.step()?;
        let number = self.kept_as(path);
        self.undo.dir.rename(path, &self.undo.dir, self.undo.staged(number))?;
        self.undo.done.push(Step::Kept { path: path.to_owned(), number });
        let mut left = folder_of(path);
        while !left.is_empty() {
            let mode = self.undo.dir.metadata(left)?.permissions();
            self.step()?;
            match self.undo.dir.remove_dir(left) {
                Ok(()) => self.undo.done.push(Step::FolderRemoved { path: left.to_owned(), mode }),
                Err(fault) if fault.kind() == io::ErrorKind::DirectoryNotEmpty => break,
                Err(fault) => return Err(fault),
            }
            touched.remove(left);
            left = folder_of(left);
        }
        touched.insert(left.to_owned());
        Ok(())
    }

    /// Puts a staged content in its place.
    fn place(&mut self, path: &str, staged: usize, touched: &mut BTreeSet<String>) -> io::Result<()> {
        for (end, _) in path.match_indices('/') {
            let folder = &path[..end];
            match self.undo.dir.symlink_metadata(folder) {
                Ok(kind) if kind.is_dir() => continue,
                Ok(_) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
                Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
                Err(fault) => return Err(fault),
            }
            self.step()?;
            self.undo.dir.create_dir(folder)?;
            self.undo.done.push(Step::FolderMade { path: folder.to_owned() });
            touched.insert(folder_of(folder).to_owned());
        }
        touched.insert(folder_of(path).to_owned());
        match self.undo.dir.symlink_metadata(path) {
            Ok(kind) if kind.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(_) => {
                self.step()?;
                let number = self.kept_as(path);
                self.keep(path, number)?;
                self.undo.dir.rename(self.undo.staged(staged), &self.undo.dir, path)?;
                self.undo.done.push(Step::Kept { path: path.to_owned(), number });
            }
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                self.step()?;
                self.undo.dir.rename(self.undo.staged(staged), &self.undo.dir, path)?;
                self.undo.done.push(Step::Made { path: path.to_owned() });
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Keeps a file that is about to be replaced; it stays in its place until then.
    fn keep(&self, path: &str, number: usize) -> io::Result<()> {
        let (dir, kept) = (&self.undo.dir, self.undo.staged(number));
        match dir.hard_link(path, dir, &kept) {
            Err(_) if dir.symlink_metadata(path)?.is_file() => {
                // A disk without hard links.
                dir.copy(path, dir, &kept)?;
                dir.open(&kept)?.sync_all()
            }
            kept => kept,
        }
    }

    fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    /// Under which number the stage keeps the former file.
    fn kept_as(&mut self, path: &str) -> usize {
        self.plan.number(path).unwrap_or_else(|| self.number())
    }

    fn step(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(())
    }
}

/// The folder a path lies in; empty for the plugin's own.
fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Makes new and gone names of folders durable; those that are gone themselves need none.
fn sync(dir: &Dir, folders: &BTreeSet<String>) -> io::Result<()> {
    for folder in folders {
        let path = if folder.is_empty() { "." } else { folder };
        match dir.open(path) {
            Ok(it) => it.sync_all()?,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}
