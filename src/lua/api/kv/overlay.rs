//! A call's own buffered writes, laid over what is stored: a call sees what it wrote.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::call::KvOp;

/// What the writes of a call make of one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// As stored, plus the sum.
    Stored(f64),
    /// This, whatever is stored.
    Value(Value),
    /// Nothing, whatever is stored.
    Gone,
    /// An increment met something that is no number.
    NotANumber,
}

/// What `ops` make of `key` at `now_us`.
pub(super) fn see(ops: &[KvOp], key: &str, now_us: i64) -> Seen {
    let sets = |op: &KvOp| matches!(op, KvOp::Set { key: k, .. } | KvOp::Delete { key: k } if k == key);
    let last = ops.iter().rposition(sets);
    let base = match last.map(|at| &ops[at]) {
        Some(KvOp::Set { value, expires_at_us, .. }) if !is_over(*expires_at_us, now_us) => {
            Seen::Value(value.clone())
        }
        Some(_) => Seen::Gone,
        None => Seen::Stored(0.0),
    };
    let later = &ops[last.map_or(0, |at| at + 1)..];
    later.iter().fold(base, |seen, op| match (op, seen) {
        (KvOp::Incr { key: k, by }, seen) if k == key => match seen {
            Seen::Stored(sum) => Seen::Stored(sum + by),
            Seen::Gone => Seen::Value(number(*by)),
            Seen::Value(value) => match value.as_f64() {
                Some(it) => Seen::Value(number(it + by)),
                None => Seen::NotANumber,
            },
            Seen::NotANumber => Seen::NotANumber,
        },
        (_, seen) => seen,
    })
}

fn is_over(expires_at_us: Option<i64>, now_us: i64) -> bool {
    expires_at_us.is_some_and(|it| it <= now_us)
}

impl Seen {
    /// The value over `stored`, which is asked for only where it counts; an error names what is no number.
    pub(super) fn over<E>(
        self,
        stored: impl FnOnce() -> Result<Option<Value>, E>,
    ) -> Result<Result<Option<Value>, NotANumber>, E> {
        Ok(match self {
            Seen::Value(value) => Ok(Some(value)),
            Seen::Gone => Ok(None),
            Seen::NotANumber => Err(NotANumber),
            Seen::Stored(sum) => match (stored()?, sum) {
                (stored, 0.0) => Ok(stored),
                (None, sum) => Ok(Some(number(sum))),
                (Some(value), sum) => value.as_f64().map(|it| Some(number(it + sum))).ok_or(NotANumber),
            },
        })
    }
}

/// Something was to be counted up that is no number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NotANumber;

/// Of the keys that begin with `prefix` and come after `after`, those that `ops` wrote: whether they are there now.
pub(super) fn written(
    ops: &[KvOp],
    prefix: &str,
    after: Option<&str>,
    now_us: i64,
) -> BTreeMap<String, bool> {
    let mut written = BTreeMap::new();
    for op in ops {
        let (KvOp::Set { key, .. } | KvOp::Delete { key } | KvOp::Incr { key, .. }) = op;
        if key.starts_with(prefix) && after.is_none_or(|it| key.as_str() > it) {
            let there = match op {
                KvOp::Set { expires_at_us, .. } => !is_over(*expires_at_us, now_us),
                KvOp::Delete { .. } => false,
                KvOp::Incr { .. } => true,
            };
            written.insert(key.clone(), there);
        }
    }
    written
}

/// The first `limit` keys of both, sorted. `stored` holds the first `limit + written.len()` that are stored.
pub(super) fn list(stored: Vec<String>, written: BTreeMap<String, bool>, limit: usize) -> Vec<String> {
    let mut keys: BTreeMap<String, bool> = stored.into_iter().map(|key| (key, true)).collect();
    keys.extend(written);
    keys.into_iter().filter(|(_, there)| *there).map(|(key, _)| key).take(limit).collect()
}

/// A whole number as an integer, so that it is stored and shown without a fraction.
pub(super) fn number(it: f64) -> Value {
    const SAFE: f64 = 9_007_199_254_740_992.0;
    if it.fract() == 0.0 && it.abs() <= SAFE { Value::from(it as i64) } else { Value::from(it) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(key: &str, value: Value) -> KvOp {
        KvOp::Set { key: key.into(), value, expires_at_us: None }
    }

    fn incr(key: &str, by: f64) -> KvOp {
        KvOp::Incr { key: key.into(), by }
    }

    fn value(ops: &[KvOp], key: &str, stored: Option<Value>) -> Result<Option<Value>, NotANumber> {
        see(ops, key, 10).over::<()>(|| Ok(stored)).unwrap()
    }

    #[test]
    fn the_last_write_of_a_key_counts_and_increments_add_up() {
        let ops = [
            set("a", json!(1)),
            incr("a", 2.0),
            incr("b", 1.5),
            incr("b", 0.5),
            set("c", json!("x")),
            set("a2", json!(9)),
        ];
        assert_eq!(value(&ops, "a", Some(json!(100))), Ok(Some(json!(3))));
        assert_eq!(value(&ops, "b", Some(json!(40))), Ok(Some(json!(42))));
        assert_eq!(value(&ops, "b", None), Ok(Some(json!(2))));
        assert_eq!(value(&ops, "b", Some(json!("text"))), Err(NotANumber));
        assert_eq!(value(&ops, "d", Some(json!([1]))), Ok(Some(json!([1]))));
        let ops = [set("c", json!("x")), incr("c", 1.0)];
        assert_eq!(value(&ops, "c", None), Err(NotANumber));
        let ops = [set("c", json!("x")), KvOp::Delete { key: "c".into() }, incr("c", 1.0)];
        assert_eq!(value(&ops, "c", Some(json!(7))), Ok(Some(json!(1))));
    }

    #[test]
    fn what_has_expired_is_not_seen() {
        let ops = [KvOp::Set { key: "a".into(), value: json!(1), expires_at_us: Some(10) }];
        assert_eq!(value(&ops, "a", Some(json!(2))), Ok(None));
    }

    #[test]
    fn a_list_has_the_stored_keys_and_the_written_ones_in_order() {
        let ops =
            [set("p/d", json!(1)), KvOp::Delete { key: "p/b".into() }, incr("p/a", 1.0), set("q", json!(1))];
        let stored = vec!["p/b".to_owned(), "p/c".to_owned()];
        let listed = |after, limit| list(stored.clone(), written(&ops, "p/", after, 0), limit);
        assert_eq!(listed(None, 10), ["p/a", "p/c", "p/d"]);
        assert_eq!(listed(None, 2), ["p/a", "p/c"]);
        assert_eq!(written(&ops, "p/", Some("p/b"), 0).into_keys().collect::<Vec<_>>(), ["p/d"]);
    }
}
