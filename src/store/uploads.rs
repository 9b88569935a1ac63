//! Files that come in pieces: what they will be, and how many of their bytes were acknowledged.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::error::Result;
use crate::model::time::Timestamp;
use crate::model::upload::Upload;

use super::connection::Reader;
use super::failure::OrFail;
use super::schema::uploads;
use super::tx::Tx;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = uploads, treat_none_as_null = true)]
struct Row {
    id: String,
    recording_id: String,
    track: String,
    replaces: bool,
    content_type: Option<String>,
    metadata: String,
    length: i64,
    received: i64,
    path: Option<String>,
    created_at: i64,
    updated_at: i64,
    expires_at: i64,
    completed_at: Option<i64>,
}

impl Row {
    fn of(upload: &Upload) -> Self {
        Row {
            id: upload.id.clone(),
            recording_id: upload.recording_id.clone(),
            track: upload.track.clone(),
            replaces: upload.replace,
            content_type: upload.content_type.clone(),
            metadata: upload.metadata.clone(),
            length: upload.length,
            received: upload.offset,
            path: upload.path.clone(),
            created_at: upload.created_at.0,
            updated_at: upload.updated_at.0,
            expires_at: upload.expires_at.0,
            completed_at: upload.completed_at.map(|it| it.0),
        }
    }

    fn into_upload(self) -> Upload {
        Upload {
            id: self.id,
            recording_id: self.recording_id,
            track: self.track,
            replace: self.replaces,
            content_type: self.content_type,
            metadata: self.metadata,
            length: self.length,
            offset: self.received,
            path: self.path,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            expires_at: Timestamp(self.expires_at),
            completed_at: self.completed_at.map(Timestamp),
        }
    }
}

impl Tx {
    /// Stores an upload, over the one of the same id if there is one.
    ///
    /// # Errors
    /// The database's.
    pub fn put_upload(&mut self, upload: &Upload) -> Result<()> {
        let row = Row::of(upload);
        diesel::insert_into(uploads::table)
            .values(&row)
            .on_conflict(uploads::id)
            .do_update()
            .set(&row)
            .execute(&mut self.conn)
            .or_fail()?;
        Ok(())
    }

    /// Forgets an upload; false when there was none.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_upload(&mut self, id: &str) -> Result<bool> {
        Ok(diesel::delete(uploads::table.find(id)).execute(&mut self.conn).or_fail()? == 1)
    }
}

impl Reader {
    /// One upload.
    ///
    /// # Errors
    /// The database's.
    pub fn upload(&mut self, id: &str) -> Result<Option<Upload>> {
        let row: Option<Row> =
            uploads::table.find(id).select(Row::as_select()).first(&mut self.conn).optional().or_fail()?;
        Ok(row.map(Row::into_upload))
    }

    /// The uploads that are not complete, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn unfinished_uploads(&mut self, limit: i64) -> Result<Vec<Upload>> {
        let rows: Vec<Row> = uploads::table
            .filter(uploads::completed_at.is_null())
            .order((uploads::created_at, uploads::id))
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        Ok(rows.into_iter().map(Row::into_upload).collect())
    }

    /// Uploads whose time was over at `now`, complete or not.
    ///
    /// # Errors
    /// The database's.
    pub fn expired_uploads(&mut self, now: Timestamp, limit: i64) -> Result<Vec<Upload>> {
        let rows: Vec<Row> = uploads::table
            .filter(uploads::expires_at.le(now.0))
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.conn)
            .or_fail()?;
        Ok(rows.into_iter().map(Row::into_upload).collect())
    }

    /// Bytes that the uploads which are not complete will have, and how many of them are still to come.
    ///
    /// # Errors
    /// The database's.
    pub fn announced_bytes(&mut self) -> Result<(i64, i64)> {
        uploads::table
            .filter(uploads::completed_at.is_null())
            .select((
                sql::<BigInt>("COALESCE(SUM(length), 0)"),
                sql::<BigInt>("COALESCE(SUM(length - received), 0)"),
            ))
            .first(&mut self.conn)
            .or_fail()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::store;
    use super::*;

    fn upload(id: &str, offset: i64) -> Upload {
        Upload {
            id: id.into(),
            recording_id: "r1".into(),
            track: "system".into(),
            replace: false,
            content_type: None,
            metadata: "track c3lzdGVt".into(),
            length: 100,
            offset,
            path: None,
            created_at: Timestamp(1),
            updated_at: Timestamp(1),
            expires_at: Timestamp(10),
            completed_at: None,
        }
    }

    #[test]
    fn what_is_announced_is_counted_until_it_is_complete_and_forgotten_when_its_time_is_over() {
        let (_folder, store) = store();
        let done = Upload { completed_at: Some(Timestamp(5)), path: Some("p".into()), ..upload("c", 100) };
        store
            .write_blocking(move |tx| {
                tx.put_upload(&upload("a", 0))?;
                tx.put_upload(&upload("a", 30))?;
                tx.put_upload(&Upload { expires_at: Timestamp(11), ..upload("b", 0) })?;
                tx.put_upload(&done)
            })
            .unwrap();
        assert_eq!(store.read(|r| r.announced_bytes()).unwrap(), (200, 170));
        let unfinished = store.read(|r| r.unfinished_uploads(9)).unwrap();
        assert_eq!(
            unfinished.iter().map(|it| (it.id.as_str(), it.offset)).collect::<Vec<_>>(),
            [("a", 30), ("b", 0)]
        );
        let expired = store.read(|r| r.expired_uploads(Timestamp(10), 9)).unwrap();
        assert_eq!(expired.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(store.write_blocking(|tx| tx.delete_upload("a")).unwrap());
        assert!(!store.write_blocking(|tx| tx.delete_upload("a")).unwrap());
        assert_eq!(store.read(|r| r.upload("c")).unwrap().unwrap().path.as_deref(), Some("p"));
    }
}
