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
    /// Who: a key's id, `server`, `plugin/<name>`.
    pub actor: String,
    /// What, such as `plugin.enable`.
    pub action: String,
    /// On what, such as `plugin/example`.
    pub subject: Option<String>,
    /// Anything else; never a secret.
    pub detail: Value,
}

/// Which acts are wanted.
#[derive(Debug, Clone, Default)]
pub struct WantedActs {
    /// Only those before the one with this number.
    pub before: Option<i64>,
    /// Only of this kind.
    pub action: Option<String>,
    /// Only on this.
    pub subject: Option<String>,
}

impl Tx {
    /// Notes an act, in the transaction of what it tells.
    ///
    /// # Errors
    /// The database's.
    pub fn append_audit(&mut self, entry: &AuditEntry) -> Result<i64> {
        diesel::insert_into(audit::table)
            .values((
                audit::at.eq(entry.at.0),
                audit::actor.eq(&entry.actor),
                audit::action.eq(&entry.action),
                audit::subject.eq(&entry.subject),
                audit::detail.eq(to_text(&entry.detail)?),
            ))
            .returning(audit::id)
            .get_result(&mut self.conn)
            .or_fail()
    }
}

impl Reader {
    /// At most `limit` acts that are `wanted`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn list_audit(&mut self, wanted: &WantedActs, limit: i64) -> Result<Vec<AuditEntry>> {
        let mut query = audit::table.filter(audit::id.lt(wanted.before.unwrap_or(i64::MAX))).into_boxed();
        if let Some(action) = &wanted.action {
            query = query.filter(audit::action.eq(action));
        }
        if let Some(subject) = &wanted.subject {
            query = query.filter(audit::subject.eq(subject));
        }
        let rows: Vec<(i64, i64, String, String, Option<String>, String)> =
            query.order(audit::id.desc()).limit(limit).load(&mut self.conn).or_fail()?;
        rows.into_iter()
            .map(|(id, at, actor, action, subject, detail)| {
                Ok(AuditEntry { id, at: Timestamp(at), actor, action, subject, detail: from_text(&detail)? })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::store;
    use super::*;

    #[test]
    fn acts_are_read_backwards_page_by_page() {
        let (_folder, store) = store();
        let entry = |at: i64| AuditEntry {
            id: 0,
            at: Timestamp(at),
            actor: "k1".into(),
            action: "plugin.enable".into(),
            subject: Some("plugin/example".into()),
            detail: json!({}),
        };
        store
            .write_blocking(move |tx| (1..=5).try_for_each(|at| tx.append_audit(&entry(at)).map(drop)))
            .unwrap();
        let first = store.read(|reader| reader.list_audit(&WantedActs::default(), 3)).unwrap();
        let older = WantedActs { before: Some(first[2].id), ..WantedActs::default() };
        let rest = store.read(|reader| reader.list_audit(&older, 3)).unwrap();
        let times: Vec<_> = first.iter().chain(&rest).map(|it| it.at.0).collect();
        assert_eq!(times, [5, 4, 3, 2, 1]);
    }
}
