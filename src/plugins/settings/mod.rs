//! The values of a plugin's config: default < plugin.yaml < database < environment, each with its source.
//!
//! A layer says a key's value as a whole; a variable may say parts of it. What an object leaves out has the schema's defaults.

mod change;
mod faults;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::model::plugin::ConfigRow;
use crate::model::spelling::find_similar;
use crate::model::time::Timestamp;

use super::env::PluginEnv;
use super::problem::Problem;
use super::schema::Schema;

pub use change::{ConfigChange, Places};
pub use faults::{ConfigFault, Declared};
pub use variables::FromVariables;

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
    /// True when a variable of the environment decides about it, or about a part of it.
    pub locked: bool,
    /// The names of those variables.
    pub variables: Vec<String>,
    /// True when the schema says writeOnly: the value is never shown.
    pub secret: bool,
    /// What the schema calls it.
    pub title: Option<String>,
    /// What the schema says of it.
    pub description: Option<String>,
    /// What may be wrong with it: nothing declares the key; or the stored secret cannot be opened.
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
    /// What the variables of the environment say, by key.
    pub env: BTreeMap<String, FromVariables>,
}

impl Layers {
    /// Puts the layers together and reads the plugin's variables.
    pub fn new(plugin: &str, schema: Schema, yaml: Map<String, Value>, env: &PluginEnv) -> Self {
        let env = variables::read(plugin, &schema, &yaml, env);
        Layers { schema, yaml, env }
    }

    /// The config in force.
    pub fn effective(&self, stored: &[ConfigRow]) -> Map<String, Value> {
        let mut config = self.below_variables(stored);
        for (key, said) in &self.env {
            let below = config.remove(key);
            config.insert(key.clone(), said.over(below));
        }
        self.schema.complete(&mut config);
        config
    }

    /// The config as it is without variables: what a change is made to.
    pub fn below_variables(&self, stored: &[ConfigRow]) -> Map<String, Value> {
        let mut config = self.schema.defaults();
        config.extend(self.yaml.clone());
        let opened = stored.iter().filter(|it| it.fault.is_none());
        config.extend(opened.map(|row| (row.key.clone(), row.value.clone())));
        self.schema.complete(&mut config);
        config
    }

    /// Whether a variable of the environment decides about a key.
    pub fn is_locked(&self, key: &str) -> bool {
        self.env.contains_key(key)
    }

    /// Where the value of a key comes from.
    pub fn source_of(&self, key: &str, stored: &[ConfigRow]) -> ConfigSource {
        match () {
            () if self.is_locked(key) => ConfigSource::Environment,
            () if stored.iter().any(|it| it.key == key) => ConfigSource::Database,
            () if self.yaml.contains_key(key) => ConfigSource::Yaml,
            () => ConfigSource::Default,
        }
    }

    /// Whether the value of a key is never shown: the schema says so, or said so when it was stored.
    pub fn is_secret(&self, key: &str, stored: &[ConfigRow]) -> bool {
        self.schema.is_secret(key) || stored.iter().any(|it| it.key == key && it.sealed)
    }

    /// The keys whose values, or parts of them, are never shown.
    pub fn secret_keys(&self, stored: &[ConfigRow]) -> Arc<[String]> {
        let sealed = stored.iter().filter(|it| it.sealed).map(|it| it.key.as_str());
        let known = self
            .schema
            .keys()
            .chain(self.yaml.keys().map(String::as_str))
            .chain(self.env.keys().map(String::as_str));
        let keys: BTreeSet<&str> = known.filter(|it| self.schema.is_secret(it)).chain(sealed).collect();
        keys.into_iter().map(str::to_owned).collect()
    }

    /// Every value in force with its source, stored rows first.
    pub fn items(&self, stored: &[ConfigRow]) -> Vec<ConfigItem> {
        let mut config = self.effective(stored);
        let mut items: Vec<ConfigItem> = Vec::new();
        for row in stored {
            let value = config.remove(&row.key).unwrap_or_default();
            items.push(self.item(Some(row), row.key.clone(), value, stored));
        }
        items.extend(config.into_iter().map(|(key, value)| self.item(None, key, value, stored)));
        items
    }

    /// One value in force; none when the key has none.
    pub fn item_of(&self, key: &str, stored: &[ConfigRow]) -> Option<ConfigItem> {
        self.items(stored).into_iter().find(|it| it.key == key)
    }

    /// What is odd about a key that neither schema nor manifest knows; none where they leave keys open.
    fn unknown(&self, key: &str) -> Option<String> {
        let known: Vec<&str> = self.schema.keys().chain(self.yaml.keys().map(String::as_str)).collect();
        if self.schema.is_open() || known.contains(&key) && self.schema.meant(key).is_none() {
            return None;
        }
        match find_similar(key, known.iter().copied().filter(|it| *it != key)) {
            Some(near) => {
                Some(format!("nothing declares a key `{key}` of the config; did you mean `{near}`?"))
            }
            None if known.is_empty() => None,
            None => {
                Some(format!("nothing declares a key `{key}` of the config; there are {}", known.join(", ")))
            }
        }
    }

