//! Which route a request is for: one tree for all workers, whatever the number of routes.

use std::io;
use std::sync::Arc;

use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::error::{Code, Error};

use super::problem;
use super::reply;
use super::route::Route;

/// The most `{parts}` a path may have.
const MAX_PARTS: usize = 4;

/// All routes, by their paths.
pub struct Router {
    tree: matchit::Router<Arc<Place>>,
}

/// One path and what it takes.
struct Place {
    names: Vec<&'static str>,
    routes: Vec<Route>,
    allow: HeaderValue,
}

/// The `{parts}` of a path, and where they are in that of the request.
#[derive(Clone, Default)]
pub struct Parts([(&'static str, u32, u32); MAX_PARTS]);

impl Parts {
    /// The first part and its name, if the path has one.
    pub fn first<'r>(&self, req: &'r HttpRequest) -> Option<(&'static str, &'r str)> {
        let (name, ..) = *self.0.first().filter(|it| !it.0.is_empty())?;
        Some((name, self.get(req, name)?))
    }

    /// The part of that name in `req`, as sent but for its escapes.
    pub fn get<'r>(&self, req: &'r HttpRequest, name: &str) -> Option<&'r str> {
        let (_, from, to) = self.0.iter().find(|it| it.0 == name)?;
        path_of(req).get(*from as usize..*to as usize)
    }
}

impl Router {
    /// Every path answers with and without a trailing slash.
    ///
    /// # Errors
    /// Two paths cannot be told apart, or one has too many parts.
    pub fn new(routes: &[Route]) -> io::Result<Self> {
        let mut paths: Vec<&'static str> = Vec::new();
        for route in routes {
            if !paths.contains(&route.path) {
                paths.push(route.path);
            }
        }
        let mut tree = matchit::Router::new();
        // What takes any rest of a path comes last: an empty rest is its own only where nothing else is.
        let (rests, plain): (Vec<&str>, Vec<&str>) = paths.into_iter().partition(|it| rest_of(it).is_some());
        for path in plain {
            let place = Arc::new(Place::new(path, routes)?);
            insert(&mut tree, path.to_owned(), &place)?;
            insert(&mut tree, format!("{path}/"), &place)?;
        }
        for path in rests {
            let Some((before, name)) = rest_of(path) else { continue };
            let place = Arc::new(Place::new(path, routes)?);
            insert(&mut tree, format!("{before}{{*{name}}}"), &place)?;
            if tree.at(before).is_err() {
                insert(&mut tree, before.to_owned(), &place)?;
            }
        }
        Ok(Router { tree })
    }

    /// Answers a request.
    pub async fn answer(&self, req: ServiceRequest) -> ServiceResponse {
        let (req, payload) = req.into_parts();
        let response = self.response(&req, payload).await;
        ServiceResponse::new(req, response)
    }

    async fn response(&self, req: &HttpRequest, payload: Payload) -> HttpResponse {
        let path = path_of(req);
        let Ok(found) = self.tree.at(path) else { return not_found(req) };
        let place = found.value;
        let mut parts = Parts::default();
        for ((slot, name), (_, value)) in parts.0.iter_mut().zip(&place.names).zip(found.params.iter()) {
            let from = value.as_ptr() as usize - path.as_ptr() as usize;
            *slot = (name, from as u32, (from + value.len()) as u32);
        }
        let method = if req.method() == Method::HEAD { &Method::GET } else { req.method() };
        match place.routes.iter().find(|it| it.method == method) {
            Some(route) => route.run(req.clone(), payload, parts).await,
            None => place.other_method(req),
        }
    }
}

impl Place {
    fn new(path: &'static str, routes: &[Route]) -> io::Result<Self> {
        let names: Vec<&'static str> = path
            .split('/')
            .filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
            .map(|it| it.split_once(':').map_or(it, |(name, _)| name))
            .collect();
        if names.len() > MAX_PARTS {
            return Err(io::Error::other(format!("`{path}` has more than {MAX_PARTS} parts")));
        }
        let routes: Vec<Route> = routes.iter().filter(|it| it.path == path).cloned().collect();
        let allow = HeaderValue::from_str(&allow_header(&routes)).map_err(io::Error::other)?;
        Ok(Place { names, routes, allow })
    }

    fn other_method(&self, req: &HttpRequest) -> HttpResponse {
        let mut response = match req.method() == Method::OPTIONS {
            true => reply::no_content(),
            false => {
                let allow = self.allow.to_str().unwrap_or_default();
                let detail = format!("`{}` takes {allow}.", req.path().escape_debug());
                problem::answer(Error::new(Code::MethodNotAllowed, detail), req)
            }
        };
        response.headers_mut().insert(header::ALLOW, self.allow.clone());
        response
    }
}

/// The path of a request without its escapes, but for those that would change its meaning.
fn path_of(req: &HttpRequest) -> &str {
    req.match_info().as_str()
}

/// What comes before a part that takes the whole rest of a path, and its name.
fn rest_of(path: &str) -> Option<(&str, &str)> {
    let (before, name) = path.strip_suffix(":.*}")?.rsplit_once('{')?;
    Some((before, name))
}

fn insert(tree: &mut matchit::Router<Arc<Place>>, path: String, place: &Arc<Place>) -> io::Result<()> {
    tree.insert(path.clone(), Arc::clone(place))
        .map_err(|fault| io::Error::other(format!("`{path}`: {fault}")))
}

/// Answers a path that no route has.
fn not_found(req: &HttpRequest) -> HttpResponse {
    let detail = format!("There is no route `{} {}`.", req.method(), req.path().escape_debug());
    problem::answer(Error::new(Code::NotFound, detail), req)
}

/// The methods of a path, as the Allow header lists them.
fn allow_header(here: &[Route]) -> String {
    let mut methods: Vec<&str> = Vec::new();
    for route in here {
        methods.push(route.method.as_str());
        if route.method == Method::GET {
            methods.push("HEAD");
        }
    }
    if !methods.contains(&"OPTIONS") {
        methods.push("OPTIONS");
    }
    methods.join(", ")
}
