//! Plugins that come in one file: new ones, and whole new versions of known ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::{Code, Error, Result, ScriptFault};
use crate::model::plugin_version::Authorship;
use crate::plugins::archive::{Ignored, Unpacked};
use crate::plugins::discovery::{self, Snapshot};
use crate::plugins::drafts::Files;
use crate::plugins::manifest;
use crate::plugins::sources;
use crate::plugins::status::PluginView;

use super::Manager;
use super::edit::{Edited, SourceChange};
use super::files::{folder_of, number_of};
use super::scan::{blocking, read_snapshot};
use super::slot::Slot;

/// What came of a plugin in one file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Uploaded {
    /// The plugin as it is now.
    pub plugin: PluginView,
    /// Whether it is new here.
    pub created: bool,
    /// What came of the change, when it is a version of a known plugin.
    pub edited: Option<Edited>,
    /// Why it does not run: file, line, excerpt.
    pub fault: Option<ScriptFault>,
    /// Permissions that it asks for and that wait for the admin's grant.
    pub waiting: Vec<String>,
    /// What is odd about it and does no harm.
    pub warnings: Vec<String>,
    /// Entries of the file that are no part of a plugin and were left out.
    pub ignored: Vec<Ignored>,
}

/// A plugin in one file, and what the client says of it.
#[derive(Debug, Default)]
pub struct Upload {
    /// What the file holds.
    pub unpacked: Unpacked,
    /// The name to give it, where its manifest says none.
    pub name: Option<String>,
    /// Whether it may take the place of a plugin that is there.
    pub replace: bool,
    /// The hash that plugin's files must have; none when the client named none.
    pub expected: Option<String>,
}

impl Manager {
    /// Takes up a plugin that came in one file: a new one gets its folder, is registered and loaded; a known one
    /// gets its files as one change, and those that are not in the file go.
    ///
    /// # Errors
    /// 422 when nothing in it makes a plugin; [`Code::PluginExists`] for a known name without `replace`;
    /// [`Code::PreconditionRequired`], [`Code::PreconditionFailed`] by its hash; as [`Manager::edit`].
    pub async fn upload(&self, upload: Upload, by: Authorship) -> Result<Uploaded> {
        let Upload { unpacked, name, replace, expected } = upload;
        let files = sources::overlay(&Files::new(), &unpacked.files, &BTreeSet::new())?;
        let snapshot = Snapshot::of(files.clone());
        let name = the_name(&snapshot, name, unpacked.folder.as_deref())?;
        let (env, limits) = (self.0.env.clone(), self.0.settings.limit_rules());
        let (of, read) = (name.clone(), snapshot.clone());
        // What cannot be told what it is does not even get a folder.
        let prepared = blocking(move || read_snapshot(&of, read, &env, &limits)).await?;
        let prepared = prepared.map_err(|fault| fault.into_error(&name))?;
        let warnings = prepared
            .manifest
            .warnings
            .iter()
            .chain(&prepared.snapshot.warnings)
            .map(ToString::to_string)
            .collect();
        let known = self.named(&name).filter(|it| it.read(|it| it.folder.is_some()));
        let edited = match known {
            None => {
                self.found(&name, files, &by).await?;
                None
            }
            Some(slot) if replace => Some(self.replace(&slot, files, expected, by).await?),
            Some(slot) => {
                let detail = format!("There is a plugin `{}` already.", slot.name);
                return Err(Error::new(Code::PluginExists, detail)
                    .with_hint("To give it these files, add ?replace=true and its `hash` as If-Match."));
            }
        };
        let slot = self.slot_named(&name)?;
        let fault = slot.read(|it| it.fault.clone()).filter(|_| slot.live().is_none());
        let waiting = self.waiting(&slot, &prepared.manifest.requested);
        Ok(Uploaded {
            plugin: slot.view(),
            created: edited.is_none(),
            edited,
            fault: fault.map(|it| it.script),
            waiting: waiting.0.keys().map(ToString::to_string).collect(),
            warnings,
            ignored: unpacked.ignored,
        })
    }

    /// Makes the folder of a new plugin and takes it up.
    async fn found(&self, name: &str, files: Files, by: &Authorship) -> Result<()> {
        let root = self.roots().first().cloned().ok_or_else(|| {
            Error::new(Code::Conflict, "The server has no plugin folder.")
                .with_hint("Name one in `plugin_dirs` in panotti.yaml.")
        })?;
        let (name, by) = (name.to_owned(), by.clone());
        self.alone(move |manager| async move {
            let hashes = files.iter().map(|(path, content)| (path.clone(), sources::hash(content)));
            let detail = json!({ "files": hashes.collect::<BTreeMap<_, _>>() });
            let (own, hash) = (name.clone(), Snapshot::of(files.clone()).hash);
            blocking(move || make_folder(&root, &own, &files)).await??;
            let author = by.author.clone();
            manager.note_author(&name, &hash, by);
            manager.look_again(Some(&BTreeSet::from([name.as_str().into()]))).await?;
            let slot = manager.slot_named(&name)?;
            manager.note(&slot, "plugin.upload", &author, detail).await
        })
        .await
    }

