//! What a plugin may do: each permission is granted whole or as a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::net::HostRules;

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

impl Grant {
    /// Whether it opens anything.
    pub fn opens(&self) -> bool {
        match self {
            Grant::Whole(all) => *all,
            Grant::Parts(parts) => !parts.is_empty(),
        }
    }
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
    /// The schedule whose run it was.
    pub schedule: Option<Arc<str>>,
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

    /// Those whose names `wanted` picks.
    pub fn filtered(&self, wanted: impl Fn(&str) -> bool) -> Permissions {
        let picked = self.0.iter().filter(|(name, _)| wanted(name));
        Permissions(picked.map(|(name, grant)| (name.clone(), grant.clone())).collect())
    }

    /// What both have.
    pub fn and(&self, other: &Permissions) -> Permissions {
        let mut both = BTreeMap::new();
        for (name, own) in &self.0 {
            let grant = match (own, other.0.get(name)) {
                (Grant::Whole(true), Some(grant)) | (grant, Some(Grant::Whole(true))) => grant.clone(),
                (Grant::Parts(own), Some(Grant::Parts(others))) => {
                    Grant::Parts(own.iter().filter(|it| others.contains(it)).cloned().collect())
                }
                _ => continue,
            };
            if grant.opens() {
                both.insert(name.clone(), grant);
            }
        }
        Permissions(both)
    }

    /// What any of both has.
    pub fn or(&self, other: &Permissions) -> Permissions {
        let mut any = self.filtered(|name| self.has(name));
        for (name, grant) in other.0.iter().filter(|(_, grant)| grant.opens()) {
            let sum = match (any.0.get(name), grant) {
                (Some(Grant::Parts(own)), Grant::Parts(others)) => {
                    let mut parts = own.clone();
                    parts.extend(others.iter().filter(|it| !own.contains(it)).cloned());
                    Grant::Parts(parts)
                }
                (Some(Grant::Whole(true)), _) => Grant::Whole(true),
                (_, grant) => grant.clone(),
            };
            any.0.insert(name.clone(), sum);
        }
        any
    }

    /// What this one has and the other has not.
    pub fn without(&self, other: &Permissions) -> Permissions {
        let mut rest = BTreeMap::new();
        for (name, own) in &self.0 {
            let grant = match (own, other.0.get(name)) {
                (_, Some(Grant::Whole(true))) => continue,
                (Grant::Parts(own), Some(Grant::Parts(others))) => {
                    Grant::Parts(own.iter().filter(|it| !others.contains(it)).cloned().collect())
                }
                (own, _) => own.clone(),
            };
            if grant.opens() {
                rest.insert(name.clone(), grant);
            }
        }
        Permissions(rest)
    }

    /// The hosts that `http` opens.
    pub fn hosts(&self) -> HostRules {
        match self.0.get("http") {
            Some(Grant::Whole(true)) => HostRules::everything(),
            Some(Grant::Parts(parts)) => HostRules::new(parts.iter().map(String::as_str)),
            _ => HostRules::default(),
        }
    }

    /// Whether `http` opens the host of `url`, whatever its name comes to.
    pub fn opens_host_of(&self, url: &Url) -> bool {
        self.hosts().opens(url)
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
    use proptest::prelude::*;

    use super::*;

    use proptest::prelude::any as some;

    fn any() -> impl Strategy<Value = Permissions> {
        let grant = prop_oneof![
            some::<bool>().prop_map(Grant::Whole),
            proptest::collection::vec("[a-c]", 0..3).prop_map(Grant::Parts)
        ];
        proptest::collection::btree_map("[x-z]", grant, 0..3).prop_map(Permissions)
    }

    proptest! {
        #[test]
        fn sums_and_differences_agree_with_what_each_allows(one in any(), other in any()) {
            for name in ["x", "y", "z"] {
                for part in ["a", "b", "c", "d"] {
                    let (in_one, in_other) = (one.allows(name, part), other.allows(name, part));
                    prop_assert_eq!(one.and(&other).allows(name, part), in_one && in_other);
                    prop_assert_eq!(one.or(&other).allows(name, part), in_one || in_other);
                    // A whole without some parts stays a whole: it is asked for, and not had.
                    if !one.allows(name, "d") {
                        prop_assert_eq!(one.without(&other).allows(name, part), in_one && !in_other);
                    }
                }
            }
        }
    }

    #[test]
    fn a_list_grants_its_parts_and_true_grants_all() {
        let text = r#"{"recordings": ["read"], "clips": true, "media": false}"#;
        let permissions: Permissions = serde_json::from_str(text).unwrap();
        assert!(permissions.allows("recordings", "read") && !permissions.allows("recordings", "write"));
        assert!(permissions.allows("clips", "write") && permissions.has("recordings"));
        assert!(!permissions.has("media") && !permissions.has("http"));
    }
}
