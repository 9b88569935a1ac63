//! What a plugin may do: each permission is granted whole or as a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The grants of one generation, by the permission's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions(pub BTreeMap<String, Grant>);

/// How far a permission goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Grant {
    /// `true`: everything the permission covers; `false`: nothing.
    Whole(bool),
    /// The listed parts alone, for instance `[read]` or host names.
    Parts(Vec<String>),
}

/// A door that a plugin found shut for want of a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The plugin.
    pub plugin: Arc<str>,
    /// Its generation.
    pub generation: u64,
    /// What it lacked, as `name` or `name:part`.
    pub permission: String,
    /// The function it called, as `panotti.http.get`.
    pub function: String,
    /// The file that called, below the plugin's folder.
    pub file: Option<String>,
    /// The line that called.
    pub line: Option<u32>,
    /// The hook (`load`, `task`, `event`) it ran in.
    pub hook: Option<&'static str>,
}

/// Takes note of doors that were shut.
pub type DeniedSink = Arc<dyn Fn(Denied) + Send + Sync>;

impl Permissions {
    /// Whether `permission` is granted at all.
    pub fn has(&self, permission: &str) -> bool {
        match self.0.get(permission) {
            Some(Grant::Whole(all)) => *all,
            Some(Grant::Parts(parts)) => !parts.is_empty(),
            None => false,
        }
    }

    /// Whether `permission` is granted for `part`; `name:part` is what manifests and errors call it.
    pub fn allows(&self, permission: &str, part: &str) -> bool {
        match self.0.get(permission) {
            Some(Grant::Whole(all)) => *all,
            Some(Grant::Parts(parts)) => parts.iter().any(|it| it == part),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_grants_its_parts_and_true_grants_all() {
        let text = r#"{"recordings": ["read"], "clips": true, "media": false}"#;
        let permissions: Permissions = serde_json::from_str(text).unwrap();
        assert!(permissions.allows("recordings", "read") && !permissions.allows("recordings", "write"));
        assert!(permissions.allows("clips", "write") && permissions.has("recordings"));
        assert!(!permissions.has("media") && !permissions.has("http"));
    }
}
