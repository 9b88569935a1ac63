//! Finds recorded calls, wherever they are held.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::model::trace::{Trace, TraceHead, number_of};

use super::{Recorded, TraceFilter, Traces};

impl Traces {
    /// At most `limit` calls that are `wanted`, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, wanted: TraceFilter, limit: i64) -> Result<Vec<TraceHead>> {
        let asked = wanted.clone();
        let mut found = self.0.store.read_async(move |it| it.list_traces(&asked, limit)).await?;
        let known: BTreeSet<i64> = found.iter().map(|it| it.number).collect();
        let held = self.held(wanted.plugin.as_deref());
        found.extend(
            held.iter().map(|it| it.head()).filter(|it| wanted.wants(it) && !known.contains(&it.number)),
        );
        found.sort_unstable_by_key(|it| std::cmp::Reverse(it.number));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// The call with this id.
    ///
    /// # Errors
    /// [`Code::TraceNotFound`].
    pub async fn get(&self, id: &str) -> Result<Trace> {
        let missing = || {
            let shown: String = id.chars().take(40).collect();
            Error::new(
                Code::TraceNotFound,
                format!("No recorded call has the id `{}`.", shown.escape_debug()),
            )
        };
        let number = number_of(id).ok_or_else(missing)?;
        if let Some(held) = self.held(None).iter().find(|it| it.number() == number) {
            return Ok(held.trace());
        }
        self.0.store.read_async(move |it| it.trace_of_call(number)).await?.ok_or_else(missing)
    }

    /// The last `limit` calls of a plugin's hooks that can be run again, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn last(&self, plugin: &Arc<str>, limit: usize) -> Result<Vec<Trace>> {
        let mut held = self.held(Some(plugin));
        held.sort_unstable_by_key(|it| std::cmp::Reverse(it.number()));
        let mut found: Vec<Trace> = held.iter().take(limit * 2).map(|it| it.trace()).collect();
        let (name, asked) = (Arc::clone(plugin), i64::try_from(limit).unwrap_or(i64::MAX));
        let known: BTreeSet<String> = found.iter().map(|it| it.id.clone()).collect();
        let stored = self.0.store.read_async(move |it| it.last_traces(&name, asked)).await?;
        found.extend(stored.into_iter().filter(|it| !known.contains(&it.id)));
        found.retain(|it| it.hook != "load" && it.why_not_replayable().is_none());
        found.sort_by_key(|it| std::cmp::Reverse(number_of(&it.id)));
        found.truncate(limit);
        Ok(found)
    }

    /// Calls that are held in memory, of one plugin or of all.
    fn held(&self, plugin: Option<&str>) -> Vec<Arc<dyn Recorded>> {
        let plugins = self.0.plugins.read();
        let of_these = plugins.iter().filter(|(name, _)| plugin.is_none_or(|it| it == &***name));
        of_these.flat_map(|(_, it)| it.held()).collect()
    }
}
