//! Stops scripts from outside: arms the interrupt of a VM whose slice or deadline is over.
//!
//! An interrupt that is always installed costs Luau's hot loops two to three times their speed. So a
//! [`Gate`] keeps the callback away from the VM and one thread puts it there when a slice has lasted long
//! enough; the handler takes it away again. Once a call is past its deadline the callback stays, so that
//! no `pcall` survives it.
//!
//! Where no interrupt reaches, inside a C function of the string library, [`unless_large`] looks at the sizes
//! before: as a C function itself, because a wrapper in Lua costs more than an ordinary search.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mlua::{Function, Lua, VmState, ffi};
use parking_lot::Mutex;

/// The way to one VM's interrupt, and what its present slice looks like.
pub struct Gate {
    /// The VM's callback field and what to put there; none once the VM is about to go.
    interrupt: Mutex<Option<Interrupt>>,
    armed: AtomicBool,
    slice_began_ns: AtomicU64,
    limit_ns: AtomicU64,
    hit_ns: AtomicU64,
    /// Bytes of the VM above which a large allocation arms it at once.
    collect_above: Arc<AtomicUsize>,
}

struct Interrupt {
    field: *const AtomicUsize,
    handler: usize,
}

// SAFETY: `field` points into the global state of a VM. Luau documents this callback as safe to set from
// any thread; it is only touched through an atomic, under the lock, while the VM lives.
unsafe impl Send for Interrupt {}

impl Gate {
    /// Installs `handler` into `lua`, disarmed. [`Gate::close`] must be called before the VM goes.
    ///
    /// # Errors
    /// The VM has no memory left.
    pub fn install(
        lua: &Lua,
        collect_above: Arc<AtomicUsize>,
        handler: impl Fn(&Lua) -> mlua::Result<VmState> + Send + 'static,
    ) -> mlua::Result<Arc<Gate>> {
        lua.set_interrupt(handler);
        let mut interrupt = None;
        // SAFETY: `lua_callbacks` answers a field of the VM's global state, which lives as long as the VM.
        // An optional function pointer has the size and alignment of a usize, so both can be exchanged
        // through an atomic of that size. Nothing is pushed or popped.
        unsafe {
            lua.exec_raw::<()>((), |state| {
                let callbacks = ffi::lua_callbacks(state);
                let field = (&raw mut (*callbacks).interrupt).cast::<AtomicUsize>().cast_const();
                let handler = (*field).swap(0, Ordering::AcqRel);
                (*callbacks).onallocate = Some(on_allocate);
                interrupt = Some(Interrupt { field, handler });
            })?;
        }
        Ok(Arc::new(Gate {
            interrupt: Mutex::new(interrupt),
            armed: AtomicBool::new(false),
            slice_began_ns: AtomicU64::new(0),
            limit_ns: AtomicU64::new(0),
            hit_ns: AtomicU64::new(0),
            collect_above,
        }))
    }

    /// From now on the VM may be dropped: arming does nothing any more.
    pub fn close(&self) {
        self.disarm();
        self.interrupt.lock().take();
    }

    /// Makes the VM look at its handler at the next safe point.
    pub fn arm(&self) {
        self.put(true);
    }

    /// Lets the VM run without looking.
    pub fn disarm(&self) {
        if self.armed.load(Ordering::Acquire) {
            self.put(false);
        }
    }

    fn put(&self, armed: bool) {
        let interrupt = self.interrupt.lock();
        if let Some(it) = &*interrupt {
            // SAFETY: the VM lives until `close` has taken the pointer away under this lock.
            let field = unsafe { &*it.field };
            field.store(if armed { it.handler } else { 0 }, Ordering::Release);
            self.armed.store(armed, Ordering::Release);
        }
    }

    /// A slice begins that should be over at `limit`, whatever the script does.
    pub(super) fn begin(&self, now: Instant, limit: Instant) {
        self.limit_ns.store(since_start_ns(limit), Ordering::Relaxed);
        self.slice_began_ns.store(since_start_ns(now), Ordering::Release);
        RUNNING.set(self);
    }

