//! What the guards of the standard library cost ordinary string work: `cargo bench --bench guards`.
//!
//! The same script runs in a VM with guards and in one without, turn by turn; what counts is the ratio of each
//! pair of turns. Where memory happens to lie makes some per cent, so there are several VMs of each kind.
//! `GUARDS_ROUNDS` (9) is how many pairs of turns each pair of VMs takes.
#![allow(clippy::print_stderr, clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::time::Instant;

use mlua::chunk::Compiler;
use mlua::{Function, Lua, LuaOptions};
use panotti::lua::guards;

/// Name, what runs 20 000 times, whether it counts as ordinary work.
const WORK: &[(&str, &str)] = &[
    ("find, plain word", "n += find(line, 'kill', 1, true)"),
    ("find, pattern", "n += find(line, '%d+')"),
    ("match", "n += #match(line, '(%a+)  kill')"),
    ("gsub", "n += #gsub(line, '%s+', ' ')"),
    ("split", "n += #split('ace,night,final,round', ',')"),
    ("gmatch", "for word in gmatch(line, '%a+') do n += #word end"),
    ("method call", "n += line:find('kill', 1, true)"),
    (
        "ordinary work",
        "local tags = split('ace,night,final,round', ',')
         local title = format('%s: %s (%d)', tags[1], gsub(line, '%s+', ' '), i)
         if find(title, 'kill', 1, true) then n += #lower(title) + #sub(title, 1, 8) end",
    ),
    ("sort", "local t = {5, 3, 8, 1, 9, 2, 7} sort(t) n += t[1]"),
];

/// Pairs of VMs.
const VMS: usize = 8;

fn main() {
    let rounds = std::env::var("GUARDS_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(9);
    eprintln!("{:<20} {:>9} {:>9} {:>8}  spread (10 % to 90 %)", "", "plain ns", "guarded", "ratio");
    for (name, work) in WORK {
        let pairs: Vec<(f64, f64)> = (0..VMS).flat_map(|n| pairs(n, rounds, work)).collect();
        let mut ratios: Vec<f64> = pairs.iter().map(|(plain, guarded)| guarded / plain).collect();
        ratios.sort_by(f64::total_cmp);
        let least = |which: fn(&(f64, f64)) -> f64| pairs.iter().map(which).fold(f64::MAX, f64::min);
        let at = |part: f64| (ratios[(ratios.len() as f64 * part) as usize] - 1.0) * 100.0;
        eprintln!(
            "{name:<20} {:>9.1} {:>9.1} {:>+7.1}%  {:+.1} to {:+.1} %",
            least(|it| it.0),
            least(|it| it.1),
            at(0.5),
            at(0.1),
            at(0.9)
        );
    }
}

/// Times of two VMs that were made one after the other, the guarded one second when `n` is even.
fn pairs(n: usize, rounds: usize, work: &str) -> Vec<(f64, f64)> {
    let guarded_second = n.is_multiple_of(2);
    let (first, second) = (program(!guarded_second, work), program(guarded_second, work));
    let (plain, guarded) = if guarded_second { (first, second) } else { (second, first) };
    let turn = |_| (time(&plain.1), time(&guarded.1));
    (0..3).map(turn).for_each(drop);
    (0..rounds).map(turn).collect()
}

/// A VM as plugins get it, and a function that does the work.
fn program(guarded: bool, work: &str) -> (Lua, Function) {
    let lua = Lua::new_with(guards::libraries(), LuaOptions::new()).unwrap();
    if guarded {
        guards::install(&lua).unwrap();
    }
    lua.set_compiler(Compiler::new().set_optimization_level(1).set_debug_level(1));
    lua.sandbox(true).unwrap();
    let mut source = String::from("local line = 'Triple  kill number 17 in the  last minute'\n");
    for name in ["find", "match", "gmatch", "gsub", "split", "format", "lower", "sub"] {
        source += &format!("local {name} = string.{name}\n");
    }
    source += "local sort = table.sort\nreturn function() local n = 0 for i = 1, 20000 do\n";
    source += work;
    source += "\nend return n end";
    let function = lua.load(source).set_name("=work").eval().unwrap();
    (lua, function)
}

/// Nanoseconds of one of 20 000 times.
fn time(work: &Function) -> f64 {
    let began = Instant::now();
    let _: f64 = work.call(()).unwrap();
    began.elapsed().as_secs_f64() * 1e9 / 20_000.0
}
