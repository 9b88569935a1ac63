//! A recording as the plugins that are asked about it see it, and what a patch makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::hooks::{Field, Fields};
use crate::model::recording::{Recording, Track, TrackOrigin, TrackState};
use crate::services::fields::{Reading, into_text, set_metadata, take_patch};

use super::rules::START;

/// A recording that is about to start.
#[derive(Clone)]
pub(super) struct ShownRecording {
    pub(super) recording: Recording,
    pub(super) how: Reading,
}

impl Fields for ShownRecording {
    fn fields(&self) -> Vec<(&str, Field<'_>)> {
        let recording = &self.recording;
        vec![
            ("id", Field::Text(&recording.id)),
            ("title", Field::text(&recording.title)),
            ("status", Field::Text(recording.status.as_str())),
            ("started_at", Field::Time(recording.started_at)),
            ("ended_at", Field::time(recording.ended_at)),
            ("duration", Field::number(recording.duration)),
            ("start_missing", Field::Flag(recording.start_missing)),
            ("tracks", Field::Fields(&recording.tracks)),
            ("metadata", Field::Json(&recording.metadata)),
            ("created_at", Field::Time(recording.created_at)),
            ("updated_at", Field::Time(recording.updated_at)),
        ]
    }

    fn patched(&self, patch: &mut Map<String, Value>) -> Option<Result<Arc<dyn Fields>, String>> {
        let (mut made, how) = (self.clone(), self.how);
        let taken = take_patch(START, patch, how, |name, value| set(&mut made.recording, name, value, how));
        Some(taken.map(|()| Arc::new(made) as _))
    }
}

impl Fields for BTreeMap<String, Track> {
    fn fields(&self) -> Vec<(&str, Field<'_>)> {
        self.iter().map(|(name, track)| (name.as_str(), Field::Fields(track))).collect()
    }
}

impl Fields for Track {
    fn fields(&self) -> Vec<(&str, Field<'_>)> {
        let origin = match self.origin {
            TrackOrigin::Server => "server",
            TrackOrigin::Client => "client",
        };
        let state = match self.state {
            TrackState::Live => "live",
            TrackState::Stored => "stored",
        };
        vec![
            ("path", Field::Text(&self.path)),
            ("origin", Field::Text(origin)),
            ("state", Field::Text(state)),
            ("size", Field::Whole(self.size)),
            ("duration", Field::number(self.duration)),
            ("codec", Field::text(&self.codec)),
            ("sample_rate", Field::whole(self.sample_rate.map(i64::from))),
            ("channels", Field::whole(self.channels.map(i64::from))),
            ("sha256", Field::text(&self.sha256)),
            ("probe_error", Field::text(&self.probe_error)),
            ("created_at", Field::Time(self.created_at)),
            ("updated_at", Field::Time(self.updated_at)),
        ]
    }
}

/// Sets a field that hooks may change to a value that was found to be right for it.
fn set(recording: &mut Recording, name: &str, value: Option<Value>, how: Reading) -> Result<(), String> {
    match name {
        "title" => recording.title = value.and_then(into_text),
        "metadata" => set_metadata(&mut recording.metadata, value, how)?,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hooks::{Given, Hook};
    use crate::model::recording::RecordingStatus;
    use crate::model::time::{MissingOffset, Timestamp};
    use crate::services::fields::check_patched;
    use crate::services::recordings::to_json;

    fn shown() -> ShownRecording {
        let how = Reading {
            creates: true,
            ignores_unknown: false,
            offset: MissingOffset::Refused,
            metadata_max_bytes: 64,
        };
        let track = Track {
            path: "a.wav".to_owned(),
            origin: TrackOrigin::Server,
            state: TrackState::Live,
            size: 44,
            duration: Some(2.0),
            codec: None,
            sample_rate: Some(48_000),
            channels: None,
            sha256: None,
            probe_error: Some("no".to_owned()),
            created_at: Timestamp(1),
            updated_at: Timestamp(2),
        };
        let recording = Recording {
            id: "r1".to_owned(),
            title: Some("t".to_owned()),
            status: RecordingStatus::Active,
            started_at: Timestamp(1_000_000),
            ended_at: None,
            duration: None,
            start_missing: false,
            tracks: [("system".to_owned(), track)].into(),
            metadata: json!({"b": {"x": 1, "y": null}, "a": 2}).as_object().unwrap().clone(),
            created_at: Timestamp(1_000_000),
            updated_at: Timestamp(1_500_000),
            version: 1,
        };
        ShownRecording { recording, how }
    }

    #[test]
    fn hooks_see_every_field_in_the_order_of_the_answer() {
        let whole = to_json(&shown().recording).unwrap();
        let seen = Given::fields(Arc::new(shown())).into_map();
        assert_eq!(Value::Object(seen).to_string(), Value::Object(whole).to_string());
    }

    #[test]
    fn a_patch_makes_of_the_fields_what_it_would_make_of_their_json() {
        for patch in [
            json!({"title": "u", "metadata": {"b": {"x": 3, "z": [1]}, "n": 1}}),
            json!({"title": null, "metadata": {"b": null, "a": {"deep": 1}}}),
            json!({"title": 5, "metadata": []}),
            json!({"metadata": {"more": "012345678901234567890123456789012345678901"}}),
        ] {
            let (given, patch) = (Given::fields(Arc::new(shown())), patch.as_object().unwrap().clone());
            let may = Hook::BeforeRecordingStart.info().may_patch;
            let check = |payload: &Map<String, Value>| check_patched(START, may, payload, shown().how);
            let as_json = Given::Json(Arc::clone(given.json())).patched(patch.clone(), &check);
            match (given.patched(patch, &|_| Ok(())), as_json) {
                (Ok(made), Ok(expected)) => {
                    let mut made = made.into_map();
                    made.retain(|name, value| name != "title" || !value.is_null());
                    assert_eq!(Value::Object(made).to_string(), expected.json().to_string());
                }
                (made, expected) => assert_eq!(made.unwrap_err(), expected.unwrap_err()),
            }
        }
    }
}
