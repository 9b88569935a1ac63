//! Keys: the hash of each secret, what it allows, and until when.

use diesel::prelude::*;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::model::token::{RateLimit, Scope, Token};

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::tokens;
use super::tx::Tx;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = tokens)]
struct Row {
    id: String,
    name: String,
    scopes: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
    rate_requests: Option<i64>,
    rate_per_s: Option<i64>,
}

impl Row {
    fn into_token(self) -> Result<Token> {
        // A scope that this version does not know opens nothing.
        let names: Vec<String> = from_text(&self.scopes)?;
        Ok(Token {
            id: self.id,
            name: self.name,
            scopes: names.iter().filter_map(|it| Scope::from_name(it)).collect(),
            created_at: Timestamp(self.created_at),
            expires_at: self.expires_at.map(Timestamp),
            last_used_at: self.last_used_at.map(Timestamp),
            revoked_at: self.revoked_at.map(Timestamp),
            rate_limit: match (self.rate_requests, self.rate_per_s) {
                (Some(requests), Some(per_seconds)) => Some(RateLimit {
                    requests: u64::try_from(requests).unwrap_or_default(),
                    per_seconds: u64::try_from(per_seconds).unwrap_or_default(),
                }),
                _ => None,
            },
        })
    }
}

/// A limit as the columns hold it.
fn columns(limit: Option<RateLimit>) -> (Option<i64>, Option<i64>) {
    let column = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    (limit.map(|it| column(it.requests)), limit.map(|it| column(it.per_seconds)))
}

impl Tx {
    /// Stores a new key with the hash of its secret, in hex.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    pub fn insert_token(&mut self, token: &Token, secret_hash: &str) -> Result<()> {
        let row = Row {
            id: token.id.clone(),
            name: token.name.clone(),
            scopes: to_text(&token.scopes)?,
            created_at: token.created_at.0,
            expires_at: token.expires_at.map(|it| it.0),
            last_used_at: token.last_used_at.map(|it| it.0),
            revoked_at: token.revoked_at.map(|it| it.0),
            rate_requests: columns(token.rate_limit).0,
            rate_per_s: columns(token.rate_limit).1,
        };
        diesel::insert_into(tokens::table)
            .values((row, tokens::secret_hash.eq(secret_hash)))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(())
    }

    /// Changes what a key is called and how often it may be used.
    ///
    /// # Errors
    /// The database's.
    pub fn update_token(&mut self, token: &Token) -> Result<()> {
        let (requests, per_s) = columns(token.rate_limit);
        diesel::update(tokens::table.find(&token.id))
            .set((
                tokens::name.eq(&token.name),
                tokens::rate_requests.eq(requests),
                tokens::rate_per_s.eq(per_s),
            ))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(())
    }

    /// Revokes a key; a second time changes nothing. False when there is no such key.
    ///
    /// # Errors
    /// The database's.
    pub fn revoke_token(&mut self, id: &str, now: Timestamp) -> Result<bool> {
        let unrevoked = tokens::table.find(id).filter(tokens::revoked_at.is_null());
        diesel::update(unrevoked).set(tokens::revoked_at.eq(now.0)).execute(&mut self.conn).or_fail()?;
        Ok(self.token(id)?.is_some())
    }

    /// Gives a key another secret, by its hash in hex, and another end.
    ///
    /// # Errors
    /// The database's.
    pub fn rotate_token(&mut self, id: &str, secret_hash: &str, expires_at: Option<Timestamp>) -> Result<()> {
        diesel::update(tokens::table.find(id))
            .set((tokens::secret_hash.eq(secret_hash), tokens::expires_at.eq(expires_at.map(|it| it.0))))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(())
    }

    /// Notes when a key was last used; never goes back.
    ///
    /// # Errors
    /// The database's.
    pub fn touch_token(&mut self, id: &str, now: Timestamp) -> Result<()> {
        let earlier = tokens::last_used_at.is_null().or(tokens::last_used_at.lt(now.0));
        diesel::update(tokens::table.find(id))
            .filter(earlier.assume_not_null())
            .set(tokens::last_used_at.eq(now.0))
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(())
    }
}

impl Reader {
    /// A key and the hash of its secret, in hex; revoked and expired ones too.
    ///
    /// # Errors
    /// The database's.
    pub fn token(&mut self, id: &str) -> Result<Option<(Token, String)>> {
        let found: Option<(Row, String)> = tokens::table
            .find(id)
            .select((Row::as_select(), tokens::secret_hash))
            .first(&mut self.conn)
            .optional()
            .or_fail()?;
        found.map(|(row, hash)| Ok((row.into_token()?, hash))).transpose()
    }

    /// All keys, newest first, without their secrets.
    ///
    /// # Errors
    /// The database's.
    pub fn list_tokens(&mut self) -> Result<Vec<Token>> {
        let rows: Vec<Row> = tokens::table
            .order((tokens::created_at.desc(), tokens::id))
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        rows.into_iter().map(Row::into_token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::store;
    use super::*;

    #[test]
    fn a_key_keeps_its_scopes_and_hash_and_is_revoked_once() {
        let (_folder, store) = store();
        let token = Token {
            id: "k1".into(),
            name: "phone".into(),
            scopes: vec![Scope::ClipsRead, Scope::Admin],
            created_at: Timestamp(1),
            expires_at: Some(Timestamp(99)),
            last_used_at: None,
            revoked_at: None,
            rate_limit: Some(RateLimit { requests: 100, per_seconds: 60 }),
        };
        let given = token.clone();
        store.write_blocking(move |tx| tx.insert_token(&given, "ab12")).unwrap();
        assert_eq!(store.read(|reader| reader.token("k1")).unwrap(), Some((token, "ab12".to_owned())));
        store
            .write_blocking(|tx| {
                for at in [5, 3] {
                    tx.touch_token("k1", Timestamp(at))?;
                }
                assert!(tx.revoke_token("k1", Timestamp(7))? && tx.revoke_token("k1", Timestamp(8))?);
                assert!(!tx.revoke_token("nobody", Timestamp(8))?);
                Ok(())
            })
            .unwrap();
        let kept = store.read(Reader::list_tokens).unwrap();
        assert_eq!((kept[0].last_used_at, kept[0].revoked_at), (Some(Timestamp(5)), Some(Timestamp(7))));
    }
}
