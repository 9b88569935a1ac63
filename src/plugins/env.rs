//! Variables in the values of a manifest: `${VAR}`, `${VAR:-default}`, and `$$` for one dollar sign.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

/// Variables that begin so may be read by every manifest.
const PREFIX: &str = "PANOTTI_PLUGIN_";

/// The variables that manifests may read.
#[derive(Debug, Clone, Default)]
pub struct PluginEnv(BTreeMap<String, String>);

impl PluginEnv {
    /// Keeps the variables named `PANOTTI_PLUGIN_*` and those the admin listed.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, listed: &[String]) -> Self {
        // What opens secrets is not for plugins, whatever the list says.
        let readable = |name: &String| {
            name.starts_with(PREFIX) || (listed.contains(name) && !name.starts_with("PANOTTI_SECRET"))
        };
        PluginEnv(variables.into_iter().filter(|(name, _)| readable(name)).collect())
    }

    /// The variables for a plugin's config, `PANOTTI_PLUGIN_<NAME>__<KEY>`: what follows the plugin's name, the name, the text.
    pub fn of_plugin(&self, plugin: &str) -> impl Iterator<Item = (&str, &str, &str)> {
        let start = format!("{PREFIX}{}__", shout(plugin));
        self.0.iter().filter_map(move |(name, text)| {
            let rest = name.strip_prefix(&start).filter(|it| !it.is_empty())?;
            Some((rest, name.as_str(), text.as_str()))
        })
    }

    /// Variables that look like those for the config of a plugin, of which there is none of `plugins`.
    pub fn of_none<'a>(&'a self, plugins: &[String]) -> impl Iterator<Item = &'a str> {
        let starts: Vec<String> = plugins.iter().map(|it| format!("{PREFIX}{}__", shout(it))).collect();
        let names = self.0.keys().map(String::as_str);
        let of_some = names.filter(|it| it.strip_prefix(PREFIX).is_some_and(|it| it.contains("__")));
        of_some.filter(move |name| !starts.iter().any(|it| name.starts_with(it)))
    }

    /// Puts the variables into `text`; whether there were any, and the result.
    ///
    /// # Errors
    /// A sentence for each variable that may not be read, is missing, or is not closed.
    pub fn fill(&self, text: &str) -> Result<(String, bool), Vec<String>> {
        let (mut out, mut faults, mut filled) = (String::with_capacity(text.len()), Vec::new(), false);
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(inner) = after.strip_prefix('{') {
                let Some(end) = inner.find('}') else {
                    faults.push("`${` is not closed with `}`; write `$$` for a dollar sign".to_owned());
                    rest = "";
                    break;
                };
                match self.value(&inner[..end]) {
                    Ok(value) => out.push_str(value),
                    Err(fault) => faults.push(fault),
                }
                filled = true;
                rest = &inner[end + 1..];
            } else {
                out.push('$');
                rest = after;
            }
        }
        out.push_str(rest);
        if faults.is_empty() { Ok((out, filled)) } else { Err(faults) }
    }

    fn value<'a>(&'a self, inner: &'a str) -> Result<&'a str, String> {
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            return Err(format!("`${{{inner}}}` is not a variable; write ${{NAME}} or ${{NAME:-default}}"));
        }
        // As in a shell, an empty variable counts as unset where there is a default.
        let set = self.0.get(name).filter(|it| default.is_none() || !it.is_empty());
        if let Some(value) = set.map(String::as_str).or(default) {
            return Ok(value);
        }
        Err(match name.starts_with(PREFIX) {
            true => format!("the variable {name} is not set; set it, or write ${{{name}:-default}}"),
            false => format!(
                "the variable {name} may not be read or is not set; name it {PREFIX}…, or list it under plugin_env in panotti.yaml"
            ),
        })
    }
}

/// The value a text stands for when it is not quoted: true, false, null, a number, else the text.
pub fn infer(text: &str) -> Value {
    match text {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        "null" => return Value::Null,
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().next().is_some_and(|b| b.is_ascii_digit());
    // "007" is somebody's text, not seven.
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if !plain || padded {
        return Value::from(text);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    let number = digits.contains(['.', 'e', 'E']).then(|| text.parse::<f64>().ok()).flatten();
    number.and_then(Number::from_f64).map_or_else(|| Value::from(text), Value::Number)
}

/// The variable that sets a key of a plugin's config.
pub fn variable_of(plugin: &str, key: &str) -> String {
    format!("{PREFIX}{}__{}", shout(plugin), shout(key))
}

/// A name as it stands in a variable.
pub fn shout(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn env() -> PluginEnv {
        let set =
            [("PANOTTI_PLUGIN_TO", "06:00"), ("HOME", "/home/me"), ("LISTED", "x"), ("PANOTTI_PLUGIN_E", "")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        PluginEnv::new(set, &["LISTED".to_owned()])
    }

    #[test]
    fn variables_defaults_and_dollar_signs_are_filled_in() {
        let fill = |text: &str| env().fill(text).unwrap().0;
        assert_eq!(fill("until ${PANOTTI_PLUGIN_TO}!"), "until 06:00!");
        assert_eq!(fill("${LISTED}${PANOTTI_PLUGIN_NONE:-a:b}"), "xa:b");
        assert_eq!(fill("${PANOTTI_PLUGIN_E:-full}${PANOTTI_PLUGIN_E}"), "full");
        assert_eq!(fill("$5 $${PANOTTI_PLUGIN_TO} $"), "$5 ${PANOTTI_PLUGIN_TO} $");
    }

    #[test]
    fn what_may_not_be_read_or_is_missing_is_told_all_at_once() {
        let faults = env().fill("${HOME} ${PANOTTI_PLUGIN_NONE} ${a b} ${open").unwrap_err();
        assert_eq!(faults.len(), 4);
        assert!(faults[0].contains("plugin_env") && !faults[0].contains("/home/me"), "{}", faults[0]);
        assert!(faults[1].contains("${PANOTTI_PLUGIN_NONE:-default}"), "{}", faults[1]);
    }

    #[test]
    fn types_are_inferred_but_padded_numbers_stay_text() {
        for (text, value) in [
            ("8080", json!(8080)),
            ("-1.5", json!(-1.5)),
            ("true", json!(true)),
            ("06:00", json!("06:00")),
            ("007", json!("007")),
            ("0", json!(0)),
            ("inf", json!("inf")),
            ("", json!("")),
            ("99999999999999999999", json!("99999999999999999999")),
        ] {
            assert_eq!(infer(text), value, "{text}");
        }
    }

    #[test]
    fn a_variable_of_its_own_sets_a_config_key() {
        let set = [("PANOTTI_PLUGIN_QUIET_HOURS__API_KEY".to_owned(), "k".to_owned())];
        let env = PluginEnv::new(set, &[]);
        let set = ("API_KEY", "PANOTTI_PLUGIN_QUIET_HOURS__API_KEY", "k");
        assert_eq!(env.of_plugin("quiet-hours").collect::<Vec<_>>(), [set]);
        assert_eq!(env.of_plugin("quiet_hours").collect::<Vec<_>>(), [set]);
        assert_eq!(env.of_plugin("quiet").count(), 0);
    }

    #[test]
    fn what_opens_secrets_is_not_for_plugins_even_when_it_is_listed() {
        let set = [("PANOTTI_SECRET_KEY".to_owned(), "k".to_owned())];
        let env = PluginEnv::new(set, &["PANOTTI_SECRET_KEY".to_owned()]);
        assert!(env.fill("${PANOTTI_SECRET_KEY}").is_err());
    }
}
