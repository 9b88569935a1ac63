//! Names the events that lead to each other in a circle.

use crate::error::Result;
use crate::model::call::Caller;
use crate::store::Reader;

/// Events that are named when none of them comes twice.
const NAMED: usize = 4;

/// Events that are looked at: the most that `limits.event_depth` allows, and the one that may not be.
const LOOKED_AT: usize = 65;

/// The way from the last event like it to the event `kind` that `source` would publish for `caller`, such as
/// `a.ping (plugin/left) -> a.pong (plugin/right) -> a.ping (plugin/left)`; its end when there is none like it.
///
/// # Errors
/// The store's.
pub(super) fn path(reader: &mut Reader, caller: &Caller, kind: &str, source: &str) -> Result<String> {
    let mut steps = match caller.causation_id.as_deref() {
        Some(id) => reader.event_causes(id, LOOKED_AT)?,
        None => Vec::new(),
    };
    let like_it = steps.iter().position(|(a, b)| a == kind && b == source);
    let is_cut = like_it.is_none() && steps.len() > NAMED;
    steps.truncate(like_it.map_or(NAMED, |it| it + 1));
    let new = (kind.to_owned(), source.to_owned());
    let named = steps.into_iter().rev().chain([new]).map(|(kind, source)| format!("{kind} ({source})"));
    let path = named.collect::<Vec<_>>().join(" -> ");
    Ok(if is_cut { format!("… -> {path}") } else { path })
}
