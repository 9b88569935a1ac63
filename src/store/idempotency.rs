//! Answers kept for their `Idempotency-Key`, in the transaction of what they answer.

use diesel::prelude::*;
use serde_json::Value;

use crate::error::Result;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::idempotency;
use super::statement::statement;
use super::tx::Tx;

/// An answer that was given before.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptAnswer {
    /// Hash of the request.
    pub fingerprint: String,
    /// HTTP status.
    pub status: i16,
    /// The body.
    pub answer: Value,
    /// When it was given.
    pub created_at: Timestamp,
}

impl Tx {
    /// Keeps an answer; false when there is one for the key already (an old one: see [`Tx::forget_answer`]).
    ///
    /// # Errors
    /// The database's.
    pub fn remember(
        &mut self,
        key: &str,
        fingerprint: &str,
        status: i16,
        answer: &Value,
        now: Timestamp,
    ) -> Result<bool> {
        let inserted = diesel::insert_into(idempotency::table)
            .values((
                idempotency::key.eq(key),
                idempotency::fingerprint.eq(fingerprint),
                idempotency::status.eq(status),
                idempotency::answer.eq(to_text(answer)?),
                idempotency::created_at.eq(now.0),
            ))
            .on_conflict_do_nothing()
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(inserted == 1)
    }

    /// Forgets the answer for a key if it was given before `oldest`.
    ///
    /// # Errors
    /// The database's.
    pub fn forget_answer(&mut self, key: &str, oldest: Timestamp) -> Result<()> {
        let old = idempotency::table.find(key).filter(idempotency::created_at.lt(oldest.0));
        diesel::delete(old).execute(&mut self.conn).or_fail()?;
        Ok(())
    }

    /// Forgets answers given before `oldest`, looking at the `limit` first ones only; how many. Rows lie in
    /// the order of their answers, so no index is needed.
    ///
    /// # Errors
    /// The database's.
    pub fn forget_answers(&mut self, oldest: Timestamp, limit: i64) -> Result<usize> {
        let forget = statement(
            "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM \
             (SELECT rowid, created_at FROM idempotency ORDER BY rowid LIMIT ?) WHERE created_at < ?)",
        );
        forget.bind(limit).bind(oldest.0).write(self)
    }
}

impl Reader {
    /// The answer kept for a key, unless it was given before `oldest`.
    ///
    /// # Errors
    /// The database's.
    pub fn idempotent(&mut self, key: &str, oldest: Timestamp) -> Result<Option<KeptAnswer>> {
        let found: Option<(String, i16, String, i64)> = idempotency::table
            .find(key)
            .filter(idempotency::created_at.ge(oldest.0))
            .select((
                idempotency::fingerprint,
                idempotency::status,
                idempotency::answer,
                idempotency::created_at,
            ))
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        found
            .map(|(fingerprint, status, answer, at)| {
                Ok(KeptAnswer { fingerprint, status, answer: from_text(&answer)?, created_at: Timestamp(at) })
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::store;
    use super::*;

    #[test]
    fn the_first_answer_stays_until_it_is_old() {
        let (_folder, store) = store();
        let body = json!({"z": 1, "a": 2});
        store
            .write_blocking(move |tx| {
                assert!(tx.remember("t/k", "f1", 201, &body, Timestamp(10))?);
                assert!(!tx.remember("t/k", "f2", 201, &json!(0), Timestamp(11))?);
                tx.remember("t/other", "f", 200, &json!(0), Timestamp(20)).map(drop)
            })
            .unwrap();
        let kept = store.read(|reader| reader.idempotent("t/k", Timestamp(10))).unwrap().unwrap();
        assert_eq!(
            (kept.fingerprint.as_str(), kept.answer.to_string()),
            ("f1", r#"{"z":1,"a":2}"#.to_owned())
        );
        assert_eq!(store.read(|reader| reader.idempotent("t/k", Timestamp(11))).unwrap(), None);
        assert_eq!(store.write_blocking(|tx| tx.forget_answers(Timestamp(15), 100)).unwrap(), 1);
        assert!(store.read(|reader| reader.idempotent("t/other", Timestamp(0))).unwrap().is_some());
    }

    #[test]
    fn an_expired_answer_does_not_stand_in_the_way_of_a_new_one() {
        let (_folder, store) = store();
        store
            .write_blocking(|tx| {
                tx.remember("k", "f", 201, &json!(1), Timestamp(10))?;
                tx.forget_answer("k", Timestamp(11))?;
                assert!(tx.remember("k", "g", 201, &json!(2), Timestamp(12))?);
                Ok(())
            })
            .unwrap();
    }
}
