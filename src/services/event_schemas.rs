//! What the data of events must be like, by type: set by admins, held whenever somebody but the product itself
//! publishes.

use serde_json::{Value, json};

use crate::error::{Code, Error, FieldError, Result};
use crate::events::EventSchema;
use crate::model::event::{check_event_type, is_reserved_type};
use crate::store::{Reader, Tx};

use super::{Services, audit};

pub use crate::model::event_schema::EventSchemaRow;

/// Types that may have a schema.
const MAX_SCHEMAS: i64 = 1000;

/// Brings the schemas that are stored into force.
///
/// # Errors
/// The store's.
pub(super) fn load(services: &Services) -> Result<()> {
    for EventSchemaRow { kind, schema, .. } in services.store.read(Reader::list_event_schemas)? {
        match EventSchema::compile(&schema) {
            Ok(compiled) => services.journal.schemas().set(&kind, Some(compiled)),
            Err(FieldError { pointer, message }) => {
                log::error!("the schema of events `{kind}` cannot be used: {pointer} {message}");
            }
        }
    }
    Ok(())
}

/// The schema of a type.
///
/// # Errors
/// `EventSchemaNotFound`.
pub fn get(services: &Services, kind: &str) -> Result<EventSchemaRow> {
    let found = services.store.read(|r| r.event_schema(kind))?;
    found.ok_or_else(|| not_found(kind))
}

/// Sets the schema of a type, from the next event on.
///
/// # Errors
/// `Invalid`: the type is none or the product's own, or this is no schema or one that could go on without end;
/// `Conflict` when too many types have one.
pub async fn put(services: &Services, kind: &str, schema: Value, actor: &str) -> Result<EventSchemaRow> {
    check_event_type(kind).map_err(|what| Error::new(Code::Invalid, format!("The type `{kind}` {what}.")))?;
    if is_reserved_type(kind) {
        let first = kind.split('.').next().unwrap_or_default();
        let detail = format!(
            "Events of types that begin with `{first}` are the product's own: their data is told in the documentation."
        );
        return Err(Error::new(Code::Invalid, detail));
    }
    let compiled = EventSchema::compile(&schema).map_err(|fault| Error::fields(vec![fault]))?;
    let row = EventSchemaRow {
        kind: kind.to_owned(),
        schema,
        updated_by: actor.to_owned(),
        updated_at: services.now(),
    };
    let (schemas, stored) = (services.journal.schemas().clone(), row.clone());
    let write = move |tx: &mut Tx| {
        let kind = stored.kind.clone();
        if tx.event_schema(&kind)?.is_none() && tx.count_event_schemas()? >= MAX_SCHEMAS {
            let detail = format!("{MAX_SCHEMAS} types of events have a schema already, and no more may.");
            return Err(Error::new(Code::Conflict, detail));
        }
        tx.put_event_schema(&stored)?;
        let detail = json!({ "schema": stored.schema });
        note(tx, &stored, "event_schema.set", detail)?;
        tx.after_commit(move || schemas.set(&kind, Some(compiled)));
        Ok(())
    };
    services.store.write(write).await?;
    Ok(row)
}

/// Drops the schema of a type: any data will do from the next event on.
///
/// # Errors
/// `EventSchemaNotFound`.
pub async fn delete(services: &Services, kind: &str, actor: &str) -> Result<()> {
    let schemas = services.journal.schemas().clone();
    let (kind, updated_by, updated_at) = (kind.to_owned(), actor.to_owned(), services.now());
    let write = move |tx: &mut Tx| {
        if !tx.delete_event_schema(&kind)? {
            return Err(not_found(&kind));
        }
        let row = EventSchemaRow { kind: kind.clone(), schema: Value::Null, updated_by, updated_at };
        note(tx, &row, "event_schema.delete", Value::Null)?;
        tx.after_commit(move || schemas.set(&kind, None));
        Ok(())
    };
    services.store.write(write).await
}

/// Holds the data of an event that a client tells to the schema of its type; `at` is where the event stands in the
/// body, as a JSON pointer.
///
/// # Errors
/// `Invalid` with every fault and its place.
pub fn check(services: &Services, kind: &str, data: &Value, at: &str) -> Result<()> {
    let mut faults = services.journal.schemas().check(kind, data);
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &mut faults {
        fault.pointer.insert_str(0, &format!("{at}/data"));
    }
    Err(Error::fields(faults))
}

fn note(tx: &mut Tx, row: &EventSchemaRow, action: &str, detail: Value) -> Result<()> {
    audit::note(tx, row.updated_at, &row.updated_by, action, Some(format!("event/{}", row.kind)), detail)
}

fn not_found(kind: &str) -> Error {
    Error::new(Code::EventSchemaNotFound, format!("Events of the type `{kind}` have no schema."))
}
