//! Whoever runs the tests of a plugin, as the VM of a test knows it.

use serde_json::Value;

use super::effects::{Answered, Work};

/// Does what a test asks for, and hears what it notes.
pub trait Examiner: Send + Sync + 'static {
    /// Does `what` with these arguments, for the test at this place, which waits.
    fn ask(&self, what: &str, arguments: Value, place: Option<(String, u32)>) -> Work<Answered>;
    /// The test has a case: a function in `slot` of its VM, registered at a place in its file.
    fn case(&self, slot: u32, name: &str, place: Option<(String, u32)>);
    /// The test is about to fail: the message it raises, and what differs.
    fn note(&self, message: &str, detail: &str);
    /// The test itself has logged something.
    fn line(&self, level: &str, message: &str, fields: &Value);
}
