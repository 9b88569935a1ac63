//! HTTPS to the one server whose certificate is known by its hash: no authority, no name and no date is asked.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};

use super::client::innermost;

/// A server that is known by its certificate.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'a> {
    /// SHA-256 of the certificate, in hex.
    pub certificate: &'a str,
    /// An answer may take so long.
    pub timeout: Duration,
    /// The largest answer in bytes.
    pub answer_max_bytes: u64,
}

impl Pinned<'_> {
    /// Sends one request with a key and, where there is one, a body of JSON; status and text of the answer.
    /// Blocks, and makes a runtime of its own: not to be called from within another.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub fn send(
        &self,
        method: &str,
        url: &str,
        key: &str,
        body: Option<String>,
    ) -> Result<(u16, String), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|fault| fault.to_string())?.block_on(self.exchange(method, url, key, body))
    }

    async fn exchange(
        &self,
        method: &str,
        url: &str,
        key: &str,
        body: Option<String>,
    ) -> Result<(u16, String), String> {
        let method = method.parse::<reqwest::Method>().map_err(|fault| fault.to_string())?;
        let mut request = self.client()?.request(method, url).header("X-API-Key", key);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let mut answer = request.send().await.map_err(|fault| innermost(&fault))?;
        let status = answer.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|fault| innermost(&fault))? {
            bytes.extend_from_slice(&part);
            if bytes.len() as u64 > self.answer_max_bytes {
                return Err(format!("the answer is larger than {} bytes", self.answer_max_bytes));
            }
        }
        String::from_utf8(bytes).map(|text| (status, text)).map_err(|fault| fault.to_string())
    }

    /// No proxy and no redirect: the key goes to this server and to nobody else.
    fn client(&self) -> Result<reqwest::Client, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier { certificate: self.certificate.to_owned(), provider: Arc::clone(&provider) };
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|fault| fault.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(self.timeout)
            .build()
            .map_err(|fault| innermost(&fault))
    }
}

/// Accepts one certificate; that the server has its key is still proven by the handshake.
#[derive(Debug)]
struct Verifier {
    certificate: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _above: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let hash: String = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
        match hash == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General(
                "another server answers: its certificate is not the known one".to_owned(),
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