    /// The slice is over.
    pub(super) fn end(&self) {
        RUNNING.set(std::ptr::null());
        self.slice_began_ns.store(0, Ordering::Release);
        self.disarm();
    }

    /// The handler was reached.
    pub(super) fn note_hit(&self, now: Instant) {
        self.hit_ns.store(since_start_ns(now), Ordering::Relaxed);
    }

    /// How long the present slice has lasted.
    pub(super) fn slice_age(&self, now: Instant) -> Option<Duration> {
        match self.slice_began_ns.load(Ordering::Acquire) {
            0 => None,
            began => Some(Duration::from_nanos(since_start_ns(now).saturating_sub(began))),
        }
    }

    /// How long ago the call should have been over and the script was last within reach.
    pub(super) fn out_of_reach(&self, now: Instant) -> Duration {
        if self.slice_age(now).is_none() {
            return Duration::ZERO;
        }
        let since = self.limit_ns.load(Ordering::Relaxed).max(self.hit_ns.load(Ordering::Relaxed));
        Duration::from_nanos(since_start_ns(now).saturating_sub(since))
    }

    /// How long ago the present slice should have been over.
    pub(super) fn overdue(&self, now: Instant) -> Duration {
        match self.slice_age(now) {
            Some(_) => Duration::from_nanos(
                since_start_ns(now).saturating_sub(self.limit_ns.load(Ordering::Relaxed)),
            ),
            None => Duration::ZERO,
        }
    }
}

/// Allocations that are looked at; Luau's collector keeps pace with smaller ones.
const LARGE: usize = 64 << 10;

thread_local! {
    /// The gate of the VM that this thread runs; null between slices.
    static RUNNING: Cell<*const Gate> = const { Cell::new(std::ptr::null()) };
}

/// After an allocation: a few large ones reach the limit long before the watchdog looks again, and Luau
/// does not collect when it is reached.
unsafe extern "C-unwind" fn on_allocate(
    state: *mut ffi::lua_State,
    _block: *mut c_void,
    _before: usize,
    size: usize,
    _category: u8,
    _kind: c_int,
    _tag: c_int,
) {
    if size < LARGE {
        return;
    }
    let gate = RUNNING.get();
    if gate.is_null() {
        return;
    }
    // SAFETY: `begin` has put a borrowed gate there and `end`, on the same thread, takes it away before the
    // borrow is over. `lua_totalbytes` reads a counter of the VM whose allocation this is.
    let (gate, used) = unsafe { (&*gate, ffi::lua_totalbytes(state, -1)) };
    if used > gate.collect_above.load(Ordering::Relaxed) {
        gate.arm();
    }
}

/// Above this many (byte of the first argument x byte of the second) a guarded function goes the slow way.
const LARGE_WORK: usize = 1 << 20;

/// A function that is `plain` while its first two arguments are short strings, else `careful`. Errors call it
/// `name`. `plain` must be a function of Luau's string library as it was made: those have no upvalues.
///
/// # Errors
/// The VM has no memory left.
pub fn unless_large(
    lua: &Lua,
    name: &'static CStr,
    plain: Function,
    careful: Function,
) -> mlua::Result<Function> {
    // SAFETY: within a protected call, the two functions are taken from the stack as upvalues and one is left
    // there; the name lives as long as the program.
    unsafe {
        lua.exec_raw((plain, careful), |state| {
            ffi::lua_pushcclosurek(state, by_size, name.as_ptr(), 2, None);
        })
    }
}

