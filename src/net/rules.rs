//! Which hosts a plugin may reach, as its permission `http` lists them.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::{Reach, reach};

/// The hosts that are open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRules {
    /// Every public host.
    everything: bool,
    /// Every host there is.
    unguarded: bool,
    rules: Vec<Rule>,
    /// The setting that opens local hosts, for those who go by no permission.
    setting: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    name: String,
    /// Its subdomains instead of itself.
    below: bool,
    /// This port alone; without, the usual ones.
    port: Option<u16>,
    /// Whatever the port.
    any_port: bool,
    /// Whether it may stand in the local network.
    local: bool,
}

/// What opens a name whose address may be local.
const LOCAL: &str = "local:";

impl HostRules {
    /// Every public host, and nothing local.
    pub fn everything() -> Self {
        HostRules { everything: true, ..HostRules::default() }
    }

    /// Every host, those of the local network included: for a plugin that is to show what it needs.
    pub fn unguarded() -> Self {
        HostRules { unguarded: true, ..HostRules::default() }
    }

    /// The hosts of a list: `api.example` (its usual ports), `api.example:8443` (that port), `*.example`
    /// (everything below), `localhost:11434` and addresses (which say themselves that they are local), `local:nas`
    /// (a name that may be local).
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        HostRules { rules: parts.into_iter().map(Rule::read).collect(), ..HostRules::default() }
    }

    /// Every public host, and the local hosts that a setting of the server names, on every port.
    pub fn public_and<'a>(setting: &'static str, hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let local = |host| Rule { local: true, any_port: true, ..Rule::read(host) };
        let rules = hosts.into_iter().map(local).collect();
        HostRules { everything: true, rules, setting: Some(setting), ..HostRules::default() }
    }

    /// What would open `host`, whose address is local, in words; `part` is the host as a permission names it.
    pub(super) fn remedy(&self, host: &str, part: &str) -> String {
        match self.setting {
            Some(setting) => format!("the setting {setting} must name {host}"),
            None => format!("it needs `local:{part}`"),
        }
    }

    /// Whether a setting of the server opens what is local, not a permission.
    pub(super) fn by_setting(&self) -> bool {
        self.setting.is_some()
    }

    /// Whether `url` may be asked at all, whatever its name comes to.
    pub fn opens(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let port = url.port_or_known_default();
        let is_public = match url.host() {
            Some(Host::Domain(name)) => !is_localhost(name),
            Some(Host::Ipv4(it)) => reach(IpAddr::V4(it)) == Reach::Public,
            Some(Host::Ipv6(it)) => reach(IpAddr::V6(it)) == Reach::Public,
            None => false,
        };
        self.unguarded || (self.everything && is_public) || self.rules.iter().any(|it| it.covers(host, port))
    }

    /// Whether `host`, a name or an address, may stand in the local network.
    pub fn may_be_local(&self, host: &str) -> bool {
        self.unguarded || self.rules.iter().any(|it| it.local && it.names(host))
    }
}

impl Rule {
    fn read(part: &str) -> Rule {
        let (part, said) = match part.strip_prefix(LOCAL) {
            Some(rest) => (rest, true),
            None => (part, false),
        };
        let (part, below) = match part.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (part, false),
        };
        let (name, port) = split_port(part);
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let local = said || is_localhost(&name) || bare.parse::<IpAddr>().is_ok();
        Rule { name, below, port, any_port: false, local }
    }

    fn covers(&self, host: &str, port: Option<u16>) -> bool {
        let port_fits = match self.port {
            Some(own) => port == Some(own),
            None => self.any_port || matches!(port, Some(80 | 443)),
        };
        port_fits && self.names(host)
    }

    fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        // A URL writes an IPv6 address in brackets, a list need not.
        let bare = |it: &str| it.trim_start_matches('[').trim_end_matches(']').to_owned();
        match self.below {
            true => host.strip_suffix(&self.name).is_some_and(|it| it.len() > 1 && it.ends_with('.')),
            false => bare(&host) == bare(&self.name),
        }
    }
}

fn split_port(part: &str) -> (&str, Option<u16>) {
    // `[::1]:80` and `name:80`, but not `::1`.
    match part.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (part, None),
        },
        _ => (part, None),
    }
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opens(parts: &[&str], url: &str) -> bool {
        HostRules::new(parts.iter().copied()).opens(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_name_opens_its_usual_ports_alone() {
        assert!(
            opens(&["api.example"], "https://api.example/x")
                && opens(&["api.example"], "http://API.EXAMPLE./")
        );
        assert!(!opens(&["api.example"], "http://api.example:8080/"));
        assert!(opens(&["api.example:8080"], "http://api.example:8080/"));
        assert!(!opens(&["api.example:8080"], "http://api.example/"));
        assert!(
            !opens(&["api.example"], "https://evil-api.example/")
                && !opens(&["api.example"], "https://api.example.evil/")
        );
        assert!(!opens(&["api.example"], "https://api.example@evil.test/"));
    }

    #[test]
    fn a_star_opens_what_is_below_and_not_the_name_itself() {
        assert!(opens(&["*.example.org"], "https://a.b.example.org/"));
        assert!(
            !opens(&["*.example.org"], "https://example.org/")
                && !opens(&["*.example.org"], "https://xexample.org/")
        );
    }

    #[test]
    fn only_what_is_named_as_local_may_be_local() {
        let rules = HostRules::new([
            "api.example",
            "localhost:11434",
            "10.0.0.5:80",
            "local:nas.home:8080",
            "[::1]:9",
        ]);
        assert!(!rules.may_be_local("api.example"));
        for host in ["localhost", "10.0.0.5", "nas.home", "[::1]"] {
            assert!(rules.may_be_local(host), "{host}");
        }
        assert!(rules.opens(&Url::parse("http://[::1]:9/").unwrap()));
        assert!(rules.opens(&Url::parse("http://nas.home:8080/").unwrap()));
        assert!(!rules.opens(&Url::parse("http://10.0.0.6/").unwrap()));
    }

    #[test]
    fn a_setting_opens_the_local_hosts_that_it_names_on_every_port() {
        let rules = HostRules::public_and("webhook_hosts", ["127.0.0.1", "nas.lan", "::1", "localhost"]);
        for url in [
            "http://127.0.0.1:8123/",
            "http://nas.lan:8080/",
            "https://any.example:9/",
            "http://localhost:1/",
        ] {
            assert!(rules.opens(&Url::parse(url).unwrap()), "{url}");
        }
        for url in ["http://127.0.0.2:8123/", "http://10.0.0.1/"] {
            assert!(!rules.opens(&Url::parse(url).unwrap()), "{url}");
        }
        assert!(rules.may_be_local("nas.lan") && !rules.may_be_local("any.example"));
        assert!(rules.may_be_local("[::1]"));
    }

    #[test]
    fn everything_is_every_public_host() {
        let rules = HostRules::everything();
        assert!(rules.opens(&Url::parse("https://any.example:8443/").unwrap()));
        for url in [
            "http://localhost/",
            "http://x.localhost/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://[::1]/",
        ] {
            assert!(!rules.opens(&Url::parse(url).unwrap()), "{url}");
        }
    }

    proptest! {
        #[test]
        fn a_rule_never_opens_another_host(name in "[a-z]{1,8}\\.[a-z]{2,5}", other in "[a-z]{1,8}\\.[a-z]{2,5}") {
            prop_assume!(name != other);
            let url = Url::parse(&format!("https://{other}/")).unwrap();
            prop_assert!(!HostRules::new([name.as_str()]).opens(&url));
        }
    }
}
