//! Statements written out in SQL, for what the query builder cannot say, and for what runs with every request. They are
//! prepared once and kept, unlike `diesel::sql_query`. Those that write run past the builder, which would put the text of an
//! insert together anew each time, and prepare an update each time (`direct.rs`).

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::OnceLock;

use diesel::debug_query;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Double, Nullable, Text};
use diesel::sqlite::Sqlite;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Row, Statement as Prepared};

use crate::error::{Error, Result};

use super::connection::Reader;
use super::failure::OrFail;

/// A value in the place of a `?`.
#[derive(Debug, Clone)]
pub(super) enum Bind<'a> {
    Int(Option<i64>),
    Real(Option<f64>),
    Text(Option<Cow<'a, str>>),
}

macro_rules! binds {
    ($($from:ty: $it:ident => $made:expr;)*) => {$(
        impl<'a> From<$from> for Bind<'a> {
            fn from($it: $from) -> Self {
                $made
            }
        }
    )*};
}

binds! {
    i64: it => Bind::Int(Some(it));
    i16: it => Bind::Int(Some(it.into()));
    bool: it => Bind::Int(Some(it.into()));
    Option<i64>: it => Bind::Int(it);
    Option<f64>: it => Bind::Real(it);
    &'a str: it => Bind::Text(Some(it.into()));
    String: it => Bind::Text(Some(it.into()));
    Option<&'a str>: it => Bind::Text(it.map(Cow::from));
    Option<String>: it => Bind::Text(it.map(Cow::from));
}

impl ToSql for Bind<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match self {
            Bind::Int(value) => value.map(ValueRef::Integer),
            Bind::Real(value) => value.map(ValueRef::Real),
            Bind::Text(value) => value.as_ref().map(|it| ValueRef::Text(it.as_bytes())),
        };
        Ok(ToSqlOutput::Borrowed(value.unwrap_or(ValueRef::Null)))
    }
}

/// SQL with a value for each `?`; rows have the SQL type `ST`. What is prepared of it is found by `Key`.
#[derive(Debug, Clone)]
pub(super) struct Statement<'a, ST = (), Key = ByText> {
    sql: Cow<'static, str>,
    binds: Vec<Bind<'a>>,
    kinds: PhantomData<fn() -> (ST, Key)>,
}

/// How what is prepared of a statement is found again.
pub(super) trait Key: 'static {
    /// Whether the type alone says which statement it is.
    const IS_ENOUGH: bool;
}

/// By its text, put together anew each time.
#[derive(Debug, Clone)]
pub(super) enum ByText {}

impl Key for ByText {
    const IS_ENOUGH: bool = false;
}

/// A statement from its text; values follow with [`Statement::bind`].
pub(super) fn statement<'a, ST>(sql: impl Into<Cow<'static, str>>) -> Statement<'a, ST> {
    Statement::new(sql)
}

/// A statement with rows whose text is always the same in this place: the query builder finds it by the place, and does not
/// look at the text again. The types of its columns come first.
macro_rules! prepared {
    ($rows:ty => $sql:expr) => {{
        enum Here {}

        impl $crate::store::statement::Key for Here {
            const IS_ENOUGH: bool = true;
        }

        $crate::store::statement::Statement::<$rows, Here>::new($sql)
    }};
}

pub(super) use prepared;

/// What the query builder says, put together once: for what is read with most requests. The builder's own values do not
/// matter; those of the `?`s follow with [`Statement::bind`].
macro_rules! built_once {
    ($query:expr) => {{
        enum Here {}
        impl $crate::store::statement::Key for Here {
            const IS_ENOUGH: bool = true;
        }
        static SQL: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        $crate::store::statement::built::<_, Here>(&SQL, || $query)
    }};
}
pub(super) use built_once;

/// For [`built_once`].
pub(super) fn built<Q, K>(
    sql: &'static OnceLock<String>,
    query: impl FnOnce() -> Q,
) -> Statement<'static, Q::SqlType, K>
where
    Q: Query + QueryFragment<Sqlite>,
{
    let sql = sql.get_or_init(|| {
        let told = debug_query::<Sqlite, _>(&query()).to_string();
        told.split(" -- binds").next().unwrap_or_default().to_owned()
    });
    Statement::new(sql.as_str())
}

