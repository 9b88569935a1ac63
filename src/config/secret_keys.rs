//! The keys that secret values are stored under: what a variable or a key file may say.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of one key.
pub const SECRET_KEY_BYTES: usize = 32;

/// What is accepted, in words; never what was given.
pub(super) const FORM: &str = "a key of 32 random bytes in base64 or hexadecimal, as `panotti secrets key` prints one, or several separated by \
     commas: the first one seals, all of them open";

/// Keys for secret values: the first one seals, all of them open. What prints or writes them shows nothing of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretKeys(Vec<[u8; SECRET_KEY_BYTES]>);

impl SecretKeys {
    /// Reads keys that are separated by commas or white space; a line that begins with `#` is a comment.
    ///
    /// # Errors
    /// What is accepted; the text itself is not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|it| !it.trim_start().starts_with('#'));
        let words = lines.flat_map(|it| it.split([',', ' ', '\t'])).filter(|it| !it.is_empty());
        words.map(key_of).collect::<Option<Vec<_>>>().map(SecretKeys).ok_or_else(|| format!("must be {FORM}"))
    }

    /// A new key as it is written down.
    pub fn written(key: &[u8; SECRET_KEY_BYTES]) -> String {
        STANDARD.encode(key)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys, the one that seals first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8; SECRET_KEY_BYTES]> {
        self.0.iter()
    }
}

fn key_of(word: &str) -> Option<[u8; SECRET_KEY_BYTES]> {
    if word.len() == SECRET_KEY_BYTES * 2 {
        let digits = word.as_bytes().chunks_exact(2).map(|it| std::str::from_utf8(it).ok());
        let bytes = digits.map(|it| it.and_then(|it| u8::from_str_radix(it, 16).ok()));
        return bytes.collect::<Option<Vec<u8>>>()?.try_into().ok();
    }
    let bytes = STANDARD.decode(word).or_else(|_| STANDARD_NO_PAD.decode(word)).ok()?;
    bytes.try_into().ok()
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKeys({})", self.0.len())
    }
}

impl Serialize for SecretKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "***" })
    }
}

impl<'de> Deserialize<'de> for SecretKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_hexadecimal_are_keys_and_the_first_one_seals() {
        let (one, two) = ([7; 32], [0xab; 32]);
        let hex = "ab".repeat(32);
        let keys =
            SecretKeys::parse(&format!("# kept apart\n{},{hex}\n", SecretKeys::written(&one))).unwrap();
        assert_eq!(keys.iter().collect::<Vec<_>>(), [&one, &two]);
        assert!(SecretKeys::parse(" \n# nothing\n").unwrap().is_empty());
        assert_eq!(
            SecretKeys::parse(SecretKeys::written(&one).trim_end_matches('=')).unwrap().iter().next(),
            Some(&one)
        );
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        for wrong in ["hunter2hunter2", &"zz".repeat(32), &STANDARD.encode([1; 16])] {
            let told = SecretKeys::parse(wrong).unwrap_err();
            assert!(!told.contains(wrong) && told.contains("32 random bytes"), "{told}");
        }
        let keys = SecretKeys::parse(&"ab".repeat(32)).unwrap();
        assert_eq!(format!("{keys:?} {}", serde_json::json!(keys)), "SecretKeys(1) \"***\"");
    }
}
