//! Webhooks and their secrets.

use diesel::prelude::*;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::model::webhook::{Webhook, WebhookSecrets};

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::webhooks;
use super::tx::Tx;

/// All columns but the secrets.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = webhooks, treat_none_as_null = true)]
struct Row {
    id: String,
    name: String,
    url: String,
    events: String,
    filter: Option<String>,
    enabled: bool,
    disabled_reason: Option<String>,
    timeout_s: i64,
    failing_since: Option<i64>,
    old_secret_until: Option<i64>,
    created_at: i64,
    created_by: String,
    updated_at: i64,
    version: i64,
}

impl Row {
    fn of(webhook: &Webhook) -> Result<Self> {
        Ok(Row {
            id: webhook.id.clone(),
            name: webhook.name.clone(),
            url: webhook.url.clone(),
            events: to_text(&webhook.events)?,
            filter: webhook.when.as_ref().map(to_text).transpose()?,
            enabled: webhook.enabled,
            disabled_reason: webhook.disabled_reason.clone(),
            timeout_s: webhook.timeout_s,
            failing_since: webhook.failing_since.map(|it| it.0),
            old_secret_until: webhook.old_secret_until.map(|it| it.0),
            created_at: webhook.created_at.0,
            created_by: webhook.created_by.clone(),
            updated_at: webhook.updated_at.0,
            version: webhook.version,
        })
    }

    fn into_webhook(self) -> Result<Webhook> {
        Ok(Webhook {
            events: from_text(&self.events)?,
            when: self.filter.as_deref().map(from_text).transpose()?,
            id: self.id,
            name: self.name,
            url: self.url,
            enabled: self.enabled,
            disabled_reason: self.disabled_reason,
            timeout_s: self.timeout_s,
            failing_since: self.failing_since.map(Timestamp),
            old_secret_until: self.old_secret_until.map(Timestamp),
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            updated_at: Timestamp(self.updated_at),
            version: self.version,
        })
    }
}

impl Tx {
    /// Stores a new webhook with its secret.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    pub fn insert_webhook(&mut self, webhook: &Webhook, secret: &str) -> Result<()> {
        diesel::insert_into(webhooks::table)
            .values((Row::of(webhook)?, webhooks::secret.eq(secret)))
            .execute(&mut self.conn)
            .or_fail()
            .map(drop)
    }

    /// Stores what is said of a webhook, under its next version, which is answered. Its secrets stay.
    ///
    /// # Errors
    /// The database's.
    pub fn update_webhook(&mut self, webhook: &Webhook) -> Result<i64> {
        let row = Row { version: webhook.version + 1, ..Row::of(webhook)? };
        let version = row.version;
        diesel::update(webhooks::table.find(&webhook.id)).set(row).execute(&mut self.conn).or_fail()?;
        Ok(version)
    }

    /// Gives a webhook a new secret; the one it has had becomes the old one.
    ///
    /// # Errors
    /// The database's.
    pub fn rotate_webhook_secret(&mut self, id: &str, secret: &str) -> Result<()> {
        diesel::update(webhooks::table.find(id))
            .set((webhooks::old_secret.eq(webhooks::secret.nullable()), webhooks::secret.eq(secret)))
            .execute(&mut self.conn)
            .or_fail()
            .map(drop)
    }

    /// Removes a webhook; false when there was none.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_webhook(&mut self, id: &str) -> Result<bool> {
        let gone = diesel::delete(webhooks::table.find(id)).execute(&mut self.conn).or_fail()?;
        Ok(gone > 0)
    }
}

impl Reader {
    /// A webhook.
    ///
    /// # Errors
    /// The database's.
    pub fn webhook(&mut self, id: &str) -> Result<Option<Webhook>> {
        let found: Option<Row> =
            webhooks::table.find(id).select(Row::as_select()).first(&mut self.conn).optional().or_fail()?;
        found.map(Row::into_webhook).transpose()
    }

    /// What a webhook's requests are signed with.
    ///
    /// # Errors
    /// The database's.
    pub fn webhook_secrets(&mut self, id: &str) -> Result<Option<WebhookSecrets>> {
        let found: Option<(String, Option<String>, Option<i64>)> = webhooks::table
            .find(id)
            .select((webhooks::secret, webhooks::old_secret, webhooks::old_secret_until))
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        Ok(found.map(|(current, old, until)| WebhookSecrets {
            current,
            old: old.zip(until).map(|(old, until)| (old, Timestamp(until))),
        }))
    }

    /// All webhooks, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn list_webhooks(&mut self) -> Result<Vec<Webhook>> {
        let rows: Vec<Row> = webhooks::table
            .order((webhooks::created_at, webhooks::id))
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(Row::into_webhook).collect()
    }

    /// How many webhooks there are.
    ///
    /// # Errors
    /// The database's.
    pub fn count_webhooks(&mut self) -> Result<i64> {
        webhooks::table.count().get_result(&mut self.conn).or_fail()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::store;
    use super::*;

    #[test]
    fn a_webhook_is_kept_changed_and_rotated() {
        let (_folder, store) = store();
        let webhook = Webhook {
            id: "wh_1".into(),
            name: "home".into(),
            url: "https://a.example/x".into(),
            events: vec!["clip.*".into()],
            when: json!({"data.title": "x"}).as_object().cloned(),
            enabled: true,
            disabled_reason: None,
            timeout_s: 15,
            failing_since: Some(Timestamp(3)),
            old_secret_until: None,
            created_at: Timestamp(1),
            created_by: "key/1".into(),
            updated_at: Timestamp(1),
            version: 1,
        };
        let given = webhook.clone();
        store.write_blocking(move |tx| tx.insert_webhook(&given, "whsec_a")).unwrap();
        assert_eq!(store.read(|it| it.list_webhooks()).unwrap(), std::slice::from_ref(&webhook));
        let changed =
            Webhook { when: None, failing_since: None, old_secret_until: Some(Timestamp(9)), ..webhook };
        let given = changed.clone();
        let version = store.write_blocking(move |tx| {
            tx.rotate_webhook_secret("wh_1", "whsec_b")?;
            tx.update_webhook(&given)
        });
        let kept = store.read(|it| it.webhook("wh_1")).unwrap();
        assert_eq!(kept, Some(Webhook { version: version.unwrap(), ..changed }));
        let secrets = store.read(|it| it.webhook_secrets("wh_1")).unwrap().unwrap();
        assert_eq!((&*secrets.current, secrets.old), ("whsec_b", Some(("whsec_a".into(), Timestamp(9)))));
        assert!(store.write_blocking(|tx| tx.delete_webhook("wh_1")).unwrap());
        assert_eq!(store.read(|it| it.count_webhooks()).unwrap(), 0);
    }
}
