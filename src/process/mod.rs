//! Programs that plugins may run: no shell between, a clean environment, limits, and an end for the whole group of them.
//! Leaf: it knows nobody.

mod group;
mod run;
mod strays;

pub use run::{Ended, Fault, Program, run};
pub use strays::{end_all, take_in_orphans};

#[cfg(test)]
mod tests;
