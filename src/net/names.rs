//! From names to addresses: what a plugin's client connects to has passed here, so nothing can be put in its place later.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Reach, reach};
use super::rules::HostRules;

/// Addresses under way.
pub type Found = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Finds the addresses of names.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `name`; port 0 stands for the port of the request.
    fn resolve(&self, name: &str) -> Found;
}

/// Asks the system, as every program does.
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> Found {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    }
}

/// Names whose addresses the admin has fixed, as in `/etc/hosts`.
#[derive(Debug, Clone, Default)]
pub struct FixedNames(BTreeMap<String, SocketAddr>);

impl FixedNames {
    /// Reads `name=address` or `name=address:port`.
    ///
    /// # Errors
    /// The first entry that is neither.
    pub fn read(entries: &[String]) -> Result<Self, String> {
        let read = |entry: &String| {
            let (name, address) = entry.split_once('=')?;
            let whole = address.parse::<SocketAddr>().ok();
            let address = whole.or_else(|| Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, 0)))?;
            (!name.is_empty()).then(|| (name.to_ascii_lowercase(), address))
        };
        let entries = entries.iter().map(|it| read(it).ok_or_else(|| it.clone()));
        entries.collect::<Result<_, String>>().map(FixedNames)
    }

    /// Whether `name` is one of them.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn get(&self, name: &str) -> Option<SocketAddr> {
        self.0.get(name).copied()
    }
}

/// What stands between a client and the addresses.
pub(super) struct GuardedNames {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) fixed: Arc<FixedNames>,
    pub(super) rules: HostRules,
}

/// An address that the client may not connect to.
#[derive(Debug, thiserror::Error)]
#[error("{name} is at {address}, a {what} address")]
pub(super) struct Shut {
    name: String,
    address: IpAddr,
    what: &'static str,
}

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        if let Some(address) = self.fixed.get(&name) {
            return Box::pin(std::future::ready(Ok(Box::new(std::iter::once(address)) as Addrs)));
        }
        let may_be_local = self.rules.may_be_local(&name);
        let found = self.resolver.resolve(&name);
        Box::pin(async move {
            let found = found.await?;
            for address in &found {
                if let (Reach::Local(what), false) = (reach(address.ip()), may_be_local) {
                    return Err(Shut { name, address: address.ip(), what }.into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
