//! Fields that hooks change, set from values that were found to be right.

use serde_json::{Map, Value};

use crate::hooks::patch::merge_owned;

use super::{Reading, check_metadata};

/// Merges a patch into metadata; none clears them.
///
/// # Errors
/// They are too much then.
pub fn set_metadata(
    metadata: &mut Map<String, Value>,
    value: Option<Value>,
    how: Reading,
) -> Result<(), String> {
    match value {
        Some(Value::Object(patch)) => {
            merge_owned(metadata, patch);
            check_metadata(metadata, how.metadata_max_bytes)
        }
        _ => {
            metadata.clear();
            Ok(())
        }
    }
}

/// A text, moved out of its value.
pub fn into_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}