unsafe extern "C-unwind" fn by_size(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: Luau calls this with its arguments on the stack and two functions as upvalues, and with room for 20
    // more values. `lua_objlen` takes any value and any index; what is no string is refused by `plain` itself.
    // `plain` finds the stack as if it had been called directly, and reads no upvalues. Errors pass through here,
    // where nothing is to be dropped.
    unsafe {
        let work = ffi::lua_objlen(state, 1).saturating_mul(ffi::lua_objlen(state, 2));
        if work > LARGE_WORK {
            ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
            ffi::lua_insert(state, 1);
            ffi::lua_call(state, ffi::lua_gettop(state) - 1, ffi::LUA_MULTRET);
            return ffi::lua_gettop(state);
        }
        match ffi::lua_tocfunction(state, ffi::lua_upvalueindex(1)) {
            Some(plain) => plain(state),
            None => 0,
        }
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Never zero, which stands for "no slice".
fn since_start_ns(at: Instant) -> u64 {
    (at.saturating_duration_since(*START).as_nanos() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gated() -> (Lua, Arc<Gate>, Arc<AtomicU64>) {
        let lua = Lua::new();
        let hits = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&hits);
        let gate = Gate::install(&lua, Arc::default(), move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(mlua::Error::runtime("stopped"))
        })
        .unwrap();
        (lua, gate, hits)
    }

    #[test]
    fn a_disarmed_gate_lets_scripts_run_and_an_armed_one_stops_them_until_disarmed() {
        let (lua, gate, hits) = gated();
        let run = || lua.load("local n = 0 for i = 1, 1000 do n += i end return n").eval::<f64>();
        assert_eq!(run().unwrap(), 500_500.0);
        assert_eq!(hits.load(Ordering::Relaxed), 0);
        gate.arm();
        assert!(run().is_err() && run().is_err());
        gate.disarm();
        assert_eq!(run().unwrap(), 500_500.0);
        gate.close();
    }

    #[test]
    fn another_thread_stops_a_script_that_catches_everything() {
        for source in [
            "while true do end",
            "while true do pcall(function() while true do end end) end",
            "local function f() while true do xpcall(f, f) end end f()",
            "while true do coroutine.wrap(function() while true do end end)() end",
        ] {
            let (lua, gate, _) = gated();
            let other = Arc::clone(&gate);
            let armer = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                other.arm();
            });
            assert!(lua.load(source).exec().is_err(), "{source}");
            armer.join().unwrap();
            gate.disarm();
            assert_eq!(lua.load("return 1 + 1").eval::<i32>().unwrap(), 2);
            gate.close();
        }
    }

    #[test]
    fn large_arguments_go_the_slow_way_and_all_others_do_not_notice() {
        let lua = Lua::new();
        let plain: Function = lua.load("return string.find").eval().unwrap();
        let careful =
            lua.load("return function(...) return 'slow', select('#', ...), ... end").eval().unwrap();
        lua.globals().set("find", unless_large(&lua, c"find", plain, careful).unwrap()).unwrap();
        lua.load(
            "assert(find('abc', 'b') == 2 and select('#', find('abc', '(b)(c)')) == 4 and find(123, 2) == 2)
            local way, n, s, p, init = find(('a'):rep(2^11), ('b'):rep(2^10), 7, nil)
            assert(way == 'slow' and n == 4 and #s == 2^11 and #p == 2^10 and init == 7)
            for _, wrong in {{}, {'a'}, {nil, 'a'}, {{}, 'a'}, {'a', print}, {'a', '['}} do
                local ok, err = pcall(function() return find(wrong[1], wrong[2]) end)
                local same, told = pcall(function() return string.find(wrong[1], wrong[2]) end)
                assert(not ok and not same and err:gsub('^.-:%d+: ', '') == told:gsub('^.-:%d+: ', ''), err)
            end
            local yields = coroutine.wrap(function() return find('a', 'a'), coroutine.yield(1) end)
            assert(yields() == 1)",
        )
        .exec()
        .unwrap();
    }

    #[test]
    fn arming_after_the_vm_has_gone_does_nothing() {
        let (lua, gate, hits) = gated();
        gate.close();
        drop(lua);
        gate.arm();
        gate.disarm();
        assert_eq!(hits.load(Ordering::Relaxed), 0);
    }
}
