//! The client itself: sends, follows redirects, and stops what is too long, too large or led astray.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, redirect};
use url::{Host, Url};

use super::address::{Reach, reach};
use super::names::{FixedNames, GuardedNames, Resolver, Shut};
use super::rules::HostRules;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Connections to one host that nobody uses and that are kept.
const MAX_IDLE: usize = 4;

/// Headers that the client sets itself.
const OWN: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"];

/// Headers that belong to the host they were meant for.
const SECRET: &[&str] = &["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Where to.
    pub url: Url,
    /// Names and texts.
    pub headers: Vec<(String, String)>,
    /// What is sent along.
    pub body: Option<Vec<u8>>,
    /// The whole may last so long, redirects and body included.
    pub timeout: Duration,
    /// Bytes of the answer's body, after decompression.
    pub max_body_bytes: usize,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// 100..599.
    pub status: u16,
    /// Lower-case names; several of one name stand in a row.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// Where it came from after all redirects.
    pub url: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The way is shut; the part of the permission that would open it, and why.
    #[error("{why}")]
    Denied {
        /// A host as a permission names it.
        part: String,
        /// One sentence.
        why: String,
    },
    /// It did not come in time.
    #[error("no whole answer within {} ms", .0.as_millis())]
    TooSlow(Duration),
    /// It is too large.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The request makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// The other side cannot be reached or does not speak HTTP.
    #[error("{message}")]
    Failed {
        /// `unreachable`, `tls`, `redirects` or `protocol`.
        code: &'static str,
        /// One sentence.
        message: String,
    },
}

/// A client that reaches what its rules open. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    rules: Arc<HostRules>,
    fixed: Arc<FixedNames>,
}

impl Client {
    /// A client for a plugin that may reach what `rules` say.
    ///
    /// # Errors
    /// The machine's certificates cannot be read.
    pub fn new(
        rules: HostRules,
        resolver: Arc<dyn Resolver>,
        fixed: Arc<FixedNames>,
    ) -> Result<Self, String> {
        // Whoever comes second finds the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let names = GuardedNames { resolver, fixed: Arc::clone(&fixed), rules: rules.clone() };
        let inner = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(names))
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .user_agent(concat!("panotti/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| innermost(&error))?;
        Ok(Client { inner, rules: Arc::new(rules), fixed })
    }

    /// Sends `request` and answers what came of it.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn send(&self, request: Request) -> Result<Response, Fault> {
        let timeout = request.timeout;
        match tokio::time::timeout(timeout, self.follow(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::TooSlow(timeout)),
        }
    }

    /// Sends `request` and answers what its own server says: redirects are answers like any other, and of a body that
    /// is too large or breaks off, what came is answered.
    ///
    /// # Errors
    /// [`Fault`], but for `TooLarge`.
    pub async fn send_straight(&self, request: Request) -> Result<Response, Fault> {
        let Request { method, url, headers, body, timeout, max_body_bytes } = request;
        self.check(&url)?;
        let headers = headers_of(&headers)?;
        let method = method_of(&method)?;
        let work = async {
            let sent = self.inner.request(method, url.clone()).headers(headers);
            let sent = sent.body(body.unwrap_or_default());
            let mut answer = sent.send().await.map_err(|error| self.fault(&url, &error))?;
            let mut body = Vec::new();
            while body.len() < max_body_bytes {
                let Ok(Some(chunk)) = answer.chunk().await else { break };
                body.extend_from_slice(&chunk);
            }
            body.truncate(max_body_bytes);
            Ok(response(&answer, body, &url))
        };
        tokio::time::timeout(timeout, work).await.unwrap_or(Err(Fault::TooSlow(timeout)))
    }

