//! What must hold between settings that are right one by one.

use std::net::{IpAddr, SocketAddr};

use super::Settings;
use super::fault::Fault;
use super::tls::Tls;

/// The faults of these settings taken together; `source` tells where a key was set.
pub(super) fn check(settings: &Settings, source: impl Fn(&str) -> String) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !settings.host.is_loopback() && !settings.behind_proxy && !settings.has_tls() {
        faults.push(Fault {
            source: source("host"),
            message: format!(
                "{} can be reached from other machines, and keys would cross the network unencrypted: set tls_cert \
                 and tls_key, or put a proxy with TLS in front and say behind_proxy: true, or listen on 127.0.0.1",
                settings.host
            ),
        });
    }
    let has = |path: &std::path::Path| !path.as_os_str().is_empty();
    match (has(&settings.tls_cert), has(&settings.tls_key)) {
        (true, true) => {
            let wrong = Tls::read(&settings.tls_cert, &settings.tls_key).err().unwrap_or_default();
            faults.extend(wrong.into_iter().map(|(key, message)| Fault { source: source(key), message }));
        }
        (true, false) => faults.push(one_of_two(source("tls_cert"), "tls_cert", "tls_key")),
        (false, true) => faults.push(one_of_two(source("tls_key"), "tls_key", "tls_cert")),
        (false, false) => {}
    }
    for entry in &settings.cors_origins {
        if let Some(message) = origin_fault(entry) {
            faults.push(Fault { source: source("cors_origins"), message });
        }
    }
    if settings.metadata_max_bytes > settings.body_max_bytes {
        let set = |key| Some(source(key)).filter(|source| source != "default");
        faults.push(Fault {
            source: set("metadata_max_bytes").or_else(|| set("body_max_bytes")).unwrap_or_default(),
            message: format!(
                "metadata_max_bytes ({}) must not be larger than body_max_bytes ({}), which carries it",
                settings.metadata_max_bytes, settings.body_max_bytes
            ),
        });
    }
    if settings.breaker.open_s > settings.breaker.open_max_s {
        faults.push(Fault {
            source: source("breaker.open_s"),
            message: format!(
                "breaker.open_s ({}) must not be larger than breaker.open_max_s ({})",
                settings.breaker.open_s, settings.breaker.open_max_s
            ),
        });
    }
    for entry in &settings.http_hosts {
        let address = entry.split_once('=').filter(|(name, _)| !name.is_empty()).map(|(_, address)| address);
        let is_address = |it: &str| it.parse::<SocketAddr>().is_ok() || it.parse::<IpAddr>().is_ok();
        if !address.is_some_and(is_address) {
            faults.push(Fault {
                source: source("http_hosts"),
                message: format!("{entry:?} is not name=address or name=address:port"),
            });
        }
    }
    for entry in &settings.webhook_hosts {
        let is_address = entry.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        if !is_address && entry.contains([':', '/', '@']) {
            faults.push(Fault {
                source: source("webhook_hosts"),
                message: format!("{entry:?} is not the name or address of a host (without scheme and port)"),
            });
        }
    }
    for entry in &settings.process_tools {
        let path = entry.split_once('=').filter(|(name, _)| !name.is_empty()).map(|(_, path)| path);
        if !path.is_some_and(|it| std::path::Path::new(it).is_absolute()) {
            faults.push(Fault {
                source: source("process_tools"),
                message: format!("{entry:?} is not name=/absolute/path"),
            });
        }
    }
    faults
}

fn one_of_two(source: String, set: &str, missing: &str) -> Fault {
    Fault { source, message: format!("{set} is set without {missing}: set both for HTTPS, or none") }
}

/// What is wrong with an entry of `cors_origins`.
fn origin_fault(entry: &str) -> Option<String> {
    if entry.contains('*') {
        return Some(format!(
            "{entry:?} is not accepted: any page a user of this network visits could then call the server; list \
             the origins one by one"
        ));
    }
    let origin = url::Url::parse(entry).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match origin.map(|url| url.origin().ascii_serialization()) {
        Some(origin) if origin == entry => None,
        Some(origin) => {
            Some(format!("{entry:?} is not an origin as browsers send it; did you mean {origin}?"))
        }
        None => Some(format!("{entry:?} is not an origin such as https://app.example")),
    }
}
