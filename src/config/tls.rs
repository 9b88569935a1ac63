//! The server's certificate and key, read from their PEM files; what is wrong with them is a fault of the settings.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::model::time::Timestamp;

use super::Settings;
use super::certificate::{Validity, validity};

/// A certificate that ends within so many days is told of.
const SOON_DAYS: i64 = 14;
const DAY_US: i64 = 86_400_000_000;

/// Which setting is at fault, and how.
type Wrong = (&'static str, String);

/// What the server answers HTTPS with.
#[derive(Debug)]
pub struct Tls {
    /// Certificates, key and versions of TLS (1.2 and 1.3).
    pub config: ServerConfig,
    /// SHA-256 of the server's own certificate, in hex: by it the command line knows its server.
    pub fingerprint: String,
    /// When the server's own certificate is valid, where that can be read.
    validity: Option<Validity>,
}

impl Tls {
    /// What the settings name; none when they name nothing.
    ///
    /// # Errors
    /// The settings at fault, and what is wrong with each.
    pub fn of(settings: &Settings) -> Result<Option<Self>, Vec<Wrong>> {
        match settings.has_tls() {
            true => Self::read(&settings.tls_cert, &settings.tls_key).map(Some),
            false => Ok(None),
        }
    }

    /// Reads a certificate (with those above it) and its key.
    ///
    /// # Errors
    /// The settings at fault, and what is wrong with each.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, Vec<Wrong>> {
        let (chain, private) = match (chain_of(cert), private_of(key)) {
            (Ok(chain), Ok(private)) => (chain, private),
            (chain, private) => {
                let of_cert = chain.err().map(|why| ("tls_cert", why));
                let of_key = private.err().map(|why| ("tls_key", why));
                return Err(of_cert.into_iter().chain(of_key).collect());
            }
        };
        let own = chain.first().map(|it| it.as_ref()).unwrap_or_default();
        let fingerprint = Sha256::digest(own).iter().map(|byte| format!("{byte:02x}")).collect();
        let validity = validity(own);
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|it| it.with_no_client_auth())
            .and_then(|it| it.with_single_cert(chain, private));
        let config = config.map_err(|why| match why {
            rustls::Error::InconsistentKeys(_) => (
                "tls_key",
                format!(
                    "{} is not the key of the first certificate in {}: name the key it was made with, and put the \
                     server's own certificate before those above it",
                    key.display(),
                    cert.display()
                ),
            ),
            why => (
                "tls_cert",
                format!(
                    "{} and {} cannot be used: {why}; take a certificate of X.509 version 3 and a key of RSA \
                     (2048 bits or more), ECDSA (P-256, P-384) or Ed25519",
                    cert.display(),
                    key.display()
                ),
            ),
        });
        let config = config.map_err(|wrong| vec![wrong])?;
        Ok(Self { config, fingerprint, validity })
    }

    /// Why clients will not trust the certificate at `now`, or soon will not.
    pub fn doubt(&self, now: Timestamp) -> Option<String> {
        let Validity { from, until } = self.validity?;
        let left_days = until.0.saturating_sub(now.0).div_euclid(DAY_US);
        if now < from {
            Some(format!("the certificate is valid from {from} only; clients refuse it until then"))
        } else if now > until {
            Some(format!("the certificate has expired at {until}; clients refuse it: renew it and restart"))
        } else if left_days < SOON_DAYS {
            Some(format!("the certificate expires at {until}: renew it and restart"))
        } else {
            None
        }
    }
}

fn chain_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|why| format!("{shown} cannot be read: {why}"))?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|why| format!("{shown} cannot be read as PEM: {why}"))?;
    match chain.is_empty() {
        false => Ok(chain),
        true => Err(format!(
            "there is no certificate in {shown}: it takes PEM, which begins with -----BEGIN CERTIFICATE-----"
        )),
    }
}

fn private_of(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|why| format!("{shown} cannot be read: {why}"))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|why| match why {
        pem::Error::NoItemsFound => format!(
            "there is no private key in {shown}: it takes PEM without a password, which begins with \
             -----BEGIN PRIVATE KEY-----"
        ),
        why => format!("{shown} cannot be read as PEM: {why}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate from the start of one year to the start of another.
    fn valid(from: i32, until: i32) -> Tls {
        let folder = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let (cert_path, key_path) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&cert_path, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        Tls::read(&cert_path, &key_path).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text, crate::model::time::MissingOffset::Refused).unwrap()
    }

    #[test]
    fn what_is_not_valid_any_more_or_yet_or_not_for_long_is_told() {
        // Two forms of dates: those from 2050 on are written with four digits of the year.
        for (from, until) in [(1999, 2020), (2030, 2060)] {
            let tls = valid(from, until);
            let early = tls.doubt(at(&format!("{}-12-31T23:59:59Z", from - 1))).unwrap();
            assert!(early.contains(&format!("valid from {from}-01-01T00:00:00Z only")), "{early}");
            assert_eq!(tls.doubt(at(&format!("{from}-01-01T00:00:00Z"))), None);
            assert_eq!(tls.doubt(at(&format!("{}-12-17T00:00:00Z", until - 1))), None);
            let soon = tls.doubt(at(&format!("{}-12-20T00:00:00Z", until - 1))).unwrap();
            assert!(soon.contains(&format!("expires at {until}-01-01T00:00:00Z")), "{soon}");
            let late = tls.doubt(at(&format!("{until}-01-01T00:00:01Z"))).unwrap();
            assert!(late.contains(&format!("has expired at {until}-01-01T00:00:00Z")), "{late}");
        }
    }
}