impl<'a, ST, K> Statement<'a, ST, K> {
    pub(super) fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Statement { sql: sql.into(), binds: Vec::new(), kinds: PhantomData }
    }

    /// The value of the next `?`.
    pub(super) fn bind(mut self, value: impl Into<Bind<'a>>) -> Self {
        if self.binds.is_empty() {
            self.binds.reserve(16);
        }
        self.binds.push(value.into());
        self
    }

    /// What says which values it asks for of which rows.
    pub(super) fn to_key(&self) -> String {
        format!("{} {:?}", self.sql, self.binds)
    }

    /// The values of the next `?`s.
    pub(super) fn binds(mut self, values: impl IntoIterator<Item = Bind<'a>>) -> Self {
        self.binds.extend(values);
        self
    }
}

/// What the connection that writes does past the query builder (`direct.rs`). It needs no types of rows.
impl Statement<'_> {
    /// Runs it; how many rows it changed.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn write(self, reader: &Reader) -> Result<usize> {
        self.run(reader, |ready| ready.raw_execute())
    }

    /// The number in its first row, if it has one.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn number(self, reader: &Reader) -> Result<Option<i64>> {
        self.first(reader, |row| row.get(0))
    }

    /// What `read` makes of its first row, if it has one.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn first<T>(
        self,
        reader: &Reader,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.run(reader, |ready| ready.raw_query().next().and_then(|row| row.map(read).transpose()))
    }

    fn run<T>(
        self,
        reader: &Reader,
        run: impl FnOnce(&mut Prepared<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let Statement { sql, binds, .. } = self;
        reader.direct()?.with(sql, |ready| {
            // What is not bound anew keeps the value of the last time.
            if ready.parameter_count() != binds.len() {
                return Err(Error::internal(uneven(ready.parameter_count(), binds.len())));
            }
            let bound = binds.iter().zip(1..).try_for_each(|(it, at)| ready.raw_bind_parameter(at, it));
            bound.and_then(|()| run(ready)).or_fail()
        })
    }
}

impl<ST, K> Statement<'_, ST, K> {
    #[cold]
    fn uneven(&self) -> diesel::result::Error {
        let (places, values) = (memchr::memchr_iter(b'?', self.sql.as_bytes()).count(), self.binds.len());
        diesel::result::Error::QueryBuilderError(uneven(places, values).into())
    }
}

#[cold]
fn uneven(places: usize, values: usize) -> String {
    format!("a statement has {places} places and was given {values} values")
}

#[cfg(test)]
impl<ST, K> Statement<'_, ST, K> {
    /// How the database would go about it.
    pub(super) fn explained(self, reader: &mut Reader) -> Vec<String> {
        let sql = format!("EXPLAIN QUERY PLAN {}", self.sql);
        let steps = statement::<(BigInt, BigInt, BigInt, Text)>(sql).binds(self.binds);
        let steps: Vec<(i64, i64, i64, String)> = steps.load(&mut reader.conn).unwrap();
        steps.into_iter().map(|it| it.3).collect()
    }
}

impl<ST, K> QueryFragment<Sqlite> for Statement<'_, ST, K> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut rest = 0;
        let mut places = memchr::memchr_iter(b'?', self.sql.as_bytes());
        for bind in &self.binds {
            let at = places.next().ok_or_else(|| self.uneven())?;
            out.push_sql(&self.sql[rest..at]);
            match bind {
                Bind::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                Bind::Real(value) => out.push_bind_param::<Nullable<Double>, _>(value)?,
                Bind::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value)?,
            }
            rest = at + 1;
        }
        if places.next().is_some() {
            return Err(self.uneven());
        }
        out.push_sql(&self.sql[rest..]);
        Ok(())
    }
}

impl<ST, K: Key> QueryId for Statement<'_, ST, K> {
    type QueryId = K;

    const HAS_STATIC_QUERY_ID: bool = K::IS_ENOUGH;
}

impl<ST, K: Key> Query for Statement<'_, ST, K> {
    type SqlType = ST;
}

impl<ST, K> RunQueryDsl<SqliteConnection> for Statement<'_, ST, K> {}
