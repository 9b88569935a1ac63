//! The secret values of a plugin's config: whatever the host tells of a script, they are not in it.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;

/// What stands in the place of a secret.
const MASK: &str = "***";

/// Shorter values would blacken every other word.
const SHORTEST_BYTES: usize = 4;

/// The secrets of a running plugin.
#[derive(Default)]
pub struct Secrets {
    /// The keys of the config that hold them.
    keys: Arc<[String]>,
    values: ArcSwap<Vec<String>>,
}

impl Secrets {
    /// What `config` holds under `keys`.
    pub fn new(keys: Arc<[String]>, config: &Value) -> Self {
        let secrets = Secrets { keys, values: ArcSwap::default() };
        secrets.read(config);
        secrets
    }

    /// Takes the values of a new config; the former ones are no secrets any more.
    pub fn read(&self, config: &Value) {
        let mut values = Vec::new();
        for key in self.keys.iter() {
            collect(&config[key.as_str()], &mut values);
        }
        // A secret that contains another one goes first.
        values.sort_by_key(|it: &String| std::cmp::Reverse(it.len()));
        self.values.store(Arc::new(values));
    }

    /// `text` with every secret blackened.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let values = self.values.load();
        let mut masked = Cow::Borrowed(text);
        for secret in values.iter() {
            if masked.contains(secret.as_str()) {
                masked = Cow::Owned(masked.replace(secret.as_str(), MASK));
            }
        }
        masked
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
        assert_eq!(secrets.mask("abcd wxyz"), "abcd ***");
    }
}
