//! What the functions of a script look at: a second argument, and which fields of the first. What nobody looks at is not made.
//!
//! The fields are read from the script's text, by somebody outside ([`FieldReader`]) and in the background, once a function is
//! called often; until then, and where the text does not say it, it is given all of them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use mlua::Function;

use super::require::Modules;

/// A function that was called so often is called often.
const OFTEN: u32 = 64;

/// Reads the text of a script; whatever it does not tell of is given all fields.
pub type FieldReader = fn(text: &str) -> Vec<FieldsRead>;

/// What one function of a script looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldsRead {
    /// Its first line, from 1; no other function of the file begins there.
    pub line: u32,
    /// The fields of its first argument that it uses at all; nobody sees the others.
    pub fields: Vec<FieldRead>,
}

/// A field that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRead {
    /// Its name.
    pub name: String,
    /// The fields within it that are looked at; none = all there are.
    pub inside: Option<Vec<FieldRead>>,
}

/// The fields that are wanted; all of them where there are none.
pub(super) type Fields = Option<Arc<[FieldRead]>>;

type File = Arc<OnceLock<Vec<FieldsRead>>>;

/// What is known of the functions of one VM, by slot.
#[derive(Default)]
pub(super) struct Wants {
    slots: Vec<Option<Slot>>,
    files: HashMap<String, File>,
}

/// What a function is to be given.
pub(super) struct Wanted<'a> {
    /// A second argument.
    pub(super) ctx: bool,
    /// Of the first.
    pub(super) fields: Option<&'a [FieldRead]>,
}

struct Slot {
    ctx: bool,
    fields: Known,
}

enum Known {
    /// It was called so often.
    Calls(u32),
    /// Its file is being read; it begins in this line.
    Asked(File, u32),
    Fields(Fields),
}

/// How scripts are read in the background.
pub struct Reading {
    /// Reads them.
    pub read: FieldReader,
    /// Where that takes its time.
    pub runtime: tokio::runtime::Handle,
}

impl Wants {
    /// Whether a function was never asked for before.
    pub(super) fn is_new(&self, slot: u32) -> bool {
        !matches!(self.slots.get(slot as usize), Some(Some(_)))
    }

    /// What the function in a slot is to be given this time.
    pub(super) fn of(
        &mut self,
        slot: u32,
        function: &Function,
        reading: Option<&Reading>,
        modules: &Arc<Modules>,
    ) -> Wanted<'_> {
        let at = slot as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        let known =
            self.slots[at].get_or_insert_with(|| Slot { ctx: takes_two(function), fields: Known::Calls(0) });
        let next = match &mut known.fields {
            Known::Calls(calls) if *calls < OFTEN => {
                *calls += 1;
                None
            }
            Known::Calls(_) => Some(match (reading, place_of(function)) {
                (Some(reading), Some((path, line))) => {
                    Known::Asked(read_once(&mut self.files, path, reading, modules), line)
                }
                _ => Known::Fields(None),
            }),
            Known::Asked(file, line) => file.get().map(|all| Known::Fields(fields_at(all, *line))),
            Known::Fields(_) => None,
        };
        if let Some(next) = next {
            known.fields = next;
        }
        let fields = match &known.fields {
            Known::Fields(fields) => fields.as_deref(),
            Known::Calls(_) | Known::Asked(..) => None,
        };
        Wanted { ctx: known.ctx, fields }
    }
}

/// Has a file read, unless it was before.
fn read_once(
    files: &mut HashMap<String, File>,
    path: String,
    reading: &Reading,
    modules: &Arc<Modules>,
) -> File {
    if let Some(known) = files.get(&path) {
        return Arc::clone(known);
    }
    let file = File::default();
    files.insert(path.clone(), Arc::clone(&file));
    let (read, modules, told) = (reading.read, Arc::clone(modules), Arc::clone(&file));
    reading.runtime.spawn_blocking(move || {
        let text = modules.text(&path).unwrap_or_default();
        let _ = told.set(read(text.trim_start_matches('\u{feff}')));
    });
    file
}

fn fields_at(all: &[FieldsRead], line: u32) -> Fields {
    let found = all.iter().find(|it| it.line == line)?;
    Some(found.fields.as_slice().into())
}

/// The file of a function and the line in which it begins.
fn place_of(function: &Function) -> Option<(String, u32)> {
    let info = function.info();
    let path = info.source?.strip_prefix('=')?.to_owned();
    // The host's own parts have names, too.
    let is_file = path.ends_with(".lua") || path.ends_with(".luau") || path.starts_with("@panotti/");
    if !is_file {
        return None;
    }
    Some((path, u32::try_from(info.line_defined?).ok()?))
}

/// Whether a function looks at a second argument.
fn takes_two(function: &Function) -> bool {
    let info = function.info();
    info.is_vararg || info.num_params >= 2
}
