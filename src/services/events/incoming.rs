//! What clients send as an event, in the product's own shape or as CloudEvents 1.0.

use serde_json::{Map, Value};

use crate::config::did_you_mean;
use crate::error::{Error, FieldError, Result};
use crate::events::EventDraft;
use crate::model::event::{Priority, RESERVED_SEGMENTS, check_event_type, is_reserved_type, ttl_of_seconds};
use crate::model::time::{MissingOffset, Timestamp};
use crate::services::fields::escape;

/// Bytes of a subject.
const MAX_SUBJECT_BYTES: usize = 256;
/// Bytes of the source and the id of a CloudEvent.
const MAX_NAME_BYTES: usize = 1024;

const FIELDS: &[&str] = &["type", "subject", "data", "priority", "ttl"];

/// Reads `{type, subject?, data?, priority?, ttl?}`.
///
/// # Errors
/// `Invalid` with all faults.
pub(super) fn plain(body: Map<String, Value>) -> Result<EventDraft> {
    let mut reading = Reading { body, at: String::new(), faults: Vec::new() };
    let kind = reading.kind();
    let (subject, priority) = (reading.subject(), reading.priority());
    let ttl = match reading.take("ttl") {
        None => None,
        Some(value) => {
            let seconds = value.as_f64().ok_or_else(|| "must be a number of seconds".to_owned());
            reading.checked("ttl", seconds.and_then(ttl_of_seconds))
        }
    };
    let data = reading.body.shift_remove("data").unwrap_or_default().into();
    for key in reading.body.keys().cloned().collect::<Vec<_>>() {
        let guess = did_you_mean(&key, FIELDS.iter().copied());
        reading.fault(&escape(&key), format!("is not a field here; known are {}{guess}", FIELDS.join(", ")));
    }
    reading.done(EventDraft { kind, subject, data, priority, ttl })
}

/// Reads a CloudEvent that stands at `at` in the body; also its source and id, which name it.
///
/// # Errors
/// `Invalid` with all faults.
pub(super) fn cloud_event(
    body: Map<String, Value>,
    at: &str,
    now: Timestamp,
) -> Result<(EventDraft, (String, String))> {
    let mut reading = Reading { body, at: at.to_owned(), faults: Vec::new() };
    if reading.body.get("specversion").and_then(Value::as_str) != Some("1.0") {
        reading.fault("specversion", "must be \"1.0\"".to_owned());
    }
    let (source, id) = (reading.name("source"), reading.name("id"));
    let kind = reading.kind();
    let (subject, priority) = (reading.subject(), reading.priority());
    let ttl = match reading.take("expirytime") {
        None => None,
        Some(value) => {
            let read = Timestamp::from_json(&value, MissingOffset::Refused).and_then(|it| {
                let left = it.seconds_since(now);
                if left > 0.0 { ttl_of_seconds(left) } else { Err("lies in the past".to_owned()) }
            });
            reading.checked("expirytime", read)
        }
    };
    if reading.body.contains_key("data_base64") {
        reading.fault("data_base64", "is not taken: the data of an event is JSON, in `data`".to_owned());
    }
    if let Some(media) = reading.take("datacontenttype")
        && !media.as_str().is_some_and(is_json)
    {
        reading.fault("datacontenttype", "must be a media type of JSON, such as application/json".to_owned());
    }
    let data = reading.body.shift_remove("data").unwrap_or_default().into();
    reading.done((EventDraft { kind, subject, data, priority, ttl }, (source, id)))
}

/// Whether a media type is JSON.
pub fn is_json(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || media == "text/json" || media.ends_with("+json")
}

/// An object that is being read.
struct Reading {
    body: Map<String, Value>,
    at: String,
    faults: Vec<FieldError>,
}

