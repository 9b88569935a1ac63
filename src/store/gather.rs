//! The log of the connection that writes, written in one piece for each commit.
//!
//! `SQLite` writes each page of a commit to its log by itself, and 24 bytes before it: a hundred system calls and more,
//! which take longer than the flush that follows. Here they are gathered and handed on when the commit's last page comes, or
//! whenever somebody asks what the file holds. So the file is at every commit, and at every read, as it would be without.
//!
//! It is a layer over the system's file functions (a `VFS`) that looks at logs; databases, locks and shared memory are the
//! system's own as before, but that a database file can be flushed by itself ([`FLUSH`]). `SQLite` takes such a layer as C
//! functions: this module, `direct.rs` and the watchdog are those with `unsafe`.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::OnceLock;

use parking_lot::Mutex;

use libsqlite3_sys as ffi;

use crate::error::{Error, Result};

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;

/// The layer's name, as a part of the address of a database.
const NAME: &CStr = c"panotti-gather";

/// What is gathered at most; a large transaction is handed on in pieces of this size.
const MOST_BYTES: usize = 1 << 20;

/// The system's functions take less than 128 KiB at once: of a length they look at 17 bits.
const MOST_AT_ONCE: usize = 120 << 10;

/// Buffers are kept up to here between commits.
const KEPT_BYTES: usize = 512 << 10;

/// What is before each page in the log: among others, in its second number, the pages of the database after this
/// commit; 0 if it is not the last page of one.
const FRAME_HEADER: usize = 24;

/// The statement that flushes the database file: `SQLite` does it only when all of the log is in the file, with whoever writes
/// waiting for it.
pub(super) const FLUSH: &str = "PRAGMA panotti_flush";

/// The address under which a database is opened so that its log is gathered.
///
/// # Errors
/// The path is not UTF-8, or the layer cannot be put in place.
pub(super) fn address(path: &Path) -> Result<String> {
    static READY: OnceLock<bool> = OnceLock::new();
    let path = path.to_str().ok_or_else(|| Error::internal("the database's path is not UTF-8"))?;
    if !*READY.get_or_init(register) {
        return Err(Error::internal("SQLite has no file functions to build on"));
    }
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let root = if path.starts_with('/') { "//" } else { "" };
    Ok(format!("file:{root}{path}?vfs={}", NAME.to_string_lossy()))
}

/// Writes that follow each other and have not been handed on.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    /// Where they begin; where the last ones ended that were handed on, while there are none.
    at: i64,
    /// The last page of a commit comes, or came: nothing after it is held back until the next one begins.
    is_commit: bool,
}

/// Hands bytes on to the file, to this place.
type HandOn<'a> = dyn FnMut(&[u8], i64) -> c_int + 'a;

impl Gathered {
    fn write(&mut self, data: &[u8], at: i64, on: &mut HandOn<'_>) -> c_int {
        let follows = at == self.at.saturating_add_unsigned(self.bytes.len() as u64);
        if !follows || self.bytes.len() + data.len() > MOST_BYTES {
            let result = self.hand_on(on);
            if result != ffi::SQLITE_OK {
                return result;
            }
        }
        if self.bytes.is_empty() {
            self.at = at;
        }
        self.bytes.extend_from_slice(data);
        let is_header = data.len() == FRAME_HEADER;
        match data {
            [_, _, _, _, pages @ ..] if is_header => self.is_commit = pages[..4] != [0; 4],
            // The log's own header: it begins anew.
            _ if at == 0 => self.is_commit = false,
            _ => {}
        }
        // A header that is written anew, for pages before it have changed, has its page already: nothing follows.
        let page_follows = is_header && follows;
        if self.is_commit && !page_follows { self.hand_on(on) } else { ffi::SQLITE_OK }
    }

    /// Hands on what there is. What cannot be written belongs to a commit that fails with it.
    fn hand_on(&mut self, on: &mut HandOn<'_>) -> c_int {
        if self.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        let result = on(&self.bytes, self.at);
        self.at = self.at.saturating_add_unsigned(self.bytes.len() as u64);
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        result
    }
}

