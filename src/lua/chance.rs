//! Lua's own clock and dice, led through the door like everything else that is not the same each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mlua::Lua;

use super::context::ApiContext;
use super::effects::Door;
use super::prelude::Part;
use super::recorder::Senses;

static GLUE: Part = Part::new(
    "chance",
    "local random, seed, now, elapsed = ...
local floor, type, tonumber, error, date, time = math.floor, type, tonumber, error, os.date, os.time

math.random = function(low, high)
	local part = random()
	if low == nil then return part end
	low, high = tonumber(low), high == nil and nil or tonumber(high)
	if high == nil then low, high = 1, low end
	if type(low) ~= 'number' or type(high) ~= 'number' then
		error('math.random: the bounds must be numbers', 2)
	end
	low, high = floor(low), floor(high)
	if low > high then
		error('math.random: the interval is empty', 2)
	end
	return low + floor(part * (high - low + 1))
end

math.randomseed = function(value)
	seed(tonumber(value) or 0)
end

os.time = function(at)
	if at == nil then return floor(now()) end
	return time(at)
end

os.date = function(format, at)
	if at == nil then at = floor(now()) end
	return date(format, at)
end

os.clock = elapsed
",
);

/// The random numbers of a VM. Each call has a row of its own, so that it can be run again by itself.
pub(super) struct Chance {
    /// From which the rows of calls begin.
    base: AtomicU64,
    /// The row of the call that runs.
    running: AtomicU64,
}

impl Chance {
    /// Where the row of the next call begins.
    pub(super) fn draw(&self, context: &ApiContext) -> u64 {
        match &context.replay {
            Some(replay) => replay.random(),
            None => next(&self.base),
        }
    }

    /// A call with this row runs now.
    pub(super) fn enter(&self, row: &AtomicU64) {
        self.running.store(row.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// It does not run any more.
    pub(super) fn leave(&self, row: &AtomicU64) {
        row.store(self.running.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Replaces the functions in a fresh VM, after the guards and before its sandbox closes.
pub(super) fn install(
    lua: &Lua,
    context: &Arc<ApiContext>,
    door: &Arc<dyn Door>,
) -> mlua::Result<Arc<Chance>> {
    let chance = Arc::new(Chance { base: AtomicU64::new(door.seed()), running: AtomicU64::new(0) });
    let (own, seeded) = (Arc::clone(&chance), Arc::clone(&chance));
    let random = lua.create_function(move |_, ()| Ok(unit(next(&own.running))))?;
    let seed = lua.create_function(move |_, value: f64| {
        seeded.running.store(value.to_bits(), Ordering::Relaxed);
        seeded.base.store(value.to_bits().rotate_left(32), Ordering::Relaxed);
        Ok(())
    })?;
    let (clock, stopwatch) = (Senses::new(context, door), Senses::new(context, door));
    let now = lua.create_function(move |_, ()| Ok(clock.now_us() as f64 / 1e6))?;
    let elapsed = lua.create_function(move |_, ()| Ok(stopwatch.monotonic()))?;
    GLUE.run::<()>(lua, (random, seed, now, elapsed))?;
    Ok(chance)
}

/// SplitMix64: small, good enough for scripts, the same numbers for the same seed.
pub(super) fn next(state: &AtomicU64) -> u64 {
    let step = 0x9E37_79B9_7F4A_7C15_u64;
    let mut z = state.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// 53 bits as a number from 0 to below 1.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