    /// Whether `url` may be asked.
    ///
    /// # Errors
    /// [`Fault::Denied`], or [`Fault::Wrong`] for what is no HTTP.
    pub fn check(&self, url: &Url) -> Result<(), Fault> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Fault::Denied {
                part: url.scheme().to_owned(),
                why: format!("only http and https are spoken, not {}", url.scheme()),
            });
        }
        let part = part_of(url);
        let host = url.host_str().unwrap_or_default();
        if !self.rules.opens(url) && self.rules.by_setting() {
            let why = format!("{host} is of this machine or network: {}", self.rules.remedy(host, &part));
            return Err(Fault::Denied { part, why });
        }
        if !self.rules.opens(url) {
            return Err(Fault::Denied {
                why: format!("{part} is not among the hosts the plugin may reach"),
                part,
            });
        }
        // Names are judged when they are resolved; a literal is its own address.
        let address = match url.host() {
            Some(Host::Ipv4(it)) => Some(IpAddr::V4(it)),
            Some(Host::Ipv6(it)) => Some(IpAddr::V6(it)),
            _ => None,
        };
        match address.map(reach) {
            Some(Reach::Local(what)) if !self.rules.may_be_local(host) => {
                Err(Fault::Denied { why: format!("{part} is a {what} address"), part })
            }
            _ => Ok(()),
        }
    }

    async fn follow(&self, request: Request) -> Result<Response, Fault> {
        let mut headers = headers_of(&request.headers)?;
        let mut method = method_of(&request.method)?;
        let (mut url, mut body) = (request.url, request.body);
        for _ in 0..=MAX_REDIRECTS {
            self.check(&url)?;
            let mut sent = self.inner.request(method.clone(), url.clone()).headers(headers.clone());
            if let Some(body) = &body {
                sent = sent.body(body.clone());
            }
            let answer = sent.send().await.map_err(|error| self.fault(&url, &error))?;
            let Some(next) = target(&url, &answer) else {
                return read(answer, request.max_body_bytes, &url).await;
            };
            if turns_into_get(answer.status(), &method) {
                (method, body) = (Method::GET, None);
                headers.remove("content-type");
            }
            if next.origin() != url.origin() {
                SECRET.iter().for_each(|it| drop(headers.remove(*it)));
            }
            url = next;
        }
        Err(Fault::Failed { code: "redirects", message: format!("more than {MAX_REDIRECTS} redirects") })
    }

    /// What a failed connection means.
    fn fault(&self, url: &Url, error: &reqwest::Error) -> Fault {
        let mut cause = error.source();
        while let Some(it) = cause {
            if let Some(shut) = it.downcast_ref::<Shut>() {
                let part = part_of(url);
                let remedy = self.rules.remedy(url.host_str().unwrap_or_default(), &part);
                return Fault::Denied { why: format!("{shut}; {remedy}"), part: format!("local:{part}") };
            }
            cause = it.source();
        }
        let message = innermost(error);
        let code = match error.is_connect() {
            _ if message.contains("certificate") => "tls",
            true => "unreachable",
            false => "protocol",
        };
        let at = url.host_str().unwrap_or_default();
        let fixed = if self.fixed.knows(at) { " (its address is fixed by http_hosts)" } else { "" };
        Fault::Failed { code, message: format!("{at}{fixed}: {message}") }
    }
}

/// The host as a permission names it.
fn part_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn method_of(name: &str) -> Result<Method, Fault> {
    Method::from_bytes(name.as_bytes())
        .map_err(|_| Fault::Wrong(format!("'{}' is no method", name.escape_debug())))
}

fn headers_of(pairs: &[(String, String)]) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, text) in pairs {
        let wrong = |what: &str| Fault::Wrong(format!("the header '{}' {what}", name.escape_debug()));
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong("has a name that HTTP does not allow"))?;
        if OWN.contains(&key.as_str()) {
            return Err(wrong("is set by the client itself"));
        }
        let value = HeaderValue::from_str(text).map_err(|_| wrong("has a text that HTTP does not allow"))?;
        headers.append(key, value);
    }
    Ok(headers)
}

/// Where an answer sends the client, if it does.
fn target(url: &Url, answer: &reqwest::Response) -> Option<Url> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get("location")?.to_str().ok()?;
    url.join(location).ok()
}

fn turns_into_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        303 => *method != Method::HEAD,
        301 | 302 => *method == Method::POST,
        _ => false,
    }
}

async fn read(mut answer: reqwest::Response, max: usize, url: &Url) -> Result<Response, Fault> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max => return Err(Fault::TooLarge(max)),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(Fault::Failed { code: "protocol", message: innermost(&error) }),
        }
    }
    Ok(response(&answer, body, url))
}

fn response(answer: &reqwest::Response, body: Vec<u8>, url: &Url) -> Response {
    let pairs = answer.headers().iter();
    let headers =
        pairs.map(|(name, it)| (name.to_string(), String::from_utf8_lossy(it.as_bytes()).into_owned()));
    Response { status: answer.status().as_u16(), headers: headers.collect(), body, url: url.to_string() }
}

/// The cause at the bottom: what stands above only repeats the address.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(it) = cause.source() {
        cause = it;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::names::Found;
    use super::*;

    /// Finds everything in the local network.
    struct Nearby;

    impl Resolver for Nearby {
        fn resolve(&self, _: &str) -> Found {
            Box::pin(std::future::ready(Ok(vec![SocketAddr::from(([192, 168, 1, 5], 0))])))
        }
    }

    #[tokio::test]
    async fn a_name_in_the_local_network_is_shut_and_the_setting_that_opens_it_told() {
        let rules = HostRules::public_and("webhook_hosts", ["nas.lan"]);
        let client = Client::new(rules, Arc::new(Nearby), Arc::default()).unwrap();
        let request = |url: &str| Request {
            method: "POST".into(),
            url: Url::parse(url).unwrap(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(5),
            max_body_bytes: 10,
        };
        let shut = client.send_straight(request("http://home.example:8123/")).await.unwrap_err();
        let told = "home.example is at 192.168.1.5, a private address; the setting webhook_hosts must name home.example";
        assert_eq!(shut.to_string(), told);
        let literal = client.send_straight(request("http://127.0.0.1/")).await.unwrap_err();
        assert!(literal.to_string().ends_with("the setting webhook_hosts must name 127.0.0.1"), "{literal}");
        assert_eq!(client.check(&Url::parse("http://nas.lan:8123/").unwrap()), Ok(()));
    }
}
