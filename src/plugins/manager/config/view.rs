//! What clients are told of a plugin's config.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::FieldError;
use crate::model::plugin::ConfigRow;
use crate::plugins::env::variable_of;
use crate::plugins::settings::{ConfigFault, ConfigItem, Layers};

/// What a plugin's config may be.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ConfigSchema {
    /// The plugin.
    pub plugin: String,
    /// The manifest's `config_schema`, without secret values; null when it has none: every value is taken then.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// The keys that it describes or that have a value, in its order.
    pub keys: Vec<ConfigKey>,
}

/// One key of a plugin's config.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ConfigKey {
    /// The key in `panotti.config`.
    pub key: String,
    /// What the schema calls it.
    pub title: Option<String>,
    /// What the schema says of it.
    pub description: Option<String>,
    /// The schema's default; null when there is none, or when it is secret.
    pub default: Value,
    /// Whether the plugin does not run without it.
    pub required: bool,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Whether it has a value.
    pub set: bool,
    /// Whether a variable of the environment decides about it.
    pub locked: bool,
    /// The variable that would.
    pub variable: String,
}

/// What would come of a change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ConfigCheck {
    /// Whether the config is right then, and the change would not be refused for what it sets.
    pub ok: bool,
    /// Everything that is wrong with the whole config then.
    pub faults: Vec<ConfigFault>,
    /// Why the change would be refused although its values are right: variables that decide.
    pub locked: Option<String>,
    /// The keys whose stored values would be others.
    pub changed: Vec<String>,
    /// The config that would be in force.
    pub items: Vec<ConfigItem>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ConfigChanged {
    /// The plugin.
    pub plugin: String,
    /// The keys whose stored values are others now.
    pub changed: Vec<String>,
    /// How many values there are.
    pub total: usize,
    /// Every value in force.
    pub items: Vec<ConfigItem>,
}

impl ConfigSchema {
    pub(super) fn of(plugin: &str, layers: &Layers, stored: &[ConfigRow]) -> Self {
        let (config, defaults) = (layers.effective(stored), layers.schema.defaults());
        let described: Vec<&str> = layers.schema.keys().collect();
        let others = config.keys().map(String::as_str).filter(|it| !described.contains(it));
        let view = |key: &str| {
            let secret = layers.is_secret(key, stored);
            let said = |keyword| layers.schema.said(key, keyword).and_then(Value::as_str).map(str::to_owned);
            ConfigKey {
                title: said("title"),
                description: said("description"),
                default: defaults.get(key).filter(|_| !secret).cloned().unwrap_or_default(),
                required: layers.schema.requires(key),
                set: config.contains_key(key),
                locked: layers.is_locked(key),
                variable: variable_of(plugin, key),
                key: key.to_owned(),
                secret,
            }
        };
        let keys = described.iter().copied().chain(others).map(view).collect();
        ConfigSchema { plugin: plugin.to_owned(), schema: layers.schema.shown(), keys }
    }
}

/// Adds what is wrong with the change itself, such as the length of a key.
pub(super) fn add_own(faults: &mut Vec<ConfigFault>, own: Vec<FieldError>) {
    for FieldError { pointer, message } in own {
        if !faults.iter().any(|it| it.pointer == pointer && it.message == message) {
            faults.push(ConfigFault {
                pointer,
                message,
                source: None,
                file: None,
                line: None,
                variables: Vec::new(),
            });
        }
    }
}
