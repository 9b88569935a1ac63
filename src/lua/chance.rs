//! Lua's own clock and dice, led through the door like everything else that is not the same each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mlua::Lua;

use super::effects::Door;
use super::prelude;

const GLUE: &str = "local random, seed, now, elapsed = ...
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
";

/// Replaces the functions in a fresh VM, after the guards and before its sandbox closes.
pub(super) fn install(lua: &Lua, door: &Arc<dyn Door>) -> mlua::Result<()> {
    let state = Arc::new(AtomicU64::new(door.seed()));
    let seeded = Arc::clone(&state);
    let random = lua.create_function(move |_, ()| Ok(unit(next(&state))))?;
    let seed = lua.create_function(move |_, value: f64| {
        seeded.store(value.to_bits(), Ordering::Relaxed);
        Ok(())
    })?;
    let (clock, stopwatch) = (Arc::clone(door), Arc::clone(door));
    let now = lua.create_function(move |_, ()| Ok(clock.now_us() as f64 / 1e6))?;
    let elapsed = lua.create_function(move |_, ()| Ok(stopwatch.monotonic().as_secs_f64()))?;
    prelude::run(lua, "chance", GLUE, (random, seed, now, elapsed))
}

/// SplitMix64: small, good enough for scripts, the same numbers for the same seed.
fn next(state: &AtomicU64) -> u64 {
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
