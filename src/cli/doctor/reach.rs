//! How the server is reached: the port, the certificate, and whether a running one answers.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::app::lock::lock_data_dir;
use crate::cli::client::Client;
use crate::cli::flags::ClientFlags;
use crate::clock::{Clock, SystemClock};
use crate::config::{Settings, Tls};
use crate::model::time::Timestamp;

use super::finding::Findings;

/// Whether a server uses the data folder.
pub fn runs(settings: &Settings) -> bool {
    // Looking for the lock must not make the folder.
    let locked = || lock_data_dir(&settings.data_dir).is_err_and(|it| it.kind() == ErrorKind::ResourceBusy);
    settings.data_dir.join(".lock").exists() && locked()
}

/// Whether the running server answers, and is this version.
pub fn server(settings: &Settings, flags: &ClientFlags, findings: &mut Findings) {
    let remedy = "See its log; restart it when it does not answer at all.";
    let answer = Client::find(flags).and_then(|it| it.call("GET", "/lua-api", None));
    match answer {
        Err(failure) => {
            let message = format!("one uses {}, and does not answer: {failure}", settings.data_dir.display());
            findings.problem("server", message, remedy);
        }
        Ok(about) => match about["version"].as_str() {
            Some(version) if version != env!("CARGO_PKG_VERSION") => {
                let message = format!(
                    "the running one is panotti {version}, this program is {}",
                    env!("CARGO_PKG_VERSION")
                );
                findings.warning("server", message, "Restart the server with this program.");
            }
            _ => findings.ok("server", "it runs and answers"),
        },
    }
    let plugins = Client::find(flags).and_then(|it| it.call("GET", "/plugins?page_size=1000", None));
    for plugin in plugins.iter().flat_map(|it| it["items"].as_array()).flatten() {
        if let Some(left_s) = plugin["breaker"]["opens_again_in"].as_f64() {
            let name = plugin["name"].as_str().unwrap_or_default();
            let message = format!("{name} was killed too often and is left alone for {left_s:.0} s more");
            let remedy = format!("Mend it; see `panotti plugins {name}` and `panotti logs {name}`.");
            findings.warning("plugins", message, remedy);
        }
    }
}

/// Whether a server could listen.
pub fn port(settings: &Settings, findings: &mut Findings) {
    let address = settings.address();
    match TcpListener::bind(address) {
        Ok(_) => findings.ok("port", format!("{address} is free; no server runs")),
        Err(fault) => {
            let (why, remedy) = match fault.kind() {
                ErrorKind::AddrInUse => (
                    "another program listens there".to_owned(),
                    "Stop it, or choose another port with --port (0 takes a free one).",
                ),
                ErrorKind::PermissionDenied => (
                    "this user may not listen there".to_owned(),
                    "Choose a port above 1023 with --port, or put a proxy before it.",
                ),
                _ => (fault.to_string(), "Correct host and port in the settings."),
            };
            findings.problem("port", format!("{address}: {why}"), remedy);
        }
    }
}

/// Whether the certificate can be used, and how long.
pub fn certificate(settings: &Settings, findings: &mut Findings) {
    let renew = "Name a certificate and its key in tls_cert and tls_key, and restart.";
    match Tls::of(settings) {
        Ok(None) => {}
        Err(faults) => {
            for (key, why) in faults {
                findings.problem("certificate", format!("{key}: {why}"), renew);
            }
        }
        Ok(Some(tls)) => match tls.doubt(Timestamp(SystemClock.now_us())) {
            Some(doubt) => findings.warning("certificate", doubt, renew),
            None => findings.ok("certificate", "it can be used"),
        },
    }
}
