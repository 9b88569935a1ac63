//! Asking the plugins about a clip before its row is final, and taking what they answer.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::hooks::{Asked, Given, Hook};
use crate::model::call::Caller;
use crate::model::clip::Clip;
use crate::model::provenance::Change;
use crate::model::time::Timestamp;
use crate::services::Services;
use crate::services::fields::check_patched;

use super::rules::FIELDS;
use super::shown::ShownClip;
use super::{reading, to_json};

/// What the plugins were shown, and what they made of it.
pub(super) struct Pipeline {
    hook: Hook,
    shown: Given,
    pub(super) asked: Asked,
}

/// Asks everybody who listens, in order; each sees the former's result. The clip comes back as they want it, which
/// [`Pipeline::note`] puts down.
///
/// # Errors
/// `Conflict` when hooks started this too deep, `Overloaded` when more wait than a plugin can answer soon. A plugin's failure is none: it changes nothing.
pub(super) async fn ask(
    services: &Services,
    caller: &Caller,
    hook: Hook,
    clip: Clip,
) -> Result<(Clip, Option<Pipeline>)> {
    if !services.hooks.listens(hook) {
        return Ok((clip, None));
    }
    services.check_depth(caller)?;
    let shown = Given::fields(Arc::new(ShownClip { clip, how: reading(services, false) }));
    services.hooks.make_sure_of_room(hook, Some(&shown))?;
    // What they change is checked as it is taken.
    let mut asked = services.hooks.ask(hook, shown.clone(), caller, &|_| Ok(())).await?;
    let made = std::mem::take(&mut asked.payload).into_fields_of::<ShownClip>();
    let made = made.ok_or_else(|| Error::internal("a clip was shown and something else came back"))?;
    Ok((Arc::unwrap_or_clone(made).clip, Some(Pipeline { hook, shown, asked })))
}

impl Pipeline {
    /// Notes in a clip which plugin changed what.
    pub(super) fn note(&self, clip: &mut Clip, now: Timestamp) {
        for (pointer, plugin) in &self.asked.changes {
            note(clip, pointer, plugin, self.hook, now);
        }
    }

    /// Puts what the plugins changed into a clip as it is now, and notes who did: what others have changed meanwhile stays
    /// as they want it. `made` is the clip as the plugins wanted it.
    pub(super) fn apply_late(&self, made: &Clip, clip: &mut Clip, now: Timestamp) -> Result<()> {
        if self.asked.changes.is_empty() {
            return Ok(());
        }
        let (mut fields, patched) = (shown(clip)?, shown(made)?);
        let Some(before) = self.shown.json().as_object() else { return Ok(()) };
        if fields == *before {
            self.note(clip, now);
            return take_fields(clip, patched);
        }
        for (pointer, plugin) in &self.asked.changes {
            // Only where nobody changed meanwhile what the plugins were shown.
            if pointed(&fields, pointer) == pointed(before, pointer) {
                put(&mut fields, pointer, pointed(&patched, pointer));
                note(clip, pointer, plugin, self.hook, now);
            }
        }
        take_fields(clip, fields)
    }
}

/// The clip as hooks see it.
pub(super) fn shown(clip: &Clip) -> Result<Map<String, Value>> {
    let mut shown = to_json(clip)?;
    shown.shift_remove("provenance");
    Ok(shown)
}

/// Judges what a patch made of the fields that a hook may change.
pub(super) fn check_payload(
    services: &Services,
    hook: Hook,
    payload: &Map<String, Value>,
) -> Result<(), String> {
    check_patched(FIELDS, hook.info().may_patch, payload, reading(services, false))
}

/// Notes who changed a field.
pub(super) fn note(clip: &mut Clip, pointer: &str, plugin: &Arc<str>, hook: Hook, now: Timestamp) {
    let change = Change { plugin: Arc::clone(plugin), hook: hook.name().into(), at: now };
    clip.provenance.note(pointer, change);
}

/// The value at a pointer, none when there is none.
pub(super) fn pointed<'a>(fields: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let mut steps = pointer.split('/').skip(1).map(unescape);
    let first = fields.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object()?.get(&step)).filter(|it| !it.is_null())
}

/// Sets the value at a pointer, or removes it; objects on the way are made.
pub(super) fn put(fields: &mut Map<String, Value>, pointer: &str, value: Option<&Value>) {
    let steps: Vec<String> = pointer.split('/').skip(1).map(unescape).collect();
    let Some((last, way)) = steps.split_last() else { return };
    let mut at = fields;
    for step in way {
        let next = at.entry(step.clone()).or_insert_with(|| Value::Object(Map::new()));
        if !next.is_object() {
            *next = Value::Object(Map::new());
        }
        match next {
            Value::Object(next) => at = next,
            _ => return,
        }
    }
    match value {
        Some(value) => drop(at.insert(last.clone(), value.clone())),
        None => drop(at.shift_remove(last)),
    }
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// Puts the fields that hooks may change back into the clip.
pub(super) fn take_fields(clip: &mut Clip, mut fields: Map<String, Value>) -> Result<()> {
    let mut text = |name: &str| match fields.shift_remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    clip.title = text("title").ok_or_else(|| Error::internal("a clip without a title"))?;
    clip.description = text("description");
    clip.game_name = text("game_name");
    clip.game_id = text("game_id");
    clip.tags = match fields.shift_remove("tags") {
        Some(Value::Array(tags)) => {
            tags.into_iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    clip.metadata = match fields.shift_remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_finds_sets_and_removes_what_it_points_at() {
        let mut fields = json!({"metadata": {"a/b": {"x": 1}}, "tags": ["t"]}).as_object().unwrap().clone();
        assert_eq!(pointed(&fields, "/metadata/a~1b/x"), Some(&json!(1)));
        put(&mut fields, "/metadata/new/deep", Some(&json!([1])));
        put(&mut fields, "/metadata/a~1b/x", None);
        put(&mut fields, "/tags", Some(&json!([])));
        assert_eq!(Value::Object(fields), json!({"metadata": {"a/b": {}, "new": {"deep": [1]}}, "tags": []}));
    }
}
