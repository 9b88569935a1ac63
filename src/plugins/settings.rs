//! The values of a plugin's config: default < plugin.yaml < database < environment, each with its source.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{Error, FieldError};
use crate::model::plugin::ConfigRow;
use crate::model::time::Timestamp;

use super::env::{PluginEnv, infer};
use super::schema::{NOT_THERE, Schema, first_segment};

/// Bytes of JSON one stored value may have.
const VALUE_MAX_BYTES: usize = 64 * 1024;
/// Characters a key may have.
const KEY_MAX: usize = 128;

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfigSource {
    /// The schema's default.
    Default,
    /// The manifest.
    Yaml,
    /// Set over HTTP.
    Database,
    /// A variable `PANOTTI_PLUGIN_<NAME>__<KEY>`; it cannot be changed over HTTP.
    Environment,
}

/// One value of a plugin's config, as it is in force.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ConfigItem {
    /// Number of the stored row; none when the value comes from elsewhere alone.
    pub id: Option<i64>,
    /// The key in `panotti.config`.
    pub key: String,
    /// The value in force; null when it is secret.
    pub value: Value,
    /// Where it comes from.
    pub source: ConfigSource,
    /// True when a variable of the environment decides.
    pub locked: bool,
    /// True when the schema says writeOnly: the value is never shown.
    pub secret: bool,
    /// What may be wrong with it: the schema does not know the key, and knows one much like it.
    pub hint: Option<String>,
    /// When the stored row was made (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
    /// When the stored row last changed (UTC).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
}

/// Everything that decides a plugin's config.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The schema with its defaults.
    pub schema: Schema,
    /// The manifest's values, variables filled in.
    pub yaml: Map<String, Value>,
    /// The values of variables.
    pub env: Map<String, Value>,
}

