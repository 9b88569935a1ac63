//! The types of events that the product itself tells, with what they mean.

/// Each type with when it is told and what its data is.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("clip.created", "A clip was made; the data is the clip."),
    ("clip.deleted", "A clip was deleted; the data is the clip as it was."),
    ("clip.processed", "`processed` of a clip went from false to true; the data is the clip."),
    ("clip.updated", "A clip was changed; the data is the clip."),
    ("config.changed", "A stored value of a plugin's config was changed; the data has its key."),
    (
        "plugin.config_changed",
        "Values of a plugin's config were changed in one step; the data has their keys and sources, never the values.",
    ),
    ("plugin.disabled", "A plugin was stopped, now and after a restart."),
    ("plugin.enabled", "A plugin was let run again."),
    (
        "plugin.health_changed",
        "What a plugin says of its health went from good to bad or back; the data has ok, message and outcome.",
    ),
    ("plugin.loaded", "A plugin was loaded."),
    ("plugin.notified", "A plugin has a word for the admin; the data has its title and message."),
    ("plugin.quarantined", "A plugin was put aside because it kept failing."),
    ("plugin.reload_failed", "A new version of a plugin did not load; the former one runs on."),
    ("plugin.reloaded", "A new version of a plugin took the place of the former one."),
    (
        "plugin.rolled_back",
        "A plugin went back to a former version; the data has both, why, and whether the server did it by itself.",
    ),
    (
        "plugin.state_changed",
        "A plugin came into another state; the data has from (null = the first one since the server started), to, reason and generation.",
    ),
    ("recording.deleted", "A recording was deleted; the data is the recording as it was."),
    ("recording.ended", "A recording ended; the data is the recording."),
    ("recording.started", "A recording started; the data is the recording."),
    ("recording.updated", "A recording was changed; the data is the recording."),
    ("track.stored", "A track of a recording lies whole on disk; the data is the track."),
    ("webhook.disabled", "A webhook was switched off because nothing reached it; the data is the webhook."),
];

/// What a type means, when the product itself tells it.
pub fn describe(kind: &str) -> Option<&'static str> {
    let found = BUILT_IN.binary_search_by(|(name, _)| (*name).cmp(kind)).ok()?;
    BUILT_IN.get(found).map(|(_, doc)| *doc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{check_event_type, is_reserved_type};

    #[test]
    fn all_are_reserved_types_in_order() {
        assert!(BUILT_IN.is_sorted_by(|a, b| a.0 < b.0));
        assert!(BUILT_IN.iter().all(|(kind, _)| check_event_type(kind).is_ok() && is_reserved_type(kind)));
        assert!(describe("clip.updated").is_some() && describe("clip.sold").is_none());
    }
}
