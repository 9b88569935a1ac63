//! What an event tells.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

/// The data of an event: JSON, or the text of it, which is read when somebody looks into it. Most of what is told goes
/// to the journal as the text that was answered, and nobody does. Cheap to clone.
#[derive(Clone)]
pub struct EventData(Arc<Told>);

struct Told {
    text: Option<Arc<str>>,
    value: OnceLock<Arc<Value>>,
}

impl EventData {
    /// Data that were written out already; `text` is JSON.
    pub fn of_text(text: Arc<str>) -> Self {
        EventData(Arc::new(Told { text: Some(text), value: OnceLock::new() }))
    }

    /// The data as JSON.
    pub fn value(&self) -> &Arc<Value> {
        let read = || self.0.text.as_deref().and_then(|it| serde_json::from_str(it).ok());
        self.0.value.get_or_init(|| Arc::new(read().unwrap_or_default()))
    }

    /// The data as text, where they were written out.
    pub fn text(&self) -> Option<&Arc<str>> {
        self.0.text.as_ref()
    }
}

impl Deref for EventData {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value()
    }
}

impl From<Arc<Value>> for EventData {
    fn from(value: Arc<Value>) -> Self {
        EventData(Arc::new(Told { text: None, value: value.into() }))
    }
}

impl From<Value> for EventData {
    fn from(value: Value) -> Self {
        EventData::from(Arc::new(value))
    }
}

impl Default for EventData {
    fn default() -> Self {
        EventData::from(Value::Null)
    }
}

impl PartialEq for EventData {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl fmt::Debug for EventData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_that_were_written_out_are_the_json_that_they_say() {
        let value = json!({"b": [1, null, 0.1], "a": "\u{fc}\n"});
        let told = EventData::of_text(value.to_string().into());
        assert_eq!((told["b"][2].as_f64(), told.clone()), (Some(0.1), EventData::from(value.clone())));
        assert_eq!(told.text().map(|it| it.to_string()), Some(value.to_string()));
        assert_eq!((EventData::from(value).text(), EventData::default().is_null()), (None, true));
    }
}
