//! The versions of plugins' files that went live: kept, read, gone back to.

mod automatic;
mod held;
mod keep;
mod read;
mod rollback;

pub use self::held::HeldBack;
pub use self::read::{Side, VersionDetail, VersionDiff, VersionView};
pub use self::rollback::RollbackDone;

pub(super) use self::automatic::{Worse, keep_watch};
pub(super) use self::held::Held;
pub(super) use self::keep::GoesLive;
