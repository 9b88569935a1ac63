//! The flight recorder: every call into a plugin notes what it is given, what it asks of the host and what it comes to.
//!
//! A call carries its `record`, whose `tape` is empty until the script asks the host for something; `class` says for
//! each function of the host whether its answers are noted. When the call has ended, it goes as it is into the ring of
//! its plugin (`services::traces`), and only who looks at it has it `written` out, without secrets (`mask`).

mod class;
pub mod effects;
mod mask;
mod record;
mod returned;
mod sense;
mod tape;
mod targets;
mod value;
mod written;

pub use class::{Class, class_of, only_looks};
pub use mask::Mask;
pub use record::{Ended, Origin, Record, fingerprint};
pub use returned::{Returned, write_answer};
pub use sense::Senses;
pub use tape::{Note, Tape, args_of, values_of};
pub use targets::{slot_of, target_of};
pub use value::decode;
