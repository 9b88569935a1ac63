//! Statements written out in SQL, for what the query builder cannot say, and for what is written with every request: the
//! builder puts the text of an insert together anew each time, and prepares an update each time. These are prepared once
//! and kept, unlike `diesel::sql_query`.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::OnceLock;

use diesel::debug_query;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Double, Nullable, Text};
use diesel::sqlite::Sqlite;

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

/// SQL with a value for each `?`; rows have the SQL type `ST`. What is prepared of it is found by `Key`.
#[derive(Debug, Clone)]
pub(super) struct Statement<'a, ST = (), Key = ByText> {
    sql: Cow<'static, str>,
    /// Where each `?` stands, where that was found out before: the driver goes through a statement several times at each
    /// execution.
    marks: Option<&'static [usize]>,
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

/// A statement whose text is always the same in this place: it is found by the place, and the text is not looked at again.
/// The types of its columns, if it has rows, come first.
macro_rules! prepared {
    ($rows:ty => $sql:expr) => {{
        enum Here {}

        impl $crate::store::statement::Key for Here {
            const IS_ENOUGH: bool = true;
        }

        const SQL: &str = $sql;
        const MARKS: [usize; $crate::store::statement::count_marks(SQL)] = $crate::store::statement::marks_of(SQL);
        $crate::store::statement::Statement::<$rows, Here>::with_marks(SQL, &MARKS)
    }};
    ($sql:expr) => {
        $crate::store::statement::prepared!(() => $sql)
    };
}

pub(super) use prepared;

/// How many `?` a statement has.
pub(super) const fn count_marks(sql: &str) -> usize {
    let (bytes, mut at, mut count) = (sql.as_bytes(), 0, 0);
    while at < bytes.len() {
        if bytes[at] == b'?' {
            count += 1;
        }
        at += 1;
    }
    count
}

/// Where they stand.
pub(super) const fn marks_of<const N: usize>(sql: &str) -> [usize; N] {
    let (bytes, mut at, mut count, mut marks) = (sql.as_bytes(), 0, 0, [0; N]);
    while at < bytes.len() {
        if bytes[at] == b'?' {
            marks[count] = at;
            count += 1;
        }
        at += 1;
    }
    marks
}

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
        Statement { sql: sql.into(), marks: None, binds: Vec::new(), kinds: PhantomData }
    }

    pub(super) fn with_marks(sql: &'static str, marks: &'static [usize]) -> Self {
        Statement { marks: Some(marks), ..Statement::new(sql) }
    }

    fn push<'b>(
        &'b self,
        marks: impl Iterator<Item = usize>,
        out: &mut AstPass<'_, 'b, Sqlite>,
    ) -> QueryResult<()> {
        let mut rest = 0;
        for (at, bind) in marks.zip(&self.binds) {
            out.push_sql(&self.sql[rest..at]);
            match bind {
                Bind::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                Bind::Real(value) => out.push_bind_param::<Nullable<Double>, _>(value)?,
                Bind::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value)?,
            }
            rest = at + 1;
        }
        out.push_sql(&self.sql[rest..]);
        Ok(())
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

#[cfg(test)]
impl<ST, K> Statement<'_, ST, K> {
    /// How the database would go about it.
    pub(super) fn explained(self, reader: &mut super::connection::Reader) -> Vec<String> {
        let sql = format!("EXPLAIN QUERY PLAN {}", self.sql);
        let steps = statement::<(BigInt, BigInt, BigInt, Text)>(sql).binds(self.binds);
        let steps: Vec<(i64, i64, i64, String)> = steps.load(&mut reader.conn).unwrap();
        steps.into_iter().map(|it| it.3).collect()
    }
}

impl<ST, K> QueryFragment<Sqlite> for Statement<'_, ST, K> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        match self.marks {
            Some(marks) => self.push(marks.iter().copied(), &mut out),
            None => self.push(memchr::memchr_iter(b'?', self.sql.as_bytes()), &mut out),
        }
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
