//! A new clip, written out once: its event, the answer and the columns of its row are pieces of one text.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::hooks::Field;
use crate::model::clip::Clip;
use crate::store::NewClip;

use super::shown::fields_of;

/// The clip as JSON, and the columns that stand in it as they are.
///
/// # Errors
/// It cannot be told as JSON.
pub(super) fn written(clip: &Clip) -> Result<(Arc<str>, NewClip)> {
    /// What a clip with some tags and metadata takes, in bytes.
    const USUAL: usize = 1_500;
    let mut text = Vec::with_capacity(USUAL);
    let (mut tags, mut metadata, mut provenance) = (0..0, 0..0, 0..0);
    for (name, field) in fields_of(clip) {
        if name == "created_at" {
            provenance = put(&mut text, "provenance", &clip.provenance)?;
        }
        match field {
            Field::List(list) => tags = put(&mut text, name, list)?,
            Field::Json(json) => metadata = put(&mut text, name, json)?,
            Field::Text(it) => _ = put(&mut text, name, it)?,
            Field::Whole(it) => _ = put(&mut text, name, &it)?,
            Field::Number(it) => _ = put(&mut text, name, &it)?,
            Field::Flag(it) => _ = put(&mut text, name, &it)?,
            Field::Time(it) => {
                begin(&mut text, name);
                text.push(b'"');
                text.extend_from_slice(it.text().as_str().as_bytes());
                text.push(b'"');
            }
            Field::Null => {
                begin(&mut text, name);
                text.extend_from_slice(b"null");
            }
            other => _ = put(&mut text, name, &other.json())?,
        }
    }
    text.push(b'}');
    let text: Arc<str> = String::from_utf8(text).map_err(Error::internal)?.into();
    let new = NewClip::of_text(Arc::clone(&text), tags, metadata, provenance);
    Ok((text, new))
}

/// Writes a field; where its value stands.
fn put(text: &mut Vec<u8>, name: &str, value: &(impl Serialize + ?Sized)) -> Result<Range<usize>> {
    begin(text, name);
    let start = text.len();
    serde_json::to_writer(&mut *text, value).map_err(Error::internal)?;
    Ok(start..text.len())
}

/// Writes what stands before a value; no name of a field needs an escape.
fn begin(text: &mut Vec<u8>, name: &str) {
    text.push(if text.is_empty() { b'{' } else { b',' });
    text.push(b'"');
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::provenance::Change;
    use crate::model::time::Timestamp;
    use crate::services::clips::create::draft;

    #[test]
    fn what_is_written_is_what_the_clip_says_of_itself() {
        let mut clip = draft(7, Timestamp(2_000_001));
        assert_eq!(*written(&clip).unwrap().0, *serde_json::to_string(&clip).unwrap());
        clip = Clip {
            title: "\"t\"\n".to_owned(),
            file_path: "C:\\a.wav".to_owned(),
            recording_id: Some("r1".to_owned()),
            description: Some("\u{fc}".to_owned()),
            tags: vec!["a".to_owned(), "\"".to_owned()],
            metadata: json!({"b": {"x": 0.1, "y": null}, "a": [1e300]}).as_object().unwrap().clone(),
            file_size: Some(i64::MAX),
            duration: Some(45.0),
            fps: Some(29.97),
            recorded_at: Some(Timestamp(1_500_000)),
            processed: true,
            ..clip
        };
        let change = Change { plugin: "p".into(), hook: "on_clip_captured".into(), at: Timestamp(3) };
        clip.provenance.note("/tags", change);
        assert_eq!(*written(&clip).unwrap().0, *serde_json::to_string(&clip).unwrap());
    }
}
