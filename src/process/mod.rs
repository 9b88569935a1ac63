//! Programs that plugins may run: no shell between, a clean environment, limits, and an end for the whole group of them.
//! Leaf: it knows nobody.

mod group;
mod run;

pub use run::{Ended, Fault, Program, run};

#[cfg(test)]
mod tests;