    /// Complaints about variables that set keys which nothing declares.
    pub fn unknown_variables(&self) -> Vec<Problem> {
        let odd = self.env.iter().filter_map(|(key, said)| Some((said, self.unknown(key)?)));
        let told = odd.map(|(said, why)| format!("{}: {why}", said.names.join(", ")));
        told.map(|message| Problem { file: String::new(), line: None, message }).collect()
    }

    fn item(&self, row: Option<&ConfigRow>, key: String, value: Value, stored: &[ConfigRow]) -> ConfigItem {
        let (secret, source) = (self.is_secret(&key, stored), self.source_of(&key, stored));
        let said = |keyword| self.schema.said(&key, keyword).and_then(Value::as_str).map(str::to_owned);
        let meant = self.unknown(&key);
        let shut = row.and_then(|it| it.fault.clone()).filter(|_| source == ConfigSource::Database);
        ConfigItem {
            id: row.map(|it| it.id),
            locked: self.is_locked(&key),
            variables: self.env.get(&key).map(|it| it.names.clone()).unwrap_or_default(),
            value: if secret { Value::Null } else { value },
            title: said("title"),
            description: said("description"),
            key,
            source,
            secret,
            hint: shut.or(meant),
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
        let (sealed, outdated, fault) = (false, false, None);
        ConfigRow { id, key: key.to_owned(), value, sealed, outdated, fault, created_at: at, updated_at: at }
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
        assert_eq!(of("c").variables, ["PANOTTI_PLUGIN_P__C"]);
        assert_eq!((&of("apiKey").value, of("apiKey").secret), (&Value::Null, true));
    }

    #[test]
    fn a_key_that_nothing_declares_is_told_with_the_one_that_was_meant() {
        let stored = [row(1, "apikei", json!("x")), row(2, "zzz", json!(1)), row(3, "b", json!(1))];
        let items = layers().items(&stored);
        let hint =
            |key: &str| items.iter().find(|it| it.key == key).unwrap().hint.clone().unwrap_or_default();
        assert!(hint("apikei").ends_with("did you mean `apiKey`?"), "{}", hint("apikei"));
        assert!(hint("zzz").contains("there are a, ") && hint("b").is_empty(), "{}", hint("zzz"));
        let set = [("PANOTTI_PLUGIN_P__LEVLE".to_owned(), "1".to_owned())];
        let yaml = json!({ "level": 2 }).as_object().unwrap().clone();
        let of = |schema: Value| {
            let schema = Schema::parse(schema).unwrap();
            Layers::new("p", schema, yaml.clone(), &PluginEnv::new(set.clone(), &[])).unknown_variables()
        };
        let told = of(json!({ "properties": {} }))[0].to_string();
        assert!(
            told.starts_with("PANOTTI_PLUGIN_P__LEVLE: ") && told.ends_with("did you mean `level`?"),
            "{told}"
        );
        for open in
            [json!({ "allOf": [{ "properties": { "levle": {} } }] }), json!({ "additionalProperties": true })]
        {
            assert!(of(open.clone()).is_empty(), "{open}");
        }
    }

    #[test]
    fn what_was_stored_as_a_secret_stays_one_when_the_schema_forgets_it() {
        let mut sealed = row(1, "list", json!([1]));
        sealed.sealed = true;
        let items = layers().items(&[sealed.clone()]);
        let item = items.iter().find(|it| it.key == "list").unwrap();
        assert_eq!((&item.value, item.secret), (&Value::Null, true));
        assert_eq!(*layers().secret_keys(&[sealed]), ["apiKey".to_owned(), "list".to_owned()]);
    }

    #[test]
    fn an_object_is_said_as_a_whole_and_completed_with_its_defaults() {
        let schema = Schema::parse(json!({ "properties": { "net": { "type": "object", "properties": {
            "host": { "default": "localhost" }, "port": { "type": "integer", "default": 80 }
        } } } }))
        .unwrap();
        let set = [("PANOTTI_PLUGIN_P__NET__PORT".to_owned(), "81".to_owned())];
        let yaml = json!({ "net": { "host": "a", "more": 1 } }).as_object().unwrap().clone();
        let layers = Layers::new("p", schema, yaml, &PluginEnv::new(set, &[]));
        assert_eq!(layers.effective(&[])["net"], json!({ "host": "a", "more": 1, "port": 81 }));
        let stored = [row(1, "net", json!({ "port": 1 }))];
        assert_eq!(layers.below_variables(&stored)["net"], json!({ "port": 1, "host": "localhost" }));
        let item = layers.item_of("net", &stored).unwrap();
        assert_eq!(
            (item.locked, item.variables.as_slice()),
            (true, &["PANOTTI_PLUGIN_P__NET__PORT".to_owned()][..])
        );
    }
}