/// A log as `SQLite` holds it; the system's own file lies behind it in the same piece of memory.
#[repr(C)]
struct File {
    /// What `SQLite` sees; it comes first.
    base: ffi::sqlite3_file,
    gathered: *mut Gathered,
    real: *mut ffi::sqlite3_file,
}

/// Where the system's own file begins: behind ours, at a multiple of 8 as `SQLite` gives ours.
const BEHIND: usize = size_of::<File>().next_multiple_of(8);

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Puts the layer beside the system's file functions, under its own name.
fn register() -> bool {
    // SAFETY: the default layer is never taken away. What is registered is a copy of it that is never freed; its functions do
    // not look at the layer they are called with.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        if system.is_null() {
            return false;
        }
        let layer = Box::new(ffi::sqlite3_vfs {
            szOsFile: (*system).szOsFile + BEHIND as c_int,
            pNext: std::ptr::null_mut(),
            zName: NAME.as_ptr(),
            pAppData: system.cast(),
            xOpen: Some(open),
            ..*system
        });
        ffi::sqlite3_vfs_register(Box::into_raw(layer), 0) == ffi::SQLITE_OK
    }
}

unsafe extern "C" fn open(
    layer: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: `file` has room for ours and the system's own behind it (`szOsFile`), and `pAppData` is the system's layer.
    unsafe {
        let system = (*layer).pAppData.cast::<ffi::sqlite3_vfs>();
        let Some(open) = (*system).xOpen else { return ffi::SQLITE_CANTOPEN };
        if flags & ffi::SQLITE_OPEN_WAL == 0 {
            let result = open(system, name, file, flags, out);
            if result == ffi::SQLITE_OK && flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
                (*file).pMethods = std::ptr::from_ref(Flushing::over((*file).pMethods)).cast();
            }
            return result;
        }
        (*file).pMethods = std::ptr::null();
        let real = file.byte_add(BEHIND);
        (*real).pMethods = std::ptr::null();
        let result = open(system, name, real, flags, out);
        if result != ffi::SQLITE_OK {
            if let Some(close) = (*real).pMethods.as_ref().and_then(|it| it.xClose) {
                close(real);
            }
            return result;
        }
        let gathered = Box::into_raw(Box::<Gathered>::default());
        file.cast::<File>().write(File { base: ffi::sqlite3_file { pMethods: &METHODS }, gathered, real });
        ffi::SQLITE_OK
    }
}

/// The system's functions for database files, which know one statement more.
#[repr(C)]
struct Flushing {
    /// What `SQLite` sees; it comes first.
    methods: ffi::sqlite3_io_methods,
    system: &'static ffi::sqlite3_io_methods,
}

impl Flushing {
    /// Over these functions of the system; it has several sets of them, for different kinds of locks.
    ///
    /// # Safety
    /// `system` is one of them.
    unsafe fn over(system: *const ffi::sqlite3_io_methods) -> &'static Flushing {
        static KNOWN: Mutex<Vec<&Flushing>> = Mutex::new(Vec::new());
        let mut known = KNOWN.lock();
        if let Some(found) = known.iter().find(|it| std::ptr::eq(it.system, system)) {
            return found;
        }
        // SAFETY: the system's functions are never taken away.
        let system = unsafe { &*system };
        let methods = ffi::sqlite3_io_methods { xFileControl: Some(database_control), ..*system };
        let made: &Flushing = Box::leak(Box::new(Flushing { methods, system }));
        known.push(made);
        made
    }
}

