//! Which plugin changed which field.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::{TimeText, Timestamp};

/// Changes by the JSON pointer of what was changed, in the order in which they were first made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance(IndexMap<String, Change>);

/// A plugin's change of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Who made it.
    pub plugin: Arc<str>,
    /// In which hook.
    pub hook: Cow<'static, str>,
    /// When.
    pub at: Timestamp,
}

impl Provenance {
    /// Notes a change; the one before it of the same field is forgotten.
    pub fn note(&mut self, pointer: &str, change: Change) {
        self.0.insert(pointer.to_owned(), change);
    }

    /// The last change of what `pointer` points at.
    pub fn of(&self, pointer: &str) -> Option<&Change> {
        self.0.get(pointer)
    }

    /// Whether no plugin changed anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all changes but those of fields for which `keep` is true.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|pointer, _| keep(pointer));
    }
}

impl Serialize for Provenance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told<'a> {
            plugin: &'a str,
            hook: &'a str,
            at: &'a str,
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        let mut last: Option<(Timestamp, TimeText)> = None;
        for (pointer, Change { plugin, hook, at }) in &self.0 {
            // What a call changes is changed at one time, which is written out once.
            let text = last.filter(|(known, _)| known == at).map_or_else(|| at.text(), |it| it.1);
            last = Some((*at, text));
            map.serialize_entry(pointer, &Told { plugin, hook, at: text.as_str() })?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Provenance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Kept {
            plugin: String,
            hook: String,
            at: Timestamp,
        }
        let Kept { plugin, hook, at } = Kept::deserialize(deserializer)?;
        Ok(Change { plugin: plugin.into(), hook: hook.into(), at })
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Provenance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changes by JSON pointers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Provenance, A::Error> {
        let mut changes = IndexMap::new();
        while let Some((pointer, change)) = map.next_entry()? {
            changes.insert(pointer, change);
        }
        Ok(Provenance(changes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_back_from_their_text_in_their_order() {
        let mut changes = Provenance::default();
        let made = [
            ("/tags", "a", 1),
            ("/metadata/x", "b", 1_500_000),
            ("/tags", "c", 1_500_000),
            ("/title", "c", 2),
        ];
        for (pointer, plugin, us) in made {
            let (hook, at) = ("on_clip_captured".into(), Timestamp(us));
            changes.note(pointer, Change { plugin: plugin.into(), hook, at });
        }
        let text = serde_json::to_string(&changes).unwrap();
        assert!(
            text.starts_with(
                r#"{"/tags":{"plugin":"c","hook":"on_clip_captured","at":"1970-01-01T00:00:01.500Z"},"/m"#
            ),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Provenance>(&text).unwrap(), changes);
        changes.retain(|pointer| pointer != "/tags");
        assert!(changes.of("/tags").is_none() && !changes.is_empty());
        assert!(serde_json::from_str::<Provenance>("{}").unwrap().is_empty());
    }
}
