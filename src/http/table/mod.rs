//! Every route, by what it is about; of two that fit a path, the first one is taken.

mod admin;
mod code;
mod events;
mod fails;
mod library;
mod observe;
mod plugins;
mod uploads;

use super::route::Route;

const DIGEST: &[&str] = &["Repr-Digest"];
const WANTS: &[&str] = &["Want-Repr-Digest"];
const IF_MATCH: &[&str] = &["If-Match"];
const IF_NONE: &[&str] = &["If-None-Match"];
const IF_EITHER: &[&str] = &["If-Match", "If-None-Match"];
const ONCE: &[&str] = &["Idempotency-Key"];
const RANGE: &[&str] = &["Range", "If-Range", "If-None-Match"];

/// The table of routes.
pub(super) fn routes() -> Vec<Route> {
    let parts = [
        library::routes(),
        uploads::routes(),
        observe::routes(),
        code::routes(),
        plugins::routes(),
        events::routes(),
        admin::routes(),
    ];
    parts.into_iter().flatten().collect()
}
