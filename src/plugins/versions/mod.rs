//! What can be told of versions without running them: how two differ, and whether a new one is worse.

pub mod diff;
pub mod trial;
