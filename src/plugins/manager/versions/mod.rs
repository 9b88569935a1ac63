//! The versions of plugins' files that went live: kept, read, gone back to.

mod keep;
