//! `Repr-Digest` and `Want-Repr-Digest` (RFC 9530): what a whole body hashes to.

use actix_web::http::header::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

use crate::error::{Code, Error, Result};
use crate::services::files::Expected;

/// What the client says of a whole body. Both headers count, for nothing here is sent in parts or encoded; algorithms
/// that are not known are passed over, as RFC 9530 has it.
///
/// # Errors
/// [`Code::BadHeader`] when one is no digest.
pub fn expected(headers: &HeaderMap, len: Option<u64>) -> Result<Expected> {
    let mut expected = Expected { len, ..Expected::default() };
    for name in ["content-digest", "repr-digest"] {
        for header in headers.get_all(name) {
            let text = header.to_str().map_err(|_| wrong())?;
            for (algorithm, value) in members(text)? {
                let hash =
                    |len| digest_of(value).filter(|it| it.len() == len).map(|it| hex(&it)).ok_or_else(wrong);
                match algorithm.as_str() {
                    "sha-256" => expected.sha256 = Some(hash(32)?),
                    "sha-512" => expected.sha512 = Some(hash(64)?),
                    _ => {}
                }
            }
        }
    }
    Ok(expected)
}

/// Holds a body that was read whole against what the client says of it.
///
/// # Errors
/// [`Code::BadHeader`], [`Code::DigestMismatch`].
pub fn check(headers: &HeaderMap, body: &[u8]) -> Result<()> {
    let expected = expected(headers, None)?;
    let found = [
        expected.sha256.as_ref().map(|_| hex(&Sha256::digest(body))),
        expected.sha512.as_ref().map(|_| hex(&Sha512::digest(body))),
    ];
    let [sha256, sha512] = found;
    expected.check_hashes(sha256.as_deref(), sha512.as_deref())
}

/// The `Repr-Digest` of a file whose SHA-256 is known; none when the client wants no such.
pub fn known(headers: &HeaderMap, sha256: &str) -> Option<String> {
    if preference(headers, "sha-256") == Some(0) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..sha256.len()).step_by(2).map(|at| u8::from_str_radix(sha256.get(at..at + 2)?, 16).ok()).collect();
    Some(format!("sha-256=:{}:", STANDARD.encode(bytes?)))
}

/// The `Repr-Digest` of a small file, made when the client wants it.
pub fn made(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let [short, long] = ["sha-256", "sha-512"].map(|it| preference(headers, it).unwrap_or(0));
    match (short, long) {
        (0, 0) => None,
        (short, long) if long > short => Some(format!("sha-512=:{}:", STANDARD.encode(Sha512::digest(body)))),
        _ => Some(format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))),
    }
}

/// How much the client wants an algorithm, 0 to 10; none when it does not say.
fn preference(headers: &HeaderMap, algorithm: &str) -> Option<u8> {
    let wanted = headers.get("want-repr-digest")?.to_str().ok()?;
    let found = members(wanted).ok()?.into_iter().rfind(|(name, _)| name == algorithm)?;
    found.1.parse().ok().filter(|it| *it <= 10)
}

/// The members of a dictionary of RFC 8941, without their parameters; of two of one name the last one counts.
fn members(header: &str) -> Result<Vec<(String, &str)>> {
    let member = |it: &'_ str| -> Option<(String, usize)> {
        let at = it.find('=')?;
        Some((it[..at].trim().to_ascii_lowercase(), at + 1)).filter(|(name, _)| !name.is_empty())
    };
    header
        .split(',')
        .map(|it| {
            let it = it.trim();
            let (name, at) = member(it).ok_or_else(wrong)?;
            Ok((name, it[at..].split(';').next().unwrap_or_default().trim()))
        })
        .collect()
}

fn digest_of(value: &str) -> Option<Vec<u8>> {
    let inner = value.strip_prefix(':').and_then(|it| it.strip_suffix(':'))?;
    STANDARD.decode(inner).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn wrong() -> Error {
    let detail = "Repr-Digest must be `sha-256=:<base64 of 32 bytes>:` or `sha-512=:<base64 of 64 bytes>:`.";
    Error::new(Code::BadHeader, detail)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn a_digest_is_read_as_hex_and_others_are_passed_over() {
        let sha256 = |value: &str| expected(&with("repr-digest", value), None).map(|it| it.sha256);
        assert_eq!(sha256(EMPTY).unwrap().as_deref(), Some(HEX));
        assert_eq!(sha256(&format!("md5=:AAAA:, {EMPTY};a=1")).unwrap().as_deref(), Some(HEX));
        assert_eq!(sha256("unixsum=:AAAA:").unwrap(), None);
        for bad in ["", "sha-256=abc", "sha-256=:AAAA:", "sha-512=:AAAA:", "nonsense"] {
            assert_eq!(sha256(bad).unwrap_err().code, Code::BadHeader, "{bad}");
        }
    }

    #[test]
    fn both_hashes_of_a_body_must_fit() {
        let long = STANDARD.encode(Sha512::digest(b""));
        let both = with("repr-digest", &format!("{EMPTY}, sha-512=:{long}:"));
        assert!(check(&both, b"").is_ok());
        assert_eq!(check(&both, b"x").unwrap_err().code, Code::DigestMismatch);
        let other = STANDARD.encode(Sha512::digest(b"x"));
        let half = with("content-digest", &format!("{EMPTY}, sha-512=:{other}:"));
        assert_eq!(check(&half, b"").unwrap_err().code, Code::DigestMismatch);
        assert!(check(&HeaderMap::new(), b"x").is_ok());
    }

    #[test]
    fn a_digest_is_given_as_it_is_wanted() {
        let none = HeaderMap::new();
        assert_eq!(known(&none, HEX).as_deref(), Some(EMPTY));
        assert_eq!(known(&with("want-repr-digest", "sha-256=0"), HEX), None);
        assert_eq!(made(&none, b""), None);
        assert_eq!(made(&with("want-repr-digest", "sha-256=1"), b"").as_deref(), Some(EMPTY));
        let long = made(&with("want-repr-digest", "sha-256=1, sha-512=9"), b"").unwrap();
        assert!(long.starts_with("sha-512=:"), "{long}");
    }
}
