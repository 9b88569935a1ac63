//! What was sent to webhooks: the last attempts of each.

use diesel::prelude::*;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::model::webhook::{AttemptKind, WebhookAttempt};

use super::connection::Reader;
use super::failure::OrFail;
use super::json::named;
use super::schema::webhook_attempts as attempts;
use super::statement::statement;
use super::tx::Tx;

/// Attempts kept of one webhook.
const KEPT: i64 = 500;

type Row = (i64, String, String, String, i64, i64, i64, Option<i64>, Option<String>, Option<String>);

impl Tx {
    /// Notes an attempt, forgets those that are too many, and answers its number. The webhook must be there.
    ///
    /// # Errors
    /// The database's.
    pub fn insert_webhook_attempt(&mut self, webhook: &str, attempt: &WebhookAttempt) -> Result<i64> {
        let id = diesel::insert_into(attempts::table)
            .values((
                attempts::webhook.eq(webhook),
                attempts::event_id.eq(&attempt.event_id),
                attempts::event_type.eq(&attempt.event_type),
                attempts::kind.eq(attempt.kind.as_str()),
                attempts::attempt.eq(attempt.attempt),
                attempts::at.eq(attempt.at.0),
                attempts::duration_ms.eq(attempt.duration_ms),
                attempts::status.eq(attempt.status),
                attempts::error.eq(&attempt.error),
                attempts::answer.eq(&attempt.answer),
            ))
            .returning(attempts::id)
            .get_result(&mut self.conn)
            .or_fail()?;
        let forget = statement(
            "DELETE FROM webhook_attempts WHERE webhook = ? AND id <= (SELECT id FROM webhook_attempts \
             WHERE webhook = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        );
        forget.bind(webhook).bind(webhook).bind(KEPT).write(self)?;
        Ok(id)
    }

    /// Forgets all attempts of a webhook.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_webhook_attempts(&mut self, webhook: &str) -> Result<()> {
        let of = attempts::table.filter(attempts::webhook.eq(webhook));
        diesel::delete(of).execute(&mut self.conn).or_fail().map(drop)
    }
}

impl Reader {
    /// At most `limit` attempts of a webhook before the number `before`, newest first; of one event, when named.
    ///
    /// # Errors
    /// The database's.
    pub fn webhook_attempts(
        &mut self,
        webhook: &str,
        event_id: Option<&str>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<WebhookAttempt>> {
        let mut query = attempts::table
            .filter(attempts::webhook.eq(webhook).and(attempts::id.lt(before.unwrap_or(i64::MAX))))
            .into_boxed();
        if let Some(event_id) = event_id {
            query = query.filter(attempts::event_id.eq(event_id.to_owned()));
        }
        let rows: Vec<Row> = query
            .order(attempts::id.desc())
            .limit(limit)
            .select((
                attempts::id,
                attempts::event_id,
                attempts::event_type,
                attempts::kind,
                attempts::attempt,
                attempts::at,
                attempts::duration_ms,
                attempts::status,
                attempts::error,
                attempts::answer,
            ))
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(of_row).collect()
    }
}

fn of_row(row: Row) -> Result<WebhookAttempt> {
    let (id, event_id, event_type, kind, attempt, at, duration_ms, status, error, answer) = row;
    Ok(WebhookAttempt {
        id,
        event_id,
        event_type,
        kind: named(AttemptKind::ALL, AttemptKind::as_str, &kind)?,
        attempt,
        at: Timestamp(at),
        duration_ms,
        status,
        error,
        answer,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::store;
    use super::*;

    #[test]
    fn the_last_attempts_are_kept_and_read_backwards() {
        let (_folder, store) = store();
        let attempt = |event: String| WebhookAttempt {
            id: 0,
            event_id: event,
            event_type: "a.b".into(),
            kind: AttemptKind::Again,
            attempt: 2,
            at: Timestamp(7),
            duration_ms: 3,
            status: Some(500),
            error: Some("no".into()),
            answer: None,
        };
        store
            .write_blocking(move |tx| {
                tx.insert_webhook_attempt("other", &attempt("e".into()))?;
                (0..KEPT + 3).try_for_each(|it| {
                    tx.insert_webhook_attempt("wh_1", &attempt(format!("e{it}"))).map(drop)
                })
            })
            .unwrap();
        let read = |event: Option<&str>, before, limit| {
            store.read(|it| it.webhook_attempts("wh_1", event, before, limit)).unwrap()
        };
        let all = read(None, None, 1000);
        assert_eq!((all.len() as i64, &*all[0].event_id), (KEPT, &*format!("e{}", KEPT + 2)));
        assert_eq!(all.last().unwrap().event_id, "e3");
        assert_eq!(read(None, Some(all[1].id), 2), all[2..4]);
        assert_eq!(read(Some("e9"), None, 9).len(), 1);
        assert_eq!(store.read(|it| it.webhook_attempts("other", None, None, 9)).unwrap().len(), 1);
        store.write_blocking(|tx| tx.delete_webhook_attempts("wh_1")).unwrap();
        assert!(read(None, None, 9).is_empty());
    }
}
