//! Permissions: which there are, which a folder has as soon as it asks, and what an admin's grant adds.

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::lua::permission::{Grant, Permissions};

/// Permissions a manifest may ask for.
pub const NAMES: &[&str] = &[
    "admin_page",
    "assets",
    "clips",
    "db",
    "events",
    "fs",
    "http",
    "kv",
    "log",
    "media",
    "notify",
    "process",
    "provide",
    "recordings",
    "routes",
    "schedule",
];

/// Permissions that lie in the folder's own hands; the others wait for the admin.
const AT_ONCE: &[&str] =
    &["assets", "clips", "db", "kv", "log", "notify", "recordings", "routes", "schedule"];

/// What a plugin has as soon as it asks.
pub fn at_once(requested: &Permissions) -> Permissions {
    requested.filtered(|name| AT_ONCE.contains(&name))
}

/// What a plugin has: what it asks for of its own, and what it asks for and was granted.
pub fn in_force(requested: &Permissions, granted: &Permissions) -> Permissions {
    at_once(requested).or(&requested.and(granted))
}

/// What a plugin asks for and does not have.
pub fn waiting(requested: &Permissions, granted: &Permissions) -> Permissions {
    requested.without(&in_force(requested, granted))
}

/// Reads what an admin grants.
///
/// # Errors
/// Every fault with its pointer below `at`.
pub fn read(map: &Map<String, Value>, at: &str) -> Result<Permissions, Vec<FieldError>> {
    let (mut permissions, mut faults) = (Permissions::default(), Vec::new());
    for (name, value) in map {
        let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (NAMES.contains(&name.as_str()), read_grant(value)) {
            (false, _) => {
                let message = format!("is no permission; known are {}", NAMES.join(", "));
                faults.push(FieldError { pointer, message });
            }
            (true, None) => {
                faults.push(FieldError {
                    pointer,
                    message: "must be true, false or a list of texts".to_owned(),
                });
            }
            (true, Some(grant)) => {
                permissions.0.insert(name.clone(), grant);
            }
        }
    }
    if faults.is_empty() { Ok(permissions) } else { Err(faults) }
}

/// `true`, `false`, one part or a list of parts.
pub(super) fn read_grant(value: &Value) -> Option<Grant> {
    match value {
        Value::Bool(whole) => Some(Grant::Whole(*whole)),
        Value::String(part) => Some(Grant::Parts(vec![part.clone()])),
        Value::Array(parts) => {
            let texts: Option<Vec<String>> = parts.iter().map(|it| it.as_str().map(str::to_owned)).collect();
            texts.map(Grant::Parts)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Permissions {
        read(value.as_object().unwrap(), "").unwrap()
    }

    #[test]
    fn a_plugin_has_what_it_asks_for_and_was_granted_and_nothing_else() {
        let requested = of(json!({"http": ["a.example", "b.example"], "db": true, "process": ["ffmpeg"]}));
        let granted = of(json!({"http": ["b.example", "c.example"], "media": true, "process": true}));
        let has = in_force(&requested, &granted);
        assert_eq!(has, of(json!({"http": ["b.example"], "db": true, "process": ["ffmpeg"]})));
        assert_eq!(waiting(&requested, &granted), of(json!({"http": ["a.example"]})));
    }

    #[test]
    fn a_wrong_grant_is_told_with_its_place() {
        let wrong = json!({"htp": true, "http": 7});
        let faults = read(wrong.as_object().unwrap(), "/permissions").unwrap_err();
        let pointers: Vec<&str> = faults.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(pointers, ["/permissions/htp", "/permissions/http"]);
    }
}
