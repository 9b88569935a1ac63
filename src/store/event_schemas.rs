//! What the data of events must be like, by type.

use diesel::prelude::*;

use crate::error::Result;
use crate::model::event_schema::EventSchemaRow;
use crate::model::time::Timestamp;

use super::connection::Reader;
use super::failure::OrFail;
use super::json::{from_text, to_text};
use super::schema::event_schemas as table;
use super::tx::Tx;

type Columns = (String, String, String, i64);

impl Tx {
    /// Stores the schema of a type, in place of what it was.
    ///
    /// # Errors
    /// The database's.
    pub fn put_event_schema(&mut self, row: &EventSchemaRow) -> Result<()> {
        let values = (
            table::kind.eq(&row.kind),
            table::schema.eq(to_text(&row.schema)?),
            table::updated_by.eq(&row.updated_by),
            table::updated_at.eq(row.updated_at.0),
        );
        diesel::replace_into(table::table).values(values).execute(&mut self.conn).or_fail().map(drop)
    }

    /// Drops the schema of a type; whether there was one.
    ///
    /// # Errors
    /// The database's.
    pub fn delete_event_schema(&mut self, kind: &str) -> Result<bool> {
        let gone = diesel::delete(table::table.find(kind)).execute(&mut self.conn).or_fail()?;
        Ok(gone > 0)
    }
}

impl Reader {
    /// The schema of a type.
    ///
    /// # Errors
    /// The database's.
    pub fn event_schema(&mut self, kind: &str) -> Result<Option<EventSchemaRow>> {
        let found: Option<Columns> = table::table.find(kind).first(&mut self.conn).optional().or_fail()?;
        found.map(row).transpose()
    }

    /// The schemas of all types.
    ///
    /// # Errors
    /// The database's.
    pub fn list_event_schemas(&mut self) -> Result<Vec<EventSchemaRow>> {
        let rows: Vec<Columns> = table::table.order(table::kind).load(&mut self.conn).or_fail()?;
        rows.into_iter().map(row).collect()
    }

    /// How many types have a schema.
    ///
    /// # Errors
    /// The database's.
    pub fn count_event_schemas(&mut self) -> Result<i64> {
        table::table.count().get_result(&mut self.conn).or_fail()
    }
}

fn row((kind, schema, updated_by, updated_at): Columns) -> Result<EventSchemaRow> {
    Ok(EventSchemaRow { kind, schema: from_text(&schema)?, updated_by, updated_at: Timestamp(updated_at) })
}
