//! Tests that lie in plugins' folders, run: each case in a server of its own, built of the same parts as the one that
//! records, over a folder that is thrown away, with a clock that a test moves and nothing of the world behind its doors.
//!
//! `find` knows which files are tests, `runner` goes through them, `case` runs one case: its script is in a VM of its
//! own and asks (`desk`, `stage`, `acts`) for hosts. A host is a `bench`; `settle` waits until all that is under way
//! waits for the clock, and moves it. `report` and `junit` tell what came of it.

mod acts;
mod apart;
mod bench;
mod case;
mod desk;
mod find;
mod fire;
mod junit;
mod report;
mod runner;
mod scratch;
mod settle;
mod stage;
mod watched;
mod wav;

pub use apart::{Told, WITHIN, run_apart};
pub use find::{TestFiles, files_of};
pub use junit::junit;
pub use report::{PluginTests, TestCase, TestFailure, TestFile, TestReport, TestSummary};
pub use runner::{Progress, TestOptions, run};