impl Layers {
    /// Puts the layers together and reads the plugin's variables.
    pub fn new(plugin: &str, schema: Schema, yaml: Map<String, Value>, env: &PluginEnv) -> Self {
        let known = schema.keys().map(str::to_owned).chain(yaml.keys().cloned());
        let mut keys: BTreeMap<String, String> =
            env.config_keys(plugin).into_iter().map(|key| (key.clone(), key)).collect();
        // A key whose spelling differs from its variable's (`apiKey`) keeps its own.
        for key in known.filter(|key| env.config_of(plugin, key).is_some()) {
            keys.insert(key.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_"), key);
        }
        let set = keys.into_values().filter_map(|key| {
            let text = env.config_of(plugin, &key)?;
            let value = if schema.wants_text(&key) { Value::from(text) } else { infer(text) };
            Some((key, value))
        });
        let env = set.collect();
        Layers { schema, yaml, env }
    }

    /// The config in force.
    pub fn effective(&self, stored: &[ConfigRow]) -> Map<String, Value> {
        let mut config = self.schema.defaults();
        config.extend(self.yaml.clone());
        config.extend(stored.iter().map(|row| (row.key.clone(), row.value.clone())));
        config.extend(self.env.clone());
        config
    }

    /// Every value in force with its source, stored rows first.
    pub fn items(&self, stored: &[ConfigRow]) -> Vec<ConfigItem> {
        let mut items: Vec<ConfigItem> = stored.iter().map(|row| self.stored_item(row)).collect();
        for (key, value) in self.effective(stored) {
            if stored.iter().any(|row| row.key == key) {
                continue;
            }
            let source = match (self.env.contains_key(&key), self.yaml.contains_key(&key)) {
                (true, _) => ConfigSource::Environment,
                (false, true) => ConfigSource::Yaml,
                (false, false) => ConfigSource::Default,
            };
            items.push(self.item(None, key, value, source));
        }
        items
    }

    /// One stored row as the API shows it: the value in force, which a variable may decide.
    pub fn stored_item(&self, row: &ConfigRow) -> ConfigItem {
        match self.env.get(&row.key) {
            Some(value) => self.item(Some(row), row.key.clone(), value.clone(), ConfigSource::Environment),
            None => self.item(Some(row), row.key.clone(), row.value.clone(), ConfigSource::Database),
        }
    }

    /// Checks one value that is to be stored, in the company of the others.
    ///
    /// # Errors
    /// 422 with every fault of this key, below `/value`.
    pub fn check_value(&self, key: &str, value: &Value, stored: &[ConfigRow]) -> Result<(), Error> {
        if key.is_empty() || key.chars().count() > KEY_MAX || key.chars().any(char::is_control) {
            return Err(Error::field(
                "/key",
                format!("must be 1 to {KEY_MAX} characters without control characters"),
            ));
        }
        if value.to_string().len() > VALUE_MAX_BYTES {
            return Err(Error::field("/value", format!("may have {VALUE_MAX_BYTES} bytes of JSON")));
        }
        let mut config = self.effective(stored);
        config.insert(key.to_owned(), value.clone());
        let faults: Vec<FieldError> = self
            .schema
            .check(&config)
            .into_iter()
            .filter(|it| first_segment(&it.pointer) == key)
            .map(|it| {
                let inner = it.pointer.trim_start_matches('/').split_once('/').map(|(_, rest)| rest);
                match inner {
                    None if it.message.starts_with(NOT_THERE) => {
                        FieldError { pointer: "/key".to_owned(), message: it.message }
                    }
                    Some(rest) => FieldError { pointer: format!("/value/{rest}"), message: it.message },
                    None => FieldError { pointer: "/value".to_owned(), message: it.message },
                }
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Error::fields(faults)) }
    }

    fn item(&self, row: Option<&ConfigRow>, key: String, value: Value, source: ConfigSource) -> ConfigItem {
        let secret = self.schema.is_secret(&key);
        let meant = self.schema.meant(&key);
        let hint = meant.map(|it| format!("config_schema does not describe `{key}`; did you mean `{it}`?"));
        ConfigItem {
            id: row.map(|it| it.id),
            locked: self.env.contains_key(&key),
            value: if secret { Value::Null } else { value },
            key,
            source,
            secret,
            hint,
            created_at: row.map(|it| it.created_at),
            updated_at: row.map(|it| it.updated_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: i64, key: &str, value: Value) -> ConfigRow {
        let at = Timestamp(0);
        ConfigRow { id, key: key.to_owned(), value, created_at: at, updated_at: at }
    }

    fn layers() -> Layers {
        let schema = Schema::parse(json!({ "properties": {
            "a": { "default": 1 }, "b": { "default": 1 }, "c": { "default": 1 }, "apiKey": { "type": "string", "writeOnly": true },
            "list": { "type": "array", "items": { "type": "integer" } }, "pin": { "type": "string" }
        }, "required": ["pin", "list"] }))
        .unwrap();
        let yaml = json!({ "b": 2, "c": 2 }).as_object().unwrap().clone();
        let set = [
            ("PANOTTI_PLUGIN_P__C", "4"),
            ("PANOTTI_PLUGIN_P__APIKEY", "123"),
            ("PANOTTI_PLUGIN_P__PIN", "0042"),
        ];
        let env = PluginEnv::new(set.map(|(k, v)| (k.to_owned(), v.to_owned())), &[]);
        Layers::new("p", schema, yaml, &env)
    }

    #[test]
    fn the_later_layer_wins_and_each_value_tells_its_source() {
        let stored = [row(7, "b", json!(3)), row(8, "c", json!(3))];
        let config = layers().effective(&stored);
        assert_eq!(config["a"], 1);
        assert_eq!(config["b"], 3);
        assert_eq!(config["c"], 4);
        assert_eq!((&config["apiKey"], &config["pin"]), (&json!("123"), &json!("0042")));
        assert!(!config.contains_key("apikey"));
        let items = layers().items(&stored);
        let of = |key: &str| items.iter().find(|it| it.key == key).unwrap();
        assert_eq!((of("a").source, of("a").id), (ConfigSource::Default, None));
        assert_eq!((of("b").source, of("b").id), (ConfigSource::Database, Some(7)));
        assert_eq!((of("c").source, of("c").id, of("c").locked), (ConfigSource::Environment, Some(8), true));
        assert_eq!((&of("apiKey").value, of("apiKey").secret), (&Value::Null, true));
    }

    #[test]
    fn a_value_is_checked_alone_among_the_others() {
        // `list` is required and missing, which is no fault of `a`.
        assert!(layers().check_value("a", &json!(5), &[]).is_ok());
        let error = layers().check_value("list", &json!([1, "x", "y"]), &[]).unwrap_err();
        let at: Vec<&str> = error.errors.iter().map(|it| it.pointer.as_str()).collect();
        assert_eq!(at, ["/value/1", "/value/2"]);
        assert_eq!(layers().check_value("", &json!(1), &[]).unwrap_err().errors[0].pointer, "/key");
    }
}
