//! `Repr-Digest` (RFC 9530): what the sender says the whole body hashes to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Code, Error, Result};

/// The SHA-256 of a `Repr-Digest` (or `Content-Digest`) in hex; other algorithms are passed over.
///
/// # Errors
/// [`Code::BadHeader`] when it is no digest.
pub fn sha256_of(header: &str) -> Result<Option<String>> {
    for member in header.split(',') {
        let Some((name, value)) = member.trim().split_once('=') else { return Err(wrong()) };
        if !name.trim().eq_ignore_ascii_case("sha-256") {
            continue;
        }
        let inner = value.trim().strip_prefix(':').and_then(|it| it.strip_suffix(':')).ok_or_else(wrong)?;
        let bytes = STANDARD.decode(inner).ok().filter(|it| it.len() == 32).ok_or_else(wrong)?;
        return Ok(Some(bytes.iter().map(|it| format!("{it:02x}")).collect()));
    }
    Ok(None)
}

fn wrong() -> Error {
    Error::new(Code::BadHeader, "Repr-Digest must be `sha-256=:<base64 of 32 bytes>:`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_hex_and_others_are_passed_over() {
        let empty = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_of(empty).unwrap().as_deref(), Some(hex));
        assert_eq!(sha256_of(&format!("md5=:AAAA:, {empty}")).unwrap().as_deref(), Some(hex));
        assert_eq!(sha256_of("sha-512=:AAAA:").unwrap(), None);
        for bad in ["", "sha-256=abc", "sha-256=:AAAA:", "nonsense"] {
            assert_eq!(sha256_of(bad).unwrap_err().code, Code::BadHeader, "{bad}");
        }
    }
}
