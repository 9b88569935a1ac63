//! How many bytes a value has as JSON, as it is stored.

use std::io::{Result, Write};

use serde_json::Value;

struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Bytes of the value's JSON, without making it.
pub fn json_bytes(value: &Value) -> u64 {
    let mut counted = Counted(0);
    // Neither a value nor this writer can fail.
    serde_json::to_writer(&mut counted, value).ok();
    counted.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_size_is_that_of_the_text() {
        for value in [json!(null), json!({"a": [1, 2.5, "ü\n\u{1}"], "b": {}}), json!("x".repeat(1000))] {
            assert_eq!(json_bytes(&value), value.to_string().len() as u64);
        }
    }
}
