//! `require` over one snapshot of a plugin's files, its `lua_modules/`, and the shared modules of the host.

use std::collections::BTreeMap;
use std::sync::Arc;

use mlua::{Function, Lua, MultiValue, Value};
use parking_lot::Mutex;

use super::fault;
use super::guards;
use super::library::TEST;
use super::prelude::Part;

/// Source text of one file, at most.
pub const MAX_FILE_BYTES: usize = 256 << 10;

/// Source text of all files of a plugin, at most.
pub const MAX_SOURCE_BYTES: usize = 1 << 20;

/// The host answers (true, value), or (false, message, level): at level 2 an error points at the script's line, at level 0 it
/// has its place already. It is a text in either case, as an error of the script's own is.
static GLUE: Part = Part::new(
    "require",
    "local host = ...
return function(name)
	local ok, value, level = host(name)
	if ok then return value end
	error(value, level)
end",
);

/// Whether `require` found what it was to give, what it gives or why not, and where an error of it points.
type Found = (bool, Value, u8);

/// The module of tests.
const TEST_FILE: &str = "@panotti/test.luau";

/// Where a test's VM keeps the way to whoever runs the tests.
pub(super) const EXAMINER: &str = "panotti.examiner";

/// The shared modules of the host, which plugins require as `@panotti/<name>`: path below `scripts/lib` and source.
pub type Library = BTreeMap<&'static str, &'static str>;

/// A plugin's files and what was required from them in one VM.
pub struct Modules {
    files: Arc<BTreeMap<String, Arc<[u8]>>>,
    library: Arc<Library>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: BTreeMap<String, Option<Value>>,
    loading: Vec<String>,
    /// What the last module that failed said, and the traceback that led there: the text alone goes on.
    failed: Option<(String, String)>,
}

impl Modules {
    /// The modules of one VM over a snapshot of files.
    pub fn new(files: Arc<BTreeMap<String, Arc<[u8]>>>, library: Arc<Library>) -> Arc<Self> {
        Arc::new(Modules { files, library, state: Mutex::default() })
    }

    /// Puts `require` into a VM, before its sandbox closes.
    pub(super) fn install(self: &Arc<Self>, lua: &Lua) -> mlua::Result<()> {
        let modules = Arc::clone(self);
        let host = lua.create_function(move |lua, name: Value| modules.require(lua, name))?;
        let require: Function = GLUE.run(lua, host)?;
        lua.globals().raw_set("require", require)
    }

