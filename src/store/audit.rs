//! Who changed what about the server itself.

use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;

use crate::error::Result;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::audit;
use super::tx::Tx;

/// One act.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Number of the row; 0 before it is stored.
    pub id: i64,
    /// When (UTC).
    pub at: Timestamp,
    /// Who: `key/<id>`, `server`, `plugin/<name>`.
    pub actor: String,
    /// What the key was called; stored from the request that the act was done for.
    pub actor_name: Option<String>,
    /// What, such as `plugin.enable`.
    pub action: String,
    /// On what, such as `plugin/example`.
    pub subject: Option<String>,
    /// How it ended: `ok`, `failed` or `denied`.
    pub outcome: String,
    /// The request that the act was done for; stored from it.
    pub request_id: Option<String>,
    /// Anything else; never a secret.
    pub detail: Value,
}

/// It was done.
pub const OK: &str = "ok";
/// It was tried, and it could not be done.
pub const FAILED: &str = "failed";
/// Who tried it may not do it.
pub const DENIED: &str = "denied";

impl AuditEntry {
    /// An act that is done with what it is stored with.
    pub fn done(at: Timestamp, actor: &str, action: &str, subject: Option<String>, detail: Value) -> Self {
        AuditEntry {
            id: 0,
            at,
            actor: actor.to_owned(),
            actor_name: None,
            action: action.to_owned(),
            subject,
            outcome: OK.to_owned(),
            request_id: None,
            detail,
        }
    }
}

/// Which acts are wanted; what is none does not matter.
#[derive(Debug, Clone, Default)]
pub struct WantedActs {
    /// Those before the one with this number.
    pub before: Option<i64>,
    /// Of this actor, or of the key of this name.
    pub actor: Option<String>,
    /// Of this kind; with a dot at its end, of all kinds that begin so.
    pub action: Option<String>,
    /// On this.
    pub subject: Option<String>,
    /// That ended so.
    pub outcome: Option<String>,
    /// Done for this request.
    pub request_id: Option<String>,
    /// Then or later.
    pub from: Option<Timestamp>,
    /// Before then.
    pub to: Option<Timestamp>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit)]
struct Row {
    id: i64,
    at: i64,
    actor: String,
    action: String,
    subject: Option<String>,
    detail: String,
    actor_name: Option<String>,
    request_id: Option<String>,
    outcome: String,
}

impl Row {
    fn into_entry(self) -> Result<AuditEntry> {
        Ok(AuditEntry {
            id: self.id,
            at: Timestamp(self.at),
            actor: self.actor,
            actor_name: self.actor_name,
            action: self.action,
            subject: self.subject,
            outcome: self.outcome,
            request_id: self.request_id,
            detail: from_text(&self.detail)?,
        })
    }
}

impl Tx {
    /// Notes an act, in the transaction of what it tells, with the request that it is done for.
    ///
    /// # Errors
    /// The database's.
    pub fn append_audit(&mut self, entry: &AuditEntry) -> Result<i64> {
        let asked = self.asked().cloned();
        let request_id = asked.as_ref().map(|it| it.request_id());
        let name = asked.as_ref().and_then(|it| it.key_name()).filter(|_| entry.actor.starts_with("key/"));
        let id = diesel::insert_into(audit::table)
            .values((
                audit::at.eq(entry.at.0),
                audit::actor.eq(&entry.actor),
                audit::action.eq(&entry.action),
                audit::subject.eq(&entry.subject),
                audit::detail.eq(to_text(&entry.detail)?),
                audit::actor_name.eq(name),
                audit::request_id.eq(request_id),
                audit::outcome.eq(&entry.outcome),
            ))
            .returning(audit::id)
            .get_result(&mut self.conn)
            .or_fail()?;
        if let Some(asked) = asked {
            self.after_commit(move || asked.count());
        }
        Ok(id)
    }

    /// Forgets acts from before `since`, and the oldest beyond `most`, at most `batch` at once; how many there were.
    ///
    /// # Errors
    /// The database's.
    pub fn forget_audit(&mut self, since: Option<Timestamp>, most: Option<i64>, batch: i64) -> Result<usize> {
        let last: Option<i64> =
            audit::table.select(diesel::dsl::max(audit::id)).first(&mut self.conn).or_fail()?;
        let through = most.zip(last).map_or(0, |(most, last)| last.saturating_sub(most));
        let since = since.map_or(i64::MIN, |it| it.0);
        let old: Vec<i64> = audit::table
            .filter(audit::at.lt(since).or(audit::id.le(through)))
            .order(audit::id)
            .limit(batch)
            .select(audit::id)
            .load(&mut self.conn)
            .or_fail()?;
        diesel::delete(audit::table.filter(audit::id.eq_any(old))).execute(&mut self.conn).or_fail()
    }
}

