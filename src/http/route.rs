//! One row of the table of routes: what is served, to whom, and what the document says of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::error::{Code, Error, Result};
use crate::model::token::Scope;
use crate::services::timed;

use super::acts;
use super::call::{Access, Call};
use super::meta::Meta;
use super::metrics::RouteTimes;
use super::openapi::schema::SchemaFn;
use super::problem;
use super::query::Param;
use super::router::Parts;

/// The query parameters a route knows; none = it ignores its query.
type Known = Option<Vec<&'static [Param]>>;
type Runner = Arc<
    dyn Fn(HttpRequest, Payload, Parts, Arc<Known>) -> LocalBoxFuture<'static, HttpResponse> + Send + Sync,
>;

/// What a request brings.
#[derive(Clone, Copy)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// A JSON object.
    Json(SchemaFn),
    /// JSON of several kinds, each with its own content type; the first is what most send.
    JsonOf(&'static [(&'static str, SchemaFn)]),
    /// A JSON object, or nothing.
    JsonOrNothing(SchemaFn),
    /// The bytes of a file.
    Media,
    /// A piece of an upload (`application/offset+octet-stream`).
    Piece {
        /// Whether there must be one.
        required: bool,
    },
    /// Anything, or nothing.
    Anything,
}

/// What an answer brings.
#[derive(Clone, Copy)]
pub enum Gives {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(SchemaFn),
    /// The bytes of a file.
    Media,
    /// Lines of text.
    Text,
    /// A unified diff.
    Diff,
    /// Server-sent events.
    Events,
    /// A page or a part of one.
    Static,
}

/// One route.
#[derive(Clone)]
pub struct Route {
    /// The method; GET answers HEAD too.
    pub method: Method,
    /// The path with its `{parts}`.
    pub path: &'static str,
    /// What generated clients call it.
    pub operation: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// The scope the key needs, from the type of the handler.
    pub scope: Option<Scope>,
    /// The query parameters; none = the query is ignored.
    pub query: Arc<Known>,
    /// What it takes.
    pub takes: Takes,
    /// Statuses of success and what they bring.
    pub gives: Vec<(u16, Gives)>,
    /// What can go wrong beside what its shape implies.
    pub fails: &'static [Code],
    /// Request headers it understands.
    pub headers: Vec<&'static str>,
    /// Headers of its answers, beside those that all have.
    pub tells: Vec<&'static str>,
    /// How long its requests took.
    pub(super) times: Arc<RouteTimes>,
    run: Runner,
}

macro_rules! verbs {
    ($($verb:ident $method:ident;)*) => {$(
        #[doc = concat!("A `", stringify!($method), "` route; its scope is that of the handler's argument.")]
        pub fn $verb<A, H, F>(path: &'static str, operation: &'static str, handler: H, summary: &'static str) -> Route
        where
            A: Access,
            H: Fn(Call<A>) -> F + Copy + Send + Sync + 'static,
            F: Future<Output = Result<HttpResponse>> + 'static,
        {
            Route::new(Method::$method, path, operation, handler, summary)
        }
    )*};
}

verbs! { get GET; post POST; put PUT; patch PATCH; delete DELETE; options OPTIONS; }

impl Route {
    fn new<A, H, F>(
        method: Method,
        path: &'static str,
        operation: &'static str,
        handler: H,
        summary: &'static str,
    ) -> Self
    where
        A: Access,
        H: Fn(Call<A>) -> F + Copy + Send + Sync + 'static,
        F: Future<Output = Result<HttpResponse>> + 'static,
    {
        let times = Arc::<RouteTimes>::default();
        let own = Arc::clone(&times);
        let act = acts::act_of(&method, path, operation);
        let run: Runner = Arc::new(move |req, payload, parts, known| {
            Meta::of(&req).set_times(&own);
            let answer = async move {
                let own = parts.clone();
                // In a box of its own: each layer around it would have room for it twice, and move it as often.
                let work = async {
                    let call = Call::<A>::open(req.clone(), payload, own, (*known).as_deref()).await?;
                    handler(call).await
                };
                let work = Box::pin(work);
                let work = async {
                    match act {
                        Some(act) => acts::watched(act, &req, &parts, work).await,
                        None => work.await,
                    }
                };
                let work = async {
                    match Meta::of(&req).timing() {
                        Some(account) => timed(account, work).await,
                        None => work.await,
                    }
                };
                // A panic costs its own request an answer 500, and nobody else anything.
                let done = AssertUnwindSafe(work).catch_unwind().await;
                let done = done.unwrap_or_else(|panic| Err(Error::internal(panic_text(&*panic))));
                done.unwrap_or_else(|error| problem::answer(error, &req))
            };
            answer.boxed_local()
        });
        Route {
            method,
            path,
            operation,
            summary,
            scope: A::SCOPE,
            query: Arc::new(Some(Vec::new())),
            takes: Takes::Nothing,
            gives: Vec::new(),
            fails: &[],
            headers: Vec::new(),
            tells: Vec::new(),
            times,
            run,
        }
    }

    /// Knows these query parameters too.
    pub fn query(mut self, params: &'static [Param]) -> Self {
        Arc::make_mut(&mut self.query).get_or_insert_default().push(params);
        self
    }

    /// Ignores its query.
    pub fn any_query(mut self) -> Self {
        self.query = Arc::new(None);
        self
    }

    /// Takes a body.
    pub fn takes(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }

    /// Answers so when all went well.
    pub fn gives(mut self, status: u16, gives: Gives) -> Self {
        self.gives.push((status, gives));
        self
    }

    /// Can fail so, beside what its shape implies.
    pub fn fails(mut self, codes: &'static [Code]) -> Self {
        self.fails = codes;
        self
    }

    /// Understands these request headers.
    pub fn headers(mut self, names: &[&'static str]) -> Self {
        self.headers.extend_from_slice(names);
        self
    }

    /// Says so in headers when all went well.
    pub fn tells(mut self, names: &[&'static str]) -> Self {
        self.tells.extend_from_slice(names);
        self
    }

    /// Answers a request for it.
    pub(super) fn run(
        &self,
        req: HttpRequest,
        payload: Payload,
        parts: Parts,
    ) -> LocalBoxFuture<'static, HttpResponse> {
        (self.run)(req, payload, parts, Arc::clone(&self.query))
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", text.unwrap_or_default())
}
