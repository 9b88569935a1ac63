//! Promises that a development build breaks on purpose, so that whoever checks them is seen to notice. A release build
//! keeps them all.

/// What the server promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// What is done is noted as done.
    Acknowledgement,
    /// First come, first told, per subscriber and subject.
    Order,
    /// Every attempt counts.
    Attempts,
    /// Keys and events of handlers are committed with the acknowledgement.
    Effects,
    /// No call is lost while a plugin's new version takes over.
    Swap,
}

/// The promise that is broken; none but in the tests of the tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sabotage(Option<Promise>);

impl Sabotage {
    /// By the promise's name: `acknowledgement`, `order`, `attempts`, `effects` or `swap`; nothing for any other, and nothing at all in
    /// a release build.
    pub fn named(name: &str) -> Self {
        let promise = match name {
            "acknowledgement" => Promise::Acknowledgement,
            "order" => Promise::Order,
            "attempts" => Promise::Attempts,
            "effects" => Promise::Effects,
            "swap" => Promise::Swap,
            _ => return Sabotage(None),
        };
        Sabotage(cfg!(debug_assertions).then_some(promise))
    }

    /// Whether `promise` is to be broken.
    pub fn breaks(self, promise: Promise) -> bool {
        cfg!(debug_assertions) && self.0 == Some(promise)
    }
}
