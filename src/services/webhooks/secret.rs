//! Secrets and signatures, as Standard Webhooks write them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::model::time::Timestamp;
use crate::model::webhook::WebhookSecrets;
use crate::services::fields::Checked;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that is made here.
const NEW_BYTES: usize = 32;

/// The secret that was sent, or a new one.
///
/// # Errors
/// `Invalid` when the one that was sent is none.
pub(super) fn sent_or_new(sent: &Checked) -> Result<String> {
    match sent.text("secret") {
        Some(secret) if key(&secret).is_some() => Ok(secret),
        Some(_) => Err(Error::field("/secret", "must be whsec_ and 24 to 64 bytes in base64")),
        None => {
            let mut bytes = [0; NEW_BYTES];
            getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
            Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)))
        }
    }
}

/// The bytes that a secret stands for.
fn key(secret: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    (24..=64).contains(&bytes.len()).then_some(bytes)
}

/// The signatures of a request at `now`, one for each secret that counts then, separated by spaces.
pub(super) fn signatures(
    secrets: &WebhookSecrets,
    id: &str,
    timestamp_s: i64,
    body: &[u8],
    now: Timestamp,
) -> String {
    let old = secrets.old.iter().filter(|(_, until)| now < *until).map(|(old, _)| old);
    let keys = std::iter::once(&secrets.current).chain(old).filter_map(|it| key(it));
    let signed = keys.filter_map(|key| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the standard's own libraries are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn sign(secrets: &WebhookSecrets, now: i64) -> String {
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        signatures(secrets, id, 1_614_265_330, br#"{"test": 2432232314}"#, Timestamp(now))
    }

    #[test]
    fn the_published_example_has_the_published_signature() {
        assert_eq!(sign(&WebhookSecrets { current: SECRET.into(), old: None }, 0), SIGNED);
    }

    #[test]
    fn the_old_secret_signs_until_its_time_is_over() {
        let current = format!("{PREFIX}{}", STANDARD.encode([7; 24]));
        let secrets = WebhookSecrets { current, old: Some((SECRET.into(), Timestamp(10))) };
        let both = sign(&secrets, 9);
        assert_eq!(both.split(' ').count(), 2);
        assert_eq!(both.split(' ').nth(1), Some(SIGNED));
        assert_eq!(sign(&secrets, 10), both.split(' ').next().unwrap());
        assert!(!format!("{secrets:?}").contains("MfKQ"));
    }

    #[test]
    fn only_24_to_64_bytes_are_a_secret() {
        for bytes in [23, 65] {
            assert!(key(&format!("{PREFIX}{}", STANDARD.encode(vec![1; bytes]))).is_none());
        }
        assert!(key("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none() && key("whsec_?").is_none());
        let made = sent_or_new(&Checked::default()).unwrap();
        assert_eq!(key(&made).unwrap().len(), NEW_BYTES);
    }
}
