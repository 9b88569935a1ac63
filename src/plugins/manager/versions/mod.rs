//! The versions of plugins' files that went live: kept, read, gone back to.

mod keep;

pub(super) use keep::GoesLive;
