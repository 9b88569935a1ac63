//! What scripts keep under keys, each plugin for itself. An expired key is gone for every reader at once;
//! its row goes with a later sweep.

use diesel::prelude::*;
use serde_json::{Value, json};

use crate::error::Result;
use crate::model::call::KvOp;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::counters;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::plugin_kv;
use super::statement::statement;
use super::tx::Tx;

/// How much a plugin keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KvUsage {
    /// Keys, expired ones that are not swept yet included.
    pub keys: i64,
    /// Bytes of keys and values.
    pub bytes: i64,
}

/// A value's text and when it expires.
type Kept = (String, Option<i64>);

/// Integers above this are not exact in a script.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Tx {
    /// Applies a call's writes in order. `Incr` of a key that is missing or no number begins at 0; it leaves
    /// the key's expiry as it is.
    ///
    /// # Errors
    /// The database's.
    pub fn kv_apply(&mut self, plugin: &str, ops: &[KvOp], now: Timestamp) -> Result<()> {
        for op in ops {
            match op {
                KvOp::Set { key, value, expires_at_us } => self.kv_put(plugin, key, value, *expires_at_us)?,
                KvOp::Delete { key } => self.kv_remove(plugin, key)?,
                KvOp::Incr { key, by } => {
                    let (old, expires_at) = match self.kv_live(plugin, key, now)? {
                        Some((text, expires_at)) => (from_text::<Value>(&text)?.as_f64(), expires_at),
                        None => (None, None),
                    };
                    self.kv_put(plugin, key, &number(old.unwrap_or_default() + by), expires_at)?;
                }
            }
        }
        Ok(())
    }

    /// Puts `new` in the place of `old` if that is what is there (none = no key); whether it was.
    ///
    /// # Errors
    /// The database's.
    pub fn kv_cas(
        &mut self,
        plugin: &str,
        key: &str,
        old: Option<&Value>,
        new: Option<&Value>,
        now: Timestamp,
    ) -> Result<bool> {
        let kept = self.kv_get(plugin, key, now)?;
        let same = match (&kept, old) {
            (Some(kept), Some(old)) => same_value(kept, old),
            (None, None) => true,
            _ => false,
        };
        if same {
            match new {
                Some(value) => self.kv_put(plugin, key, value, None)?,
                None => self.kv_remove(plugin, key)?,
            }
        }
        Ok(same)
    }

    /// Removes at most `limit` expired keys; how many.
    ///
    /// # Errors
    /// The database's.
    pub fn kv_sweep(&mut self, now: Timestamp, limit: i64) -> Result<usize> {
        let expired: Vec<(String, String)> = plugin_kv::table
            .filter(plugin_kv::expires_at.le(now.0))
            .limit(limit)
            .select((plugin_kv::plugin, plugin_kv::key))
            .load(&mut self.conn)
            .or_fail()?;
        for (plugin, key) in &expired {
            self.kv_remove(plugin, key)?;
        }
        Ok(expired.len())
    }

    /// Removes all that a plugin keeps.
    ///
    /// # Errors
    /// The database's.
    pub fn kv_purge(&mut self, plugin: &str) -> Result<()> {
        let usage = self.kv_usage(plugin)?;
        diesel::delete(plugin_kv::table.filter(plugin_kv::plugin.eq(plugin)))
            .execute(&mut self.conn)
            .or_fail()?;
        self.kv_count(plugin, -usage.keys, -usage.bytes);
        Ok(())
    }

    /// How much a plugin keeps if this job succeeds.
    ///
    /// # Errors
    /// The database's.
    pub fn kv_usage(&mut self, plugin: &str) -> Result<KvUsage> {
        Ok(KvUsage {
            keys: self.counter_now(&format!("{}{plugin}", counters::KV_KEYS))?,
            bytes: self.counter_now(&format!("{}{plugin}", counters::KV_BYTES))?,
        })
    }

    fn kv_put(&mut self, plugin: &str, key: &str, value: &Value, expires_at: Option<i64>) -> Result<()> {
        let text = to_text(value)?;
        let size = (key.len() + text.len()) as i64;
        match self.kv_kept(plugin, key)? {
            Some((old, _)) => self.kv_count(plugin, 0, text.len() as i64 - old.len() as i64),
            None => self.kv_count(plugin, 1, size),
        }
        let put = statement(
            "INSERT INTO plugin_kv (plugin, key, value, expires_at) VALUES (?, ?, ?, ?) \
             ON CONFLICT (plugin, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
        );
        put.bind(plugin).bind(key).bind(text).bind(expires_at).write(self)?;
        Ok(())
    }

    fn kv_remove(&mut self, plugin: &str, key: &str) -> Result<()> {
        let removed: Option<String> = diesel::delete(plugin_kv::table.find((plugin, key)))
            .returning(plugin_kv::value)
            .get_result(&mut self.conn)
            .optional()
            .or_fail()?;
        if let Some(old) = removed {
            self.kv_count(plugin, -1, -((key.len() + old.len()) as i64));
        }
        Ok(())
    }

    fn kv_count(&mut self, plugin: &str, keys: i64, bytes: i64) {
        self.count_of(counters::KV_KEYS, plugin, keys);
        self.count_of(counters::KV_BYTES, plugin, bytes);
    }
}

