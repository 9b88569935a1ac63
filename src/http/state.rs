//! The pieces of the server that requests need.

use std::sync::{Arc, OnceLock};

use actix_web::HttpRequest;

use crate::config::Settings;
use crate::error::{Code, Result};
use crate::plugins::Manager;
use crate::services::{Services, tokens};

use super::acts::Attempts;
use super::meta::{Identity, Meta, key_of};
use super::metrics::RouteTimes;
use super::middleware::limiter::{Admission, Strangers};
use super::route::Route;

/// Whether the server is fit for work, as somebody else knows it.
pub type IsReady = Arc<dyn Fn() -> bool + Send + Sync>;

/// Shared by all workers.
pub struct HttpState {
    /// What the product does.
    pub services: Services,
    /// The plugins.
    pub manager: Manager,
    /// The settings in force.
    pub settings: Arc<Settings>,
    pub(super) admission: Admission,
    pub(super) strangers: Strangers,
    /// What keys tried in vain.
    pub(super) attempts: Attempts,
    ready: IsReady,
    /// How long requests took that no route answered.
    pub(super) unrouted: RouteTimes,
    timed: OnceLock<Vec<(String, &'static str, Arc<RouteTimes>)>>,
}

impl HttpState {
    /// The pieces; `ready` answers `/readyz`.
    pub fn new(services: Services, manager: Manager, ready: IsReady) -> Self {
        let settings = Arc::clone(&services.settings);
        let admission = Admission::new(settings.max_requests);
        HttpState {
            services,
            manager,
            settings,
            admission,
            strangers: Strangers::default(),
            attempts: Attempts::default(),
            ready,
            unrouted: RouteTimes::default(),
            timed: OnceLock::new(),
        }
    }

    /// Remembers the routes whose times are counted.
    pub(super) fn set_routes(&self, routes: &[Route]) {
        let timed = routes.iter().map(|it| (it.method.to_string(), it.path, Arc::clone(&it.times)));
        let _ = self.timed.set(timed.collect());
    }

    /// How long requests took: method, route, times.
    pub(super) fn route_times(&self) -> impl Iterator<Item = (String, &'static str, &RouteTimes)> {
        let routed = self
            .timed
            .get()
            .into_iter()
            .flatten()
            .map(|(method, path, times)| (method.clone(), *path, &**times));
        routed.chain([("any".to_owned(), "none", &self.unrouted)])
    }

    /// Whether requests will be served.
    pub(super) fn is_ready(&self) -> bool {
        (self.ready)()
    }

    /// Who a request comes from: looked up once, by the client's own headers.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn identify(&self, req: &HttpRequest) -> Result<Identity> {
        let meta = Meta::of(req);
        if let Some(identity) = meta.identity() {
            return Ok(identity.clone());
        }
        let identity = match key_of(req.headers()).map(|key| tokens::authenticate(&self.services, key)) {
            None => Identity::Nobody(Code::KeyMissing),
            Some(Ok(token)) => Identity::Key(token),
            Some(Err(error)) if error.code == Code::KeyInvalid => Identity::Nobody(Code::KeyInvalid),
            Some(Err(error)) => return Err(error),
        };
        Ok(meta.set_identity(identity).clone())
    }
}
