//! A clip as hooks see it, and what a patch makes of it.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::hooks::{Field, Fields};
use crate::model::clip::Clip;
use crate::services::fields::{Reading, into_text, set_metadata, take_patch};

use super::rules::FIELDS;

/// A clip without its provenance.
#[derive(Clone)]
pub(super) struct ShownClip {
    pub(super) clip: Clip,
    pub(super) how: Reading,
}

impl Fields for ShownClip {
    fn fields(&self) -> Vec<(&str, Field<'_>)> {
        fields_of(&self.clip)
    }

    fn patched(&self, patch: &mut Map<String, Value>) -> Option<Result<Arc<dyn Fields>, String>> {
        let (mut made, how) = (self.clone(), self.how);
        let taken = take_patch(FIELDS, patch, how, |name, value| set(&mut made.clip, name, value, how));
        Some(taken.map(|()| Arc::new(made) as _))
    }
}

/// The fields of a clip in the order of the answer, without its provenance, which stands before `created_at`.
pub(super) fn fields_of(clip: &Clip) -> Vec<(&str, Field<'_>)> {
    vec![
        ("id", Field::Whole(clip.id)),
        ("title", Field::Text(&clip.title)),
        ("file_path", Field::Text(&clip.file_path)),
        ("recording_id", Field::text(&clip.recording_id)),
        ("description", Field::text(&clip.description)),
        ("game_name", Field::text(&clip.game_name)),
        ("game_id", Field::text(&clip.game_id)),
        ("tags", Field::List(&clip.tags)),
        ("metadata", Field::Json(&clip.metadata)),
        ("file_size", Field::whole(clip.file_size)),
        ("duration", Field::number(clip.duration)),
        ("resolution", Field::text(&clip.resolution)),
        ("fps", Field::number(clip.fps)),
        ("codec", Field::text(&clip.codec)),
        ("recorded_at", Field::time(clip.recorded_at)),
        ("processed", Field::Flag(clip.processed)),
        ("processing_status", Field::Text(clip.processing_status.as_str())),
        ("created_at", Field::Time(clip.created_at)),
        ("updated_at", Field::Time(clip.updated_at)),
    ]
}

/// Sets a field that hooks may change to a value that was found to be right for it.
fn set(clip: &mut Clip, name: &str, value: Option<Value>, how: Reading) -> Result<(), String> {
    match name {
        "title" => clip.title = value.and_then(into_text).unwrap_or_default(),
        "description" => clip.description = value.and_then(into_text),
        "game_name" => clip.game_name = value.and_then(into_text),
        "game_id" => clip.game_id = value.and_then(into_text),
        "tags" => {
            let tags = match value {
                Some(Value::Array(tags)) => tags,
                _ => Vec::new(),
            };
            clip.tags = tags.into_iter().filter_map(into_text).collect();
        }
        "metadata" => set_metadata(&mut clip.metadata, value, how)?,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::hooks::{Given, Hook};
    use crate::model::time::{MissingOffset, Timestamp};
    use crate::services::clips::create::draft;
    use crate::services::clips::to_json;
    use crate::services::fields::check_patched;

    fn shown() -> ShownClip {
        let how = Reading {
            creates: false,
            ignores_unknown: false,
            offset: MissingOffset::Refused,
            metadata_max_bytes: 64,
        };
        let clip = Clip {
            title: "t".to_owned(),
            file_path: "/a.wav".to_owned(),
            description: Some("d".to_owned()),
            tags: vec!["a".to_owned()],
            metadata: json!({"b": {"x": 1, "y": null}, "a": 2}).as_object().unwrap().clone(),
            file_size: Some(5),
            duration: Some(45.0),
            recorded_at: Some(Timestamp(1_500_000)),
            ..draft(7, Timestamp(2_000_000))
        };
        ShownClip { clip, how }
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn hooks_see_every_field_but_the_provenance_in_the_order_of_the_answer() {
        let shown = shown();
        let mut whole = to_json(&shown.clip).unwrap();
        whole.shift_remove("provenance");
        let seen = Given::fields(Arc::new(shown)).into_map();
        assert_eq!(Value::Object(seen).to_string(), Value::Object(whole).to_string());
    }

    #[test]
    fn a_patch_makes_of_the_fields_what_it_would_make_of_their_json() {
        for patch in [
            json!({"title": "u", "tags": ["b", "c"], "game_name": "g", "metadata": {"b": {"x": 3, "z": [1]}, "n": 1}}),
            json!({"description": null, "tags": [], "metadata": {"b": null, "a": {"deep": 1}}}),
            json!({"title": null}),
            json!({"title": " ", "tags": [""]}),
            json!({"tags": [1, "ok", ""], "title": 5}),
            json!({"tags": {"x": 1}}),
            json!({"metadata": "text"}),
            json!({"metadata": {"long": "0123456789012345678901234567890123456789012345678901234567890123"}}),
            json!({"metadata": {"more": "012345678901234567890123456789012345"}}),
            json!({"description": {"no": "text"}}),
        ] {
            let (given, patch) = (Given::fields(Arc::new(shown())), map(patch));
            let may = Hook::OnClipCaptured.info().may_patch;
            let check = |payload: &Map<String, Value>| check_patched(FIELDS, may, payload, shown().how);
            let as_json = Given::Json(Arc::clone(given.json())).patched(patch.clone(), &check);
            let as_fields = given.patched(patch, &|_| Ok(()));
            match (as_fields, as_json) {
                (Ok(made), Ok(expected)) => {
                    // A field without a value is one that is not there.
                    let mut made = made.into_map();
                    made.retain(|_, value| !value.is_null());
                    let mut expected = expected.into_map();
                    expected.retain(|_, value| !value.is_null());
                    assert_eq!(Value::Object(made).to_string(), Value::Object(expected).to_string());
                }
                (made, expected) => assert_eq!(made.unwrap_err(), expected.unwrap_err()),
            }
        }
    }
}
