//! One key: sealing a text for a row, and opening it again.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::config::SECRET_KEY_BYTES;
use crate::error::{Error, Result};
use crate::model::plugin::SEALED;

/// Bytes that differ for each sealing; so many that random ones never meet.
const NONCE_BYTES: usize = 24;

/// Why something that is sealed cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealFault {
    /// It was sealed with a key that the server does not have.
    OtherKey {
        /// The id of the key it was sealed with.
        wanted: String,
        /// The key that the server has, in words.
        has: Option<String>,
        /// The key file.
        file: String,
    },
    /// It is not what was stored, or not where it was stored.
    Changed,
    /// The server's keys cannot be read.
    Unreadable(String),
}

impl fmt::Display for SealFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SealFault::OtherKey { wanted, has, file } => {
                write!(f, "its stored value was sealed with the key `{wanted}`, and the server has ")?;
                match has {
                    Some(has) => write!(f, "{has}")?,
                    None => f.write_str("none")?,
                }
                write!(f, "; put that key into {file} or PANOTTI_SECRET_KEY, or set the value anew")
            }
            SealFault::Changed => {
                f.write_str("its stored value is damaged or was changed in the database; set the value anew")
            }
            SealFault::Unreadable(why) => write!(f, "its stored value cannot be opened: {why}"),
        }
    }
}

/// A key and what it is called.
pub(super) struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl Key {
    pub(super) fn new(bytes: &[u8; SECRET_KEY_BYTES]) -> Self {
        // Says which key it was, and nothing of the key.
        let id = blake3::derive_key("panotti: the id of a key for secret values", bytes);
        Key { id: hex(&id[..4]), cipher: XChaCha20Poly1305::new(bytes.into()) }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn seal(&self, row: &str, text: &str) -> Result<String> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| Error::internal(error.to_string()))?;
        let payload = Payload { msg: text.as_bytes(), aad: row.as_bytes() };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| Error::internal("the value could not be sealed"))?;
        Ok(format!("{SEALED}{}:{}", self.id, STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    pub(super) fn open(&self, row: &str, sealed: &str) -> Result<String, SealFault> {
        let bytes = sealed.rsplit(':').next().and_then(|it| STANDARD_NO_PAD.decode(it).ok());
        let bytes = bytes.filter(|it| it.len() > NONCE_BYTES).ok_or(SealFault::Changed)?;
        let (nonce, sealed) = bytes.split_at(NONCE_BYTES);
        let payload = Payload { msg: sealed, aad: row.as_bytes() };
        let opened =
            self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SealFault::Changed)?;
        String::from_utf8(opened).map_err(|_| SealFault::Changed)
    }
}

/// The id of the key that something was sealed with.
pub(super) fn key_of(sealed: &str) -> Option<&str> {
    sealed.strip_prefix(SEALED)?.split_once(':').map(|(id, _)| id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
