//! The actix server: workers, connections, deadlines.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, fn_service};
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use crate::config::Tls;

use super::router::Router;
use super::sse::Carried;
use super::state::HttpState;
use super::{middleware, routes};

/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The head of a request must be complete within this.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Before it, TLS must be agreed on within this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves on a listener that is bound already, HTTPS alone when there is a certificate; runs once it is awaited, and
/// stops by its handle.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(state: HttpState, listener: TcpListener, tls: Option<Tls>) -> io::Result<Server> {
    let workers = state.settings.http_workers;
    let connections = state.settings.max_connections.div_ceil(workers);
    let shutdown_s = state.settings.shutdown_s;
    let origins = state.settings.cors_origins.clone();
    let state = Data::new(state);
    let table = routes();
    state.set_routes(&table);
    let router = Arc::new(Router::new(&table)?);
    let server = HttpServer::new(move || {
        let router = Arc::clone(&router);
        App::new()
            .app_data(state.clone())
            .wrap(from_fn(middleware::lead))
            .wrap(middleware::cors::allow(&origins))
            .wrap(Condition::new(!origins.is_empty(), from_fn(middleware::cors::guard)))
            .default_service(fn_service(move |req| {
                let router = Arc::clone(&router);
                async move { Ok(router.answer(req).await) }
            }))
    });
    let server = server
        .on_connect(|_, kept| _ = kept.insert(Carried::default()))
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
        .max_connections(connections)
        // A client that goes away cancels what it asked for, the plugins' questions included.
        .h1_allow_half_closed(false)
        .shutdown_timeout(shutdown_s)
        .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls.config)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}