    /// The text of a file of the snapshot, for excerpts.
    pub fn text(&self, path: &str) -> Option<&str> {
        if let Some(name) = path.strip_prefix("@panotti/") {
            return self.library.get(name).copied();
        }
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    /// The traceback within a module that failed with `text`.
    pub(super) fn traceback_of(&self, text: &str) -> Option<String> {
        let state = self.state.lock();
        state.failed.as_ref().filter(|(failed, _)| failed == text).map(|(_, traceback)| traceback.clone())
    }

    /// Checks the whole snapshot, before anything of it is compiled.
    ///
    /// # Errors
    /// There is more source text than a plugin may have.
    pub fn check(&self) -> mlua::Result<()> {
        let sources = self.files.iter().filter(|(path, _)| path.ends_with(".lua") || path.ends_with(".luau"));
        if sources.map(|(_, bytes)| bytes.len()).sum::<usize>() > MAX_SOURCE_BYTES {
            let what =
                format!("the plugin's source files are larger than {} KiB together", MAX_SOURCE_BYTES >> 10);
            return Err(mlua::Error::SyntaxError { message: what, incomplete_input: false });
        }
        Ok(())
    }

    /// Compiles a file, without running it.
    ///
    /// # Errors
    /// It is too large, is bytecode, or does not compile.
    pub fn compile(&self, lua: &Lua, path: &str) -> mlua::Result<Function> {
        let bytes: &[u8] = match path.strip_prefix("@panotti/") {
            Some(name) => self.library.get(name).map(|it| it.as_bytes()),
            None => self.files.get(path).map(|it| &**it),
        }
        .ok_or_else(|| mlua::Error::runtime(format!("there is no file {path}")))?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(syntax(path, &format!("the file is larger than {} KiB", MAX_FILE_BYTES >> 10)));
        }
        // Compiled code begins with a version byte, text never with a control character.
        if bytes.first().is_some_and(|it| *it < 9) || std::str::from_utf8(bytes).is_err() {
            return Err(syntax(path, "the file is not UTF-8 source text"));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        lua.load(bytes).set_name(format!("={path}")).set_mode(mlua::chunk::ChunkMode::Text).into_function()
    }

    #[allow(clippy::disallowed_methods)] // runs within the call that requires
    fn require(&self, lua: &Lua, name: Value) -> mlua::Result<Found> {
        let fail = |text: String| Ok((false, Value::String(lua.create_string(text)?), 2));
        let name = match &name {
            Value::String(it) => it.to_string_lossy(),
            other => return fail(format!("require: the name must be a string, got {}", other.type_name())),
        };
        let caller = calling_chunk(lua);
        let path = match self.resolve(&name, caller.as_deref()) {
            Ok(path) => path,
            Err(text) => return fail(text),
        };
        {
            let mut state = self.state.lock();
            if let Some(value) = state.loaded.get(&path) {
                return Ok((true, value.clone().unwrap_or(Value::Boolean(true)), 0));
            }
            if let Some(from) = state.loading.iter().position(|it| *it == path) {
                let mut cycle = state.loading[from..].to_vec();
                cycle.push(path);
                return fail(format!("require: these modules need each other: {}", cycle.join(" -> ")));
            }
            if state.loading.is_empty() {
                state.failed = None;
            }
            state.loading.push(path.clone());
        }
        // The module of tests is given its way to whoever runs them; there is none anywhere else.
        let tests = if path == TEST_FILE { lua.named_registry_value(EXAMINER)? } else { Value::Nil };
        let value =
            self.compile(lua, &path).and_then(|chunk| chunk.call::<MultiValue>((name.as_str(), tests)));
        let mut state = self.state.lock();
        state.loading.retain(|it| *it != path);
        let value = match value {
            Ok(values) => values.into_iter().next().filter(|it| !it.is_nil()),
            Err(error) if fault::is_memory(&error) || fault::is_stack(&error) => return Err(error),
            Err(error) => {
                let (text, traceback) = fault::split(&error);
                let raised = Value::String(lua.create_string(&text)?);
                // Where it went wrong is in the innermost, which failed first.
                if state.failed.as_ref().is_none_or(|(failed, _)| *failed != text) {
                    state.failed = Some((text, traceback));
                }
                return Ok((false, raised, 0));
            }
        };
        state.loaded.insert(path, value.clone());
        Ok((true, value.unwrap_or(Value::Boolean(true)), 0))
    }

    /// The path of the file that `name` stands for when `caller` asks.
    pub(super) fn resolve(&self, name: &str, caller: Option<&str>) -> Result<String, String> {
        if let Some(shared) = name.strip_prefix("@panotti/") {
            for ending in ["", ".luau", ".lua"] {
                let path = format!("{shared}{ending}");
                if self.library.contains_key(path.as_str()) {
                    return Ok(format!("@panotti/{path}"));
                }
            }
            if name == TEST {
                return Err(format!(
                    "require: '{TEST}' is there in tests only: *_test.lua, *.test.lua and tests/*.lua, which `panotti test` runs"
                ));
            }
            return Err(not_found(name, &[], self.library.keys().map(|it| format!("@panotti/{it}"))));
        }
        let relative = name.starts_with("./") || name.starts_with("../");
        let base = match (relative, caller) {
            (true, Some(caller)) => caller.rsplit_once('/').map_or("", |(folder, _)| folder),
            _ => "",
        };
        let spelt = if relative || name.contains('/') { name.to_owned() } else { name.replace('.', "/") };
        let stem = join(base, &spelt).ok_or_else(|| {
            format!(
                "require: '{}' leaves the plugin's folder; require finds the plugin's own files only",
                shown(name)
            )
        })?;
        let mut roots = vec![String::new()];
        if !relative {
            roots.push("lua_modules/".to_owned());
            // A module of lua_modules finds its own parts as it would when installed elsewhere.
            if let Some(rest) = caller.and_then(|it| it.strip_prefix("lua_modules/"))
                && let Some((package, _)) = rest.split_once('/')
            {
                roots.push(format!("lua_modules/{package}/"));
            }
        }
        let mut tried = Vec::new();
        for root in roots {
            for ending in [".lua", ".luau", "/init.lua", "/init.luau", ""] {
                let path = format!("{root}{stem}{ending}");
                let is_source = path.ends_with(".lua") || path.ends_with(".luau");
                if is_source && self.files.contains_key(&path) {
                    return Ok(path);
                }
                if ending == ".lua" {
                    tried.push(path);
                }
            }
        }
        let sources = self.files.keys().filter(|it| it.ends_with(".lua") || it.ends_with(".luau"));
        Err(not_found(name, &tried, sources.cloned()))
    }
}

/// The file of the script that called `require`.
fn calling_chunk(lua: &Lua) -> Option<String> {
    // Level 0 is the host's function, 1 its glue, 2 the script.
    lua.inspect_stack(2, |it| it.source().short_src.map(|it| it.into_owned())).flatten()
}

/// `base` and `spelt` as one clean path; none when it would leave the folder.
fn join(base: &str, spelt: &str) -> Option<String> {
    if spelt.starts_with('/') || spelt.contains(['\\', '\0', ':']) {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').filter(|it| !it.is_empty()).collect();
    for part in spelt.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn not_found(name: &str, tried: &[String], known: impl Iterator<Item = String>) -> String {
    let mut text = format!("require: there is no module '{}'", shown(name));
    if let Some(instead) = guards::hint_for(name) {
        text.push_str(&format!("; {instead}"));
    }
    let wanted = name.rsplit(['/', '.']).next().unwrap_or(name);
    let near = known
        .map(|path| {
            let stem = path.rsplit('/').next().unwrap_or(&path).split('.').next().unwrap_or("").to_owned();
            (strsim::damerau_levenshtein(wanted, &stem), path)
        })
        .filter(|(distance, _)| *distance <= 2)
        .min();
    if let Some((_, path)) = near {
        text.push_str(&format!(" (there is {path})"));
    } else if !tried.is_empty() {
        text.push_str(&format!("; looked for {}", tried.join(", ")));
    }
    text
}

fn shown(name: &str) -> String {
    name.chars().take(128).flat_map(char::escape_debug).collect()
}

fn syntax(path: &str, what: &str) -> mlua::Error {
    mlua::Error::SyntaxError { message: format!("{path}:1: {what}"), incomplete_input: false }
}