impl Reader {
    /// At most `limit` acts that are `wanted`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn list_audit(&mut self, wanted: &WantedActs, limit: i64) -> Result<Vec<AuditEntry>> {
        let mut query = audit::table.filter(audit::id.lt(wanted.before.unwrap_or(i64::MAX))).into_boxed();
        if let Some(actor) = &wanted.actor {
            query = query.filter(audit::actor.eq(actor).or(audit::actor_name.eq(actor).assume_not_null()));
        }
        query = match &wanted.action {
            None => query,
            // The kinds that begin so: up to the character after the dot.
            Some(kinds) if kinds.ends_with('.') => {
                let end = format!("{}/", &kinds[..kinds.len() - 1]);
                query.filter(audit::action.ge(kinds)).filter(audit::action.lt(end))
            }
            Some(action) => query.filter(audit::action.eq(action)),
        };
        if let Some(subject) = &wanted.subject {
            query = query.filter(audit::subject.eq(subject));
        }
        if let Some(outcome) = &wanted.outcome {
            query = query.filter(audit::outcome.eq(outcome));
        }
        if let Some(request_id) = &wanted.request_id {
            query = query.filter(audit::request_id.eq(request_id));
        }
        if let Some(from) = wanted.from {
            query = query.filter(audit::at.ge(from.0));
        }
        if let Some(to) = wanted.to {
            query = query.filter(audit::at.lt(to.0));
        }
        let rows: Vec<Row> = query
            .order(audit::id.desc())
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(Row::into_entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::store;
    use super::*;

    fn entry(at: i64, actor: &str, action: &str) -> AuditEntry {
        AuditEntry::done(Timestamp(at), actor, action, Some("plugin/example".into()), json!({}))
    }

    #[test]
    fn acts_are_read_backwards_page_by_page() {
        let (_folder, store) = store();
        store
            .write_blocking(move |tx| {
                (1..=5).try_for_each(|at| tx.append_audit(&entry(at, "key/1", "plugin.enable")).map(drop))
            })
            .unwrap();
        let first = store.read(|reader| reader.list_audit(&WantedActs::default(), 3)).unwrap();
        let older = WantedActs { before: Some(first[2].id), ..WantedActs::default() };
        let rest = store.read(|reader| reader.list_audit(&older, 3)).unwrap();
        let times: Vec<_> = first.iter().chain(&rest).map(|it| it.at.0).collect();
        assert_eq!(times, [5, 4, 3, 2, 1]);
    }

    #[test]
    fn acts_are_found_by_who_what_when_and_how() {
        let (_folder, store) = store();
        let rows =
            [(1, "key/1", "plugin.enable"), (2, "server", "plugin.config.set"), (3, "key/2", "plugins")];
        store
            .write_blocking(move |tx| {
                rows.iter()
                    .try_for_each(|(at, who, what)| tx.append_audit(&entry(*at, who, what)).map(drop))?;
                let failed = AuditEntry { outcome: FAILED.into(), ..entry(4, "key/1", "token.create") };
                tx.append_audit(&failed).map(drop)
            })
            .unwrap();
        let found = |wanted: WantedActs| -> Vec<i64> {
            let acts = store.read(|reader| reader.list_audit(&wanted, 10)).unwrap();
            acts.iter().map(|it| it.at.0).collect()
        };
        let all = WantedActs::default;
        assert_eq!(found(WantedActs { actor: Some("key/1".into()), ..all() }), [4, 1]);
        assert_eq!(found(WantedActs { action: Some("plugin.".into()), ..all() }), [2, 1]);
        assert_eq!(found(WantedActs { action: Some("plugin.enable".into()), ..all() }), [1]);
        assert_eq!(found(WantedActs { outcome: Some(FAILED.into()), ..all() }), [4]);
        let (from, to) = (Some(Timestamp(2)), Some(Timestamp(4)));
        assert_eq!(found(WantedActs { from, to, ..all() }), [3, 2]);
    }

    #[test]
    fn the_oldest_acts_are_forgotten_by_age_and_by_number() {
        let (_folder, store) = store();
        let left = |store: &super::super::Store| {
            let acts = store.read(|reader| reader.list_audit(&WantedActs::default(), 100)).unwrap();
            acts.iter().map(|it| it.at.0).collect::<Vec<_>>()
        };
        let gone = store.write_blocking(move |tx| {
            (1..=9).try_for_each(|at| tx.append_audit(&entry(at, "server", "x")).map(drop))?;
            let first = tx.forget_audit(Some(Timestamp(5)), None, 3)?;
            Ok((first, tx.forget_audit(Some(Timestamp(5)), None, 3)?, tx.forget_audit(None, Some(2), 100)?))
        });
        assert_eq!(gone.unwrap(), (3, 1, 3));
        assert_eq!(left(&store), [9, 8]);
    }
}
