//! The laws of what scripts keep.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Reader;
use super::kv::{KvUsage, number};
use super::testing::store;
use crate::error::Result;
use crate::model::call::KvOp;
use crate::model::time::Timestamp;

fn get(reader: &mut Reader, key: &str, now: i64) -> Option<Value> {
    reader.kv_get("p", key, Timestamp(now)).unwrap()
}

#[test]
fn an_expired_key_is_gone_at_once_and_its_row_with_the_sweep() {
    let (_folder, store) = store();
    store
        .write_blocking(|tx| {
            let set = |key: &str, at| KvOp::Set { key: key.into(), value: json!(5), expires_at_us: at };
            tx.kv_apply("p", &[set("a", Some(100)), set("b", None)], Timestamp(1))?;
            assert_eq!((get(tx, "a", 99), get(tx, "a", 100)), (Some(json!(5)), None));
            assert_eq!(tx.kv_list("p", "", None, 10, Timestamp(100))?, ["b"]);
            // Counting on an expired key begins anew and without its old end.
            tx.kv_apply("p", &[KvOp::Incr { key: "a".into(), by: 2.0 }], Timestamp(100))?;
            assert_eq!(get(tx, "a", 1000), Some(json!(2)));
            tx.kv_apply("p", &[set("a", Some(100))], Timestamp(1))?;
            assert_eq!(tx.kv_sweep(Timestamp(100), 10)?, 1);
            assert_eq!(tx.kv_usage("p")?, KvUsage { keys: 1, bytes: 2 });
            tx.kv_purge("p")?;
            assert_eq!(tx.kv_usage("p")?, KvUsage::default());
            Ok(())
        })
        .unwrap();
}

#[test]
fn cas_compares_as_scripts_do_and_says_whether_it_wrote() {
    let (_folder, store) = store();
    store
        .write_blocking(|tx| {
            let now = Timestamp(1);
            assert!(tx.kv_cas("p", "k", None, Some(&json!({"n": 1, "l": [1]})), now)?);
            assert!(!tx.kv_cas("p", "k", None, Some(&json!(0)), now)?);
            assert!(tx.kv_cas("p", "k", Some(&json!({"l": [1.0], "n": 1.0})), Some(&json!(0)), now)?);
            assert!(!tx.kv_cas("p", "k", Some(&json!(1)), None, now)?);
            assert!(tx.kv_cas("p", "k", Some(&json!(0)), None, now)?);
            assert_eq!(get(tx, "k", 1), None);
            Ok(())
        })
        .unwrap();
}

#[test]
fn prefixes_end_where_they_should() {
    let (_folder, store) = store();
    let keys = ["a", "a%", "a_", "ab", "a\u{D7FF}", "a\u{10FFFF}", "b"];
    store
        .write_blocking(move |tx| {
            for key in keys {
                tx.kv_cas("p", key, None, Some(&json!(1)), Timestamp(1))?;
            }
            let now = Timestamp(1);
            assert_eq!(tx.kv_list("p", "a", None, 10, now)?.len(), 6);
            assert_eq!(tx.kv_list("p", "a\u{10FFFF}", None, 10, now)?, ["a\u{10FFFF}"]);
            assert_eq!(tx.kv_list("p", "a\u{D7FF}", None, 10, now)?, ["a\u{D7FF}"]);
            assert_eq!(tx.kv_list("p", "a", Some("a_"), 1, now)?, ["ab"]);
            assert!(tx.kv_list("other", "", None, 10, now)?.is_empty());
            Ok(())
        })
        .unwrap();
}

fn op() -> impl Strategy<Value = KvOp> {
    let key = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("ä%".to_owned())];
    let value = prop_oneof![Just(json!(null)), Just(json!("x")), any::<i32>().prop_map(|it| json!(it))];
    let expiry = prop_oneof![Just(None), (1..40i64).prop_map(Some)];
    prop_oneof![
        (key.clone(), value, expiry).prop_map(|(key, value, expires_at_us)| KvOp::Set {
            key,
            value,
            expires_at_us
        }),
        key.clone().prop_map(|key| KvOp::Delete { key }),
        (key, -100..100i32).prop_map(|(key, by)| KvOp::Incr { key, by: f64::from(by) / 2.0 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_sequence_of_writes_leaves_what_a_plain_map_would_hold(ops in proptest::collection::vec((op(), any::<bool>()), 1..40)) {
        let (_folder, store) = store();
        let mut model: BTreeMap<String, (Value, Option<i64>)> = BTreeMap::new();
        for (now, (op, succeeds)) in (1i64..).zip(ops) {
            let applied = op.clone();
            let result = store.write_blocking(move |tx| {
                tx.kv_apply("p", &[applied], Timestamp(now))?;
                if succeeds { Ok(()) } else { Err(crate::error::Error::internal("rolled back")) }
            });
            prop_assert_eq!(result.is_ok(), succeeds);
            if !succeeds { continue }
            match op {
                KvOp::Set { key, value, expires_at_us } => { model.insert(key, (value, expires_at_us)); }
                KvOp::Delete { key } => { model.remove(&key); }
                KvOp::Incr { key, by } => {
                    let live = model.get(&key).filter(|it| it.1.is_none_or(|at| at > now)).cloned();
                    let (old, expiry) = live.unwrap_or((json!(0), None));
                    model.insert(key, (number(old.as_f64().unwrap_or(0.0) + by), expiry));
                }
            }
            let live: BTreeMap<_, _> = model.iter().filter(|it| it.1.1.is_none_or(|at| at > now))
                .map(|(key, (value, _))| (key.clone(), value.clone())).collect();
            let found = store.read(|r| {
                let keys = r.kv_list("p", "", None, 100, Timestamp(now))?;
                keys.into_iter().map(|key| Ok((key.clone(), r.kv_get("p", &key, Timestamp(now))?.unwrap()))).collect::<Result<BTreeMap<_, _>>>()
            }).unwrap();
            prop_assert_eq!(found, live);
            let usage = KvUsage {
                keys: model.len() as i64,
                bytes: model.iter().map(|(key, it)| (key.len() + it.0.to_string().len()) as i64).sum(),
            };
            prop_assert_eq!(store.read(|r| r.kv_usage("p")).unwrap(), usage);
        }
    }
}
