//! Values that go into statements and come out of them.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

/// A value as SQLite has it.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text; SQLite does not insist on UTF-8.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

/// What a number or NULL counts towards the size of an answer, in bytes.
const SLOT: usize = 16;

impl SqlValue {
    /// What it counts towards the size of an answer, in bytes.
    pub fn size(&self) -> usize {
        match self {
            SqlValue::Null | SqlValue::Integer(_) | SqlValue::Real(_) => SLOT,
            SqlValue::Text(bytes) | SqlValue::Blob(bytes) => SLOT + bytes.len(),
        }
    }

    /// What the same value in a row counts, in bytes, before it is copied.
    pub(super) fn size_of(value: &ValueRef<'_>) -> usize {
        match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => SLOT + bytes.len(),
            _ => SLOT,
        }
    }
}

impl From<ValueRef<'_>> for SqlValue {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => SqlValue::Null,
            ValueRef::Integer(it) => SqlValue::Integer(it),
            ValueRef::Real(it) => SqlValue::Real(it),
            ValueRef::Text(it) => SqlValue::Text(it.to_vec()),
            ValueRef::Blob(it) => SqlValue::Blob(it.to_vec()),
        }
    }
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            SqlValue::Null => ValueRef::Null,
            SqlValue::Integer(it) => ValueRef::Integer(*it),
            SqlValue::Real(it) => ValueRef::Real(*it),
            SqlValue::Text(it) => ValueRef::Text(it),
            SqlValue::Blob(it) => ValueRef::Blob(it),
        }))
    }
}

/// What is bound to a statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Params {
    /// Nothing.
    #[default]
    None,
    /// By position; what is missing at the end is NULL.
    List(Vec<SqlValue>),
    /// By name, without the sign before it; a parameter that is not named is NULL.
    Named(Vec<(String, SqlValue)>),
}