impl Reading {
    /// A field that is there and not null.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.body.shift_remove(name).filter(|it| !it.is_null())
    }

    fn kind(&mut self) -> String {
        let Some(kind) = self.take("type") else {
            self.fault("type", "is required".to_owned());
            return String::new();
        };
        let checked = match kind.as_str() {
            None => Err("must be text".to_owned()),
            Some(kind) => check_event_type(kind).and_then(|()| check_free(kind)),
        };
        self.checked("type", checked);
        kind.as_str().unwrap_or_default().to_owned()
    }

    fn subject(&mut self) -> Option<String> {
        let subject = self.take("subject")?;
        let fits = subject.as_str().filter(|it| (1..=MAX_SUBJECT_BYTES).contains(&it.len()));
        let plain = fits.filter(|it| !it.chars().any(char::is_control)).map(str::to_owned);
        let wrong = || format!("must be text of 1 to {MAX_SUBJECT_BYTES} bytes without control characters");
        self.checked("subject", plain.ok_or_else(wrong))
    }

    fn priority(&mut self) -> Priority {
        let Some(sent) = self.take("priority") else { return Priority::Normal };
        let read =
            serde_json::from_value(sent).map_err(|_| "must be low, normal, high or critical".to_owned());
        self.checked("priority", read).unwrap_or_default()
    }

    /// An attribute that a CloudEvent must have.
    fn name(&mut self, name: &str) -> String {
        let sent = self.take(name);
        let text = sent.as_ref().and_then(Value::as_str);
        let fits = text.filter(|it| (1..=MAX_NAME_BYTES).contains(&it.len())).map(str::to_owned);
        self.checked(name, fits.ok_or_else(|| format!("must be text of 1 to {MAX_NAME_BYTES} bytes")))
            .unwrap_or_default()
    }

    fn checked<T>(&mut self, name: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|message| self.fault(name, message)).ok()
    }

    fn fault(&mut self, name: &str, message: String) {
        self.faults.push(FieldError { pointer: format!("{}/{name}", self.at), message });
    }

    fn done<T>(self, read: T) -> Result<T> {
        if self.faults.is_empty() { Ok(read) } else { Err(Error::fields(self.faults)) }
    }
}

/// Refuses the types that only the product itself tells.
fn check_free(kind: &str) -> Result<(), String> {
    match is_reserved_type(kind) {
        false => Ok(()),
        true => Err(format!(
            "must not begin with {}: the server alone tells those",
            RESERVED_SEGMENTS.iter().map(|it| format!("`{it}.`")).collect::<Vec<_>>().join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn pointers(error: &Error) -> Vec<&str> {
        error.errors.iter().map(|it| it.pointer.as_str()).collect()
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let wrong = json!({ "type": "clip.sold", "subject": "", "priority": "urgent", "ttl": 0, "dta": 1 });
        let error = plain(map(wrong)).unwrap_err();
        assert_eq!(pointers(&error), ["/type", "/subject", "/priority", "/ttl", "/dta"]);
        assert!(error.errors[0].message.contains("`clip.`"), "{error:?}");
        assert!(error.errors[4].message.contains("data"), "{error:?}");
        let error = plain(map(json!({ "type": "No Such" }))).unwrap_err();
        assert!(error.detail.contains("a-z 0-9 _ joined by dots"), "{error:?}");
        assert_eq!(pointers(&plain(Map::new()).unwrap_err()), ["/type"]);
    }

    #[test]
    fn an_event_keeps_what_it_was_sent_with() {
        let sent = json!({ "type": "shop.sold", "subject": "s/1", "data": [1, null], "priority": "high", "ttl": 1.5 });
        let draft = plain(map(sent)).unwrap();
        assert_eq!((draft.kind.as_str(), draft.subject.as_deref()), ("shop.sold", Some("s/1")));
        assert_eq!((&*draft.data, draft.priority), (&json!([1, null]), Priority::High));
        assert_eq!(draft.ttl, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_cloud_event_needs_its_attributes_and_may_carry_others() {
        let now = Timestamp(0);
        let sent = json!({
            "specversion": "1.0", "id": "1", "source": "/shop", "type": "shop.sold", "traceparent": "00-x",
            "time": "2025-01-01T00:00:00Z", "datacontenttype": "application/json; charset=utf-8",
            "expirytime": "1970-01-01T00:00:02Z", "data": { "a": 1 },
        });
        let (draft, identity) = cloud_event(map(sent), "", now).unwrap();
        assert_eq!(identity, ("/shop".to_owned(), "1".to_owned()));
        assert_eq!((draft.ttl, &*draft.data), (Some(Duration::from_secs(2)), &json!({ "a": 1 })));
        let wrong = json!({ "specversion": "0.3", "type": "a.b", "datacontenttype": "text/xml", "data_base64": "AA==" });
        let error = cloud_event(map(wrong), "/3", now).unwrap_err();
        let expected = ["/3/specversion", "/3/source", "/3/id", "/3/data_base64", "/3/datacontenttype"];
        assert_eq!(pointers(&error), expected);
    }
}
