//! The secret values of a plugin's config: whatever the host tells of a script, they are not in it.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// Secrets of former configs that are still known.
const MOST_FORMER: usize = 64;

/// Shorter values would blacken every other word.
const SHORTEST_BYTES: usize = 4;

/// The secrets of a running plugin.
#[derive(Default)]
pub struct Secrets {
    /// The keys of the config that hold them.
    keys: Arc<[String]>,
    /// Their values, and those of former configs.
    ever: ArcSwap<Vec<String>>,
}

impl Secrets {
    /// What `config` holds under `keys`.
    pub fn new(keys: Arc<[String]>, config: &Value) -> Self {
        let secrets = Secrets { keys, ..Secrets::default() };
        secrets.read(config);
        secrets
    }

    /// Takes the values of a new config; the former ones stay known.
    pub fn read(&self, config: &Value) {
        let mut values = Vec::new();
        for key in self.keys.iter() {
            collect(&config[key.as_str()], &mut values);
        }
        // A secret that contains another one goes first.
        values.sort_by_key(|it: &String| std::cmp::Reverse(it.len()));
        let mut ever = values.clone();
        ever.extend(self.ever.load().iter().filter(|it| !values.contains(it)).take(MOST_FORMER).cloned());
        ever.sort_by_key(|it: &String| std::cmp::Reverse(it.len()));
        self.ever.store(Arc::new(ever));
    }

    /// The keys of the config that hold secrets.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Whether `text` is a secret, or was one.
    pub fn is_known(&self, text: &str) -> bool {
        self.ever.load().iter().any(|it| it == text)
    }

    /// `text` with everything blackened that is or was a secret; none when there is nothing of it.
    pub fn mask_ever(&self, text: &str) -> Option<String> {
        let values = self.ever.load();
        let mut masked: Option<String> = None;
        for secret in values.iter() {
            let text = masked.as_deref().unwrap_or(text);
            if text.contains(secret.as_str()) {
                masked = Some(text.replace(secret.as_str(), MASK));
            }
        }
        masked
    }

    /// `text` with every secret blackened that is or was one: a value that was replaced, or refused, may still open doors.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.mask_ever(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(it) if it.len() >= SHORTEST_BYTES => into.push(it.clone()),
        Value::Number(it) if it.to_string().len() >= SHORTEST_BYTES => into.push(it.to_string()),
        Value::Array(items) => items.iter().for_each(|it| collect(it, into)),
        Value::Object(map) => map.values().for_each(|it| collect(it, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand_also_after_a_change() {
        let keys: Arc<[String]> = Arc::from(["token".to_owned(), "more".to_owned()]);
        let secrets =
            Secrets::new(keys, &json!({"token": "abcd", "more": ["abcdef", 12345], "open": "plain"}));
        assert_eq!(secrets.mask("abcdef abcd 12345 plain"), "*** *** *** plain");
        assert!(matches!(secrets.mask("nothing here"), Cow::Borrowed(_)));
        secrets.read(&json!({"token": "wxyz"}));
        assert_eq!(secrets.mask("abcd wxyz"), "*** ***");
    }
}