unsafe extern "C" fn database_control(file: *mut ffi::sqlite3_file, what: c_int, with: *mut c_void) -> c_int {
    // SAFETY: the file's functions are those that `open` gave it. With a pragma comes a place for an answer, its name and its
    // value.
    unsafe {
        let system = (*(*file).pMethods.cast::<Flushing>()).system;
        if what == ffi::SQLITE_FCNTL_PRAGMA {
            let name = *with.cast::<*const c_char>().add(1);
            if CStr::from_ptr(name).to_str().is_ok_and(|it| FLUSH.strip_prefix("PRAGMA ") == Some(it)) {
                #[cfg(test)]
                tests::FLUSHES.with(|it| it.set(it.get() + 1));
                let flush = ffi::SQLITE_SYNC_NORMAL | ffi::SQLITE_SYNC_DATAONLY;
                return system.xSync.map_or(ffi::SQLITE_IOERR_FSYNC, |sync| sync(file, flush));
            }
        }
        system.xFileControl.map_or(ffi::SQLITE_NOTFOUND, |control| control(file, what, with))
    }
}

/// Calls a function of the system's own file, behind everything that was gathered.
macro_rules! real {
    ($file:expr, $method:ident ( $($arg:expr),* )) => {{
        let own = $file.cast::<File>();
        // SAFETY: `SQLite` calls these functions only with a file that `open` has made, and with one at a time.
        unsafe {
            let (gathered, real) = (&mut *(*own).gathered, (*own).real);
            match gathered.hand_on(&mut |bytes, at| put(real, bytes, at)) {
                ffi::SQLITE_OK => match (*(*real).pMethods).$method {
                    Some(method) => method(real $(, $arg)*),
                    None => ffi::SQLITE_IOERR,
                },
                failed => failed,
            }
        }
    }};
}

/// Writes to the system's own file.
///
/// # Safety
/// `real` is open.
unsafe fn put(real: *mut ffi::sqlite3_file, bytes: &[u8], at: i64) -> c_int {
    // SAFETY: as the caller says.
    let Some(write) = (unsafe { (*(*real).pMethods).xWrite }) else { return ffi::SQLITE_IOERR_WRITE };
    let mut at = at;
    for part in bytes.chunks(MOST_AT_ONCE) {
        // SAFETY: as the caller says; a part's length fits any number.
        let result = unsafe { write(real, part.as_ptr().cast(), part.len() as c_int, at) };
        if result != ffi::SQLITE_OK {
            return result;
        }
        at += part.len() as i64;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    let own = file.cast::<File>();
    let Ok(length) = usize::try_from(length) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: as in `real!`; `data` has `length` bytes.
    unsafe {
        let (gathered, real) = (&mut *(*own).gathered, (*own).real);
        let data = std::slice::from_raw_parts(data.cast::<u8>(), length);
        gathered.write(data, at, &mut |bytes, at| put(real, bytes, at))
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let own = file.cast::<File>();
    // SAFETY: `open` has made it; `SQLite` does not use a file that it has closed.
    unsafe {
        let real = (*own).real;
        (*file).pMethods = std::ptr::null();
        // What is left belongs to no commit.
        drop(Box::from_raw((*own).gathered));
        match (*(*real).pMethods).xClose {
            Some(close) => close(real),
            None => ffi::SQLITE_OK,
        }
    }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, into: *mut c_void, length: c_int, at: i64) -> c_int {
    real!(file, xRead(into, length, at))
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    real!(file, xTruncate(size))
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    real!(file, xSync(flags))
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    real!(file, xFileSize(size))
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    real!(file, xLock(level))
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    real!(file, xUnlock(level))
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, is_held: *mut c_int) -> c_int {
    real!(file, xCheckReservedLock(is_held))
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, what: c_int, with: *mut c_void) -> c_int {
    real!(file, xFileControl(what, with))
}

/// Asks the system's own file what its disk is like, which has nothing to do with what is written.
macro_rules! about_disk {
    ($file:expr, $method:ident) => {{
        // SAFETY: as in `real!`.
        unsafe {
            let real = (*$file.cast::<File>()).real;
            (*(*real).pMethods).$method.map_or(0, |ask| ask(real))
        }
    }};
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    about_disk!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    about_disk!(file, xDeviceCharacteristics)
}
