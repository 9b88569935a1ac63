//! Compressed audio through symphonia, fenced: a panic in a decoder is an error of the file.

mod open;
mod reader;

pub(super) use reader::Coded;

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::errors::Error;

use super::error::MediaError;

/// Runs one step of a decoder; its panic becomes an error, after which it must not be used again.
fn fenced<T>(step: impl FnOnce() -> Result<T, Error>) -> Result<Result<T, Error>, MediaError> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|_| MediaError::damaged("the decoder gave up on it"))
}
