//! Takes what is secret out of what is written down.

use serde_json::Value;

use crate::lua::secrets::{MASK, Secrets};

/// Names whose values nobody is told, wherever they stand.
const SECRET_NAMES: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api_key",
    "apikey",
    "password",
    "passwd",
    "secret",
    "client_secret",
    "token",
    "access_token",
    "refresh_token",
    "private_key",
];

/// Takes secrets out, and counts them.
pub struct Mask<'a> {
    secrets: &'a Secrets,
    /// How many were taken out.
    pub count: usize,
}

impl<'a> Mask<'a> {
    /// With the secrets of a plugin.
    pub fn new(secrets: &'a Secrets) -> Self {
        Mask { secrets, count: 0 }
    }

    /// `value` without secrets.
    pub fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => items.iter().map(|it| self.value(it)).collect(),
            Value::Object(map) => {
                let masked = map.iter().map(|(key, it)| {
                    let shown = match it.is_null() || !self.is_secret(key) {
                        true => self.value(it),
                        false => self.hide(),
                    };
                    (self.text(key), shown)
                });
                Value::Object(masked.collect())
            }
            Value::Number(it) => {
                let text = it.to_string();
                if text.len() >= 4 && self.secrets.is_known(&text) { self.hide() } else { value.clone() }
            }
            other => other.clone(),
        }
    }

    /// `text` without secrets.
    pub fn text(&mut self, text: &str) -> String {
        match self.secrets.mask_ever(text) {
            Some(masked) => {
                self.count += 1;
                masked
            }
            None => text.to_owned(),
        }
    }

    fn is_secret(&self, key: &str) -> bool {
        SECRET_NAMES.iter().any(|it| it.eq_ignore_ascii_case(key))
            || self.secrets.keys().iter().any(|it| it.eq_ignore_ascii_case(key))
    }

    fn hide(&mut self) -> Value {
        self.count += 1;
        MASK.into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_by_their_value_and_by_their_name_also_those_of_a_former_config() {
        let keys: Arc<[String]> = Arc::from(["pin".to_owned(), "deep".to_owned()]);
        let secrets =
            Secrets::new(keys, &json!({"pin": 123_456, "deep": {"a": "hidden-word"}, "open": "plain"}));
        secrets.read(&json!({"pin": 1, "deep": {"a": "another"}}));
        let mut mask = Mask::new(&secrets);
        let value = json!({
            "headers": {"Authorization": "Bearer x", "accept": "*/*"}, "url": "https://x/?k=hidden-word&n=another",
            "list": [123_456, "plain", {"PIN": 7}], "token": null,
        });
        assert_eq!(
            mask.value(&value),
            json!({
                "headers": {"Authorization": "***", "accept": "*/*"}, "url": "https://x/?k=***&n=***",
                "list": ["***", "plain", {"PIN": "***"}], "token": null,
            })
        );
        assert_eq!(mask.count, 4);
    }
}
