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
            (true, Some(grant)) => match check(name, &grant) {
                Ok(()) => _ = permissions.0.insert(name.clone(), grant),
                Err(message) => faults.push(FieldError { pointer, message }),
            },
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

/// Whether the parts of a grant are such as the permission has.
///
/// # Errors
/// What is wrong, as a clause.
pub(super) fn check(name: &str, grant: &Grant) -> Result<(), String> {
    let Grant::Parts(parts) = grant else { return Ok(()) };
    let (is_part, example): (fn(&str) -> bool, &str) = match name {
        "recordings" | "clips" => (|it| matches!(it, "read" | "write"), "`read` and `write`"),
        "events" => (is_word, "the first words of reserved types, such as `recording`"),
        "fs" => (is_folder, "folders such as `recordings:read`, `clips:write` or `/srv/media:read`"),
        "http" => (is_host, "hosts such as `api.example`, `*.example`, `nas:5000` or `localhost:11434`"),
        "process" => (is_word, "names of tools, such as `ffmpeg`"),
        _ => {
            let said = parts.first().map(String::as_str).unwrap_or_default();
            return Err(format!("is granted whole: must be true or false, not `{said}`"));
        }
    };
    match parts.iter().find(|it| !is_part(it)) {
        Some(wrong) => Err(format!("`{}` is no part of it; its parts are {example}", wrong.escape_debug())),
        None => Ok(()),
    }
}

fn is_word(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|it| it.is_ascii_alphanumeric() || "_-.+".contains(it))
}

fn is_folder(part: &str) -> bool {
    let Some((folder, may)) = part.rsplit_once(':') else { return false };
    matches!(may, "read" | "write") && (matches!(folder, "recordings" | "clips") || folder.starts_with('/'))
}

fn is_host(part: &str) -> bool {
    let part = part.strip_prefix("local:").unwrap_or(part);
    let part = part.strip_prefix("*.").unwrap_or(part);
    let is_name = |it: char| it.is_alphanumeric() || "-_.:[]".contains(it);
    part.chars().next().is_some_and(|it| it.is_alphanumeric() || it == '[') && part.chars().all(is_name)
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
    fn a_part_that_a_permission_does_not_have_is_told() {
        for (wrong, part) in [
            (json!({"db": "no"}), "`no`"),
            (json!({"routes": ["x"]}), "true or false"),
            (json!({"recordings": ["raed"]}), "`read` and `write`"),
            (json!({"http": ["http://api.example/x"]}), "hosts such as"),
            (json!({"http": [""]}), "hosts such as"),
            (json!({"fs": ["/srv"]}), "/srv/media:read"),
            (json!({"fs": ["relative/x:read"]}), "/srv/media:read"),
            (json!({"process": ["/usr/bin/ffmpeg"]}), "`ffmpeg`"),
        ] {
            let faults = read(wrong.as_object().unwrap(), "").unwrap_err();
            assert!(faults[0].message.contains(part), "{wrong}: {}", faults[0].message);
        }
        of(
            json!({"http": ["*.a.example", "local:nas:5000", "[::1]:80", "10.0.0.1"], "fs": ["clips:write", "/srv/a b:read"],
            "events": ["recording"], "db": false, "process": ["ffmpeg", "yt-dlp"], "recordings": "read"}),
        );
    }

    #[test]
    fn a_wrong_grant_is_told_with_its_place() {
        let wrong = json!({"htp": true, "http": 7});
        let faults = read(wrong.as_object().unwrap(), "/permissions").unwrap_err();
        let pointers: Vec<&str> = faults.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(pointers, ["/permissions/htp", "/permissions/http"]);
    }
}
