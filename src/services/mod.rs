//! The product, told once: what can be done with recordings, tracks, clips and keys. REST and Lua both
//! call it and have no rules of their own.

pub mod fields;
pub mod files;
