//! The Host allow-list: a page of another name cannot reach this server through a browser.

use std::net::IpAddr;

use actix_web::dev::ServiceRequest;
use actix_web::http::header;

use crate::config::Settings;
use crate::error::{Code, Error, Result};

/// Refuses a request that was meant for another server.
///
/// # Errors
/// [`Code::Misdirected`].
pub fn check(req: &ServiceRequest, settings: &Settings) -> Result<()> {
    let sent = req.headers().get(header::HOST).map(|it| it.to_str().unwrap_or_default());
    let sent = sent.or_else(|| req.uri().host()).unwrap_or_default();
    if is_allowed(sent, settings) {
        return Ok(());
    }
    let shown: String = sent.chars().take(100).collect();
    let detail = match shown.is_empty() {
        true => "The request names no host.".to_owned(),
        false => format!("This server does not answer for the host `{}`.", shown.escape_debug()),
    };
    Err(Error::new(Code::Misdirected, detail))
}

fn is_allowed(sent: &str, settings: &Settings) -> bool {
    let name = name_of(sent);
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>()
        && (address.is_loopback() || address == settings.host)
    {
        return true;
    }
    let allowed = |it: &String| it.eq_ignore_ascii_case(name) || it.eq_ignore_ascii_case(sent);
    settings.allowed_hosts.iter().any(allowed)
}

/// The name without its port.
fn name_of(sent: &str) -> &str {
    match sent.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => sent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_the_bound_address_and_listed_names_are_allowed() {
        let settings = Settings {
            host: "192.168.1.5".parse().unwrap(),
            allowed_hosts: vec!["clips.example".to_owned()],
            ..Settings::default()
        };
        for host in [
            "localhost:8000",
            "LOCALHOST",
            "127.0.0.1:1",
            "[::1]:8000",
            "[::1]",
            "192.168.1.5:80",
            "clips.example:443",
        ] {
            assert!(is_allowed(host, &settings), "{host}");
        }
        for host in
            ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.1", "clips.example.evil"]
        {
            assert!(!is_allowed(host, &settings), "{host}");
        }
    }
}
