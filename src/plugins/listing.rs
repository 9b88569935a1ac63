//! Which plugins are listed, and in which order.

use std::cmp::Ordering;

use crate::model::plugin::PluginState;

use super::status::PluginView;

/// Which plugins are listed.
#[derive(Debug, Clone, Default)]
pub struct PluginFilter {
    /// Text in name, display name or description.
    pub q: Option<String>,
    /// Of this type.
    pub plugin_type: Option<String>,
    /// Meant to run, or not.
    pub enabled: Option<bool>,
    /// Doing this.
    pub state: Option<PluginState>,
}

impl PluginFilter {
    /// Whether a plugin is wanted.
    pub fn wants(&self, plugin: &PluginView) -> bool {
        let has =
            |text: Option<&str>, wanted: &str| text.is_some_and(|it| it.to_lowercase().contains(wanted));
        let found = self.q.as_ref().is_none_or(|q| {
            let q = q.to_lowercase();
            [Some(plugin.name.as_str()), plugin.display_name.as_deref(), plugin.description.as_deref()]
                .into_iter()
                .any(|it| has(it, &q))
        });
        found
            && self.plugin_type.as_ref().is_none_or(|it| *it == plugin.plugin_type)
            && self.enabled.is_none_or(|it| it == plugin.enabled)
            && self.state.is_none_or(|it| it == plugin.state)
    }
}

/// The order of a list of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginSort {
    by: SortBy,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum SortBy {
    #[default]
    Name,
    Id,
    State,
    StateSince,
    CreatedAt,
    UpdatedAt,
}

impl PluginSort {
    /// The names in the API; with `-` the other way round.
    pub const NAMES: &'static [&'static str] = &[
        "name",
        "-name",
        "id",
        "-id",
        "state",
        "-state",
        "state_since",
        "-state_since",
        "created_at",
        "-created_at",
        "updated_at",
        "-updated_at",
    ];

    /// The order of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        let (descending, by) = match name.strip_prefix('-') {
            Some(by) => (true, by),
            None => (false, name),
        };
        let by = match by {
            "name" => SortBy::Name,
            "id" => SortBy::Id,
            "state" => SortBy::State,
            "state_since" => SortBy::StateSince,
            "created_at" => SortBy::CreatedAt,
            "updated_at" => SortBy::UpdatedAt,
            _ => return None,
        };
        Some(PluginSort { by, descending })
    }

    /// Puts plugins into this order; equals by name.
    pub fn sort(self, plugins: &mut [PluginView]) {
        plugins.sort_by(|a, b| {
            let order = self.compare(a, b);
            let order = if self.descending { order.reverse() } else { order };
            order.then_with(|| a.name.cmp(&b.name))
        });
    }

    fn compare(self, a: &PluginView, b: &PluginView) -> Ordering {
        match self.by {
            SortBy::Name => a.name.cmp(&b.name),
            SortBy::Id => a.id.cmp(&b.id),
            SortBy::State => a.state.as_str().cmp(b.state.as_str()),
            SortBy::StateSince => a.state_since.cmp(&b.state_since),
            SortBy::CreatedAt => a.created_at.cmp(&b.created_at),
            SortBy::UpdatedAt => a.updated_at.cmp(&b.updated_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_an_order_is_one() {
        assert!(PluginSort::NAMES.iter().all(|it| PluginSort::from_name(it).is_some()));
        assert_eq!((PluginSort::from_name("colour"), PluginSort::from_name("--id")), (None, None));
    }
}