impl Reader {
    /// The value of a key.
    ///
    /// # Errors
    /// The database's.
    pub fn kv_get(&mut self, plugin: &str, key: &str, now: Timestamp) -> Result<Option<Value>> {
        self.kv_live(plugin, key, now)?.map(|(text, _)| from_text(&text)).transpose()
    }

    /// At most `limit` keys that begin with `prefix` and come after `after`, sorted by their bytes.
    ///
    /// # Errors
    /// The database's.
    pub fn kv_list(
        &mut self,
        plugin: &str,
        prefix: &str,
        after: Option<&str>,
        limit: i64,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        let mut query = plugin_kv::table
            .filter(plugin_kv::plugin.eq(plugin).and(plugin_kv::key.ge(prefix)))
            .filter(plugin_kv::expires_at.is_null().or(plugin_kv::expires_at.gt(now.0)))
            .order(plugin_kv::key)
            .limit(limit)
            .select(plugin_kv::key)
            .into_boxed();
        if let Some(end) = end_of(prefix) {
            query = query.filter(plugin_kv::key.lt(end));
        }
        if let Some(after) = after {
            query = query.filter(plugin_kv::key.gt(after));
        }
        query.load(&mut self.conn).or_fail()
    }

    /// How much a plugin keeps, as of the last commit.
    ///
    /// # Errors
    /// The database's.
    pub fn kv_usage(&mut self, plugin: &str) -> Result<KvUsage> {
        Ok(KvUsage {
            keys: self.counter(&format!("{}{plugin}", counters::KV_KEYS))?,
            bytes: self.counter(&format!("{}{plugin}", counters::KV_BYTES))?,
        })
    }

    fn kv_kept(&mut self, plugin: &str, key: &str) -> Result<Option<Kept>> {
        plugin_kv::table
            .find((plugin, key))
            .select((plugin_kv::value, plugin_kv::expires_at))
            .first(&mut self.conn)
            .optional()
            .or_fail()
    }

    fn kv_live(&mut self, plugin: &str, key: &str, now: Timestamp) -> Result<Option<Kept>> {
        let kept = self.kv_kept(plugin, key)?;
        Ok(kept.filter(|(_, expires_at)| expires_at.is_none_or(|at| at > now.0)))
    }
}

/// A number as JSON: whole ones without a fraction, as scripts write them.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() <= EXACT { json!(value as i64) } else { json!(value) }
}

/// Whether two values are the same to a script, to which 1 and 1.0 are one number.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_value(a, b)))
        }
        _ => a == b,
    }
}

/// The first text after all that begin with `prefix`; none when there is no end.
fn end_of(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The code points that are no characters are passed over.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}