    /// Gives a known plugin other files, all at once.
    async fn replace(
        &self,
        slot: &Arc<Slot>,
        files: Files,
        expected: Option<String>,
        by: Authorship,
    ) -> Result<Edited> {
        let folder = folder_of(slot)?;
        let live = blocking(move || sources::read_all(&folder)).await??;
        let hash = Snapshot::of(live.clone()).hash;
        match expected {
            None => {
                let detail =
                    format!("The plugin `{}` is replaced only as the version that you know.", slot.name);
                return Err(Error::new(Code::PreconditionRequired, detail)
                    .with_hint(
                        "Send its `hash` in If-Match, in quotes; `*` takes the place of whatever is there.",
                    )
                    .with_member("etag", sources::etag(&hash)));
            }
            Some(expected) if expected != "*" && *expected != *hash => {
                let detail = format!("The files of the plugin `{}` have changed.", slot.name);
                return Err(
                    Error::new(Code::PreconditionFailed, detail).with_member("etag", sources::etag(&hash))
                );
            }
            Some(_) => {}
        }
        let change = SourceChange {
            delete: live.keys().filter(|it| !files.contains_key(*it)).cloned().collect(),
            expects: live.iter().map(|(path, it)| (path.clone(), Some(sources::hash(it).into()))).collect(),
            put: files,
        };
        self.save_files(&number_of(slot), change, by).await
    }

    fn slot_named(&self, name: &str) -> Result<Arc<Slot>> {
        self.named(name).ok_or_else(|| {
            Error::new(Code::PluginNotFound, format!("The plugin `{name}` was removed meanwhile."))
        })
    }
}

/// What a plugin in one file is called: by its manifest, else as the client says, else as its folder in the file.
fn the_name(snapshot: &Snapshot, asked: Option<String>, folder: Option<&str>) -> Result<String> {
    let declared = manifest::declared_name(snapshot);
    if let (Some(declared), Some(asked)) = (&declared, &asked)
        && declared != asked
    {
        let detail = format!(
            "The manifest says that the plugin is `{}`, the query says `{}`.",
            declared.escape_debug(),
            asked.escape_debug()
        );
        return Err(Error::new(Code::Invalid, detail).with_hint("Leave ?name= out, or correct the manifest."));
    }
    let name = declared.or(asked).or_else(|| folder.map(str::to_owned)).ok_or_else(|| {
        Error::new(Code::Invalid, "Nothing says what the plugin is called.")
            .with_hint("Add ?name=, `name` in plugin.yaml, or put its files into one folder of that name.")
    })?;
    if !discovery::is_plugin_name(&name) {
        let shown: String = name.chars().take(80).collect();
        let detail = format!("A plugin cannot be called `{}`.", shown.escape_debug());
        return Err(Error::new(Code::Invalid, detail).with_hint(
            "Use a-z, 0-9, _ and -, starting with a letter or digit, at most 64 characters: ?name=.",
        ));
    }
    Ok(name)
}

/// Makes a plugin's folder with its files under a hidden name first: it is there as a whole, or not at all.
fn make_folder(root: &Path, name: &str, files: &Files) -> Result<()> {
    let refused = |fault: std::io::Error| sources::io_error(name, fault);
    std::fs::create_dir_all(root).map_err(refused)?;
    let dir = Dir::open_ambient_dir(root, ambient_authority()).map_err(refused)?;
    if dir.symlink_metadata(name).is_ok() {
        let detail = format!("Something stands in the plugin folder under the name `{name}` already.");
        return Err(Error::new(Code::PluginExists, detail)
            .with_hint("POST /api/v1/plugins/rescan takes up a folder that was put there."));
    }
    let hidden = format!("{}{}", sources::STAGE_PREFIX, uuid::Uuid::new_v4().simple());
    dir.create_dir(&hidden).map_err(refused)?;
    let stage: PathBuf = root.join(&hidden);
    let made = sources::apply(&stage, files, &BTreeSet::new()).and_then(|kept| {
        drop(kept);
        let placed = dir.rename(&hidden, &dir, name).and_then(|()| dir.open(".")?.sync_all());
        placed.map_err(refused)
    });
    if made.is_err() {
        // The next start sweeps what cannot be removed now.
        let _ = dir.remove_dir_all(&hidden);
    }
    made
}
