//! What a hook may change, and how its change is applied: RFC 7396, reduced and checked.

use serde_json::{Map, Value};

/// Applies a merge patch: objects merge deeply, null removes, everything else replaces.
pub fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    merge_owned(target, patch.clone());
}

/// [`merge`] of a patch that nobody needs any more: what it holds is moved.
pub fn merge_owned(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.shift_remove(&key)),
            Value::Object(mut inner) => match target.get_mut(&key) {
                Some(Value::Object(old)) => merge_owned(old, inner),
                _ => {
                    drop_nulls(&mut inner);
                    target.insert(key, Value::Object(inner));
                }
            },
            value => drop(target.insert(key, value)),
        }
    }
}

/// What a patch is where there was no object before.
fn drop_nulls(patch: &mut Map<String, Value>) {
    patch.retain(|_, value| {
        if let Value::Object(inner) = value {
            drop_nulls(inner);
        }
        !value.is_null()
    });
}

/// Reduces a patch to what differs from `given`, so that returning the input unchanged changes nothing.
pub fn reduce(mut patch: Map<String, Value>, given: &Map<String, Value>) -> Map<String, Value> {
    patch.retain(|key, value| differs(value, given.get(key)));
    patch
}

/// Whether `wanted` changes what is there; what does not is taken out of it.
pub(super) fn differs(wanted: &mut Value, given: Option<&Value>) -> bool {
    match (wanted, given) {
        (Value::Null, None | Some(Value::Null)) => false,
        (Value::Object(inner), Some(Value::Object(old))) => {
            inner.retain(|key, value| differs(value, old.get(key)));
            !inner.is_empty()
        }
        (wanted, Some(old)) => !equal(wanted, old),
        (_, None) => true,
    }
}

/// The JSON pointers a patch touches; objects are followed to their leaves.
pub fn pointers(patch: &Map<String, Value>) -> Vec<String> {
    fn walk(at: &mut String, patch: &Map<String, Value>, found: &mut Vec<String>) {
        for (key, value) in patch {
            let above = at.len();
            at.push('/');
            let mut rest = key.as_str();
            while let Some(place) = rest.find(['~', '/']) {
                at.push_str(&rest[..place]);
                at.push_str(if rest[place..].starts_with('~') { "~0" } else { "~1" });
                rest = &rest[place + 1..];
            }
            at.push_str(rest);
            match value {
                Value::Object(inner) if !inner.is_empty() => walk(at, inner, found),
                _ => found.push(at.clone()),
            }
            at.truncate(above);
        }
    }
    let mut found = Vec::new();
    walk(&mut String::new(), patch, &mut found);
    found
}

/// Numbers are equal by value: a script's 45 and 45.0 are one. What is too large for a script's numbers comes
/// back as its digits.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(digits), Value::Number(b)) => {
            !b.is_f64() && *digits == b.to_string() && digits.len() > 15
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn objects_merge_deeply_arrays_replace_and_null_removes() {
        let mut target = map(json!({"a": {"b": 1, "c": 2}, "tags": [1, 2], "gone": 1}));
        merge(
            &mut target,
            &map(json!({"a": {"c": 3}, "tags": [3], "gone": null, "new": {"x": null, "y": 1}})),
        );
        assert_eq!(Value::Object(target), json!({"a": {"b": 1, "c": 3}, "tags": [3], "new": {"y": 1}}));
    }

    #[test]
    fn a_number_that_a_script_saw_as_digits_has_not_changed() {
        let given = map(json!({"id": 9007199254740993i64, "n": 5, "list": [u64::MAX, 1]}));
        let seen = map(json!({"id": "9007199254740993", "n": "5", "list": ["18446744073709551615", 1.0]}));
        assert_eq!(reduce(seen, &given), map(json!({"n": "5"})));
    }

    #[test]
    fn the_pointers_name_the_changed_leaves() {
        let patch = map(json!({"title": "x", "metadata": {"a/b": 1, "deep": {"n": [1]}}}));
        assert_eq!(pointers(&patch), ["/title", "/metadata/a~1b", "/metadata/deep/n"]);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[a-d]", json_value(), 0..4).prop_map(|it| it.into_iter().collect())
    }

    /// A null in a stored object is as good as no key.
    fn without_nulls(object: Map<String, Value>) -> Map<String, Value> {
        let kept = object.into_iter().filter(|(_, value)| !value.is_null());
        kept.map(|(key, value)| match value {
            Value::Object(inner) => (key, Value::Object(without_nulls(inner))),
            value => (key, value),
        })
        .collect()
    }

    /// RFC 7396, word for word.
    fn as_the_rfc_says(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
        for (key, value) in patch {
            match value {
                Value::Null => {
                    target.shift_remove(key);
                }
                Value::Object(inner) => {
                    let slot = target.entry(key.clone()).or_insert_with(|| Value::Object(Map::new()));
                    if !slot.is_object() {
                        *slot = Value::Object(Map::new());
                    }
                    if let Value::Object(slot) = slot {
                        as_the_rfc_says(slot, inner);
                    }
                }
                value => {
                    target.insert(key.clone(), value.clone());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn returning_the_input_is_no_change(given in object()) {
            prop_assert!(reduce(given.clone(), &given).is_empty());
        }

        #[test]
        fn a_reduced_patch_does_the_same_as_the_whole(given in object(), patch in object()) {
            let given = without_nulls(given);
            let (mut whole, mut reduced) = (given.clone(), given.clone());
            merge(&mut whole, &patch);
            merge(&mut reduced, &reduce(patch, &given));
            prop_assert_eq!(whole, reduced);
        }

        #[test]
        fn a_patch_does_what_the_rfc_says_and_keeps_the_order(given in object(), patch in object()) {
            let (mut wanted, mut made) = (given.clone(), given);
            as_the_rfc_says(&mut wanted, &patch);
            merge(&mut made, &patch);
            prop_assert_eq!(Value::Object(made).to_string(), Value::Object(wanted).to_string());
        }
    }
}
