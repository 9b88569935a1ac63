//! Statements written out in SQL, for what the query builder cannot say, and for what is written with every request: the
//! builder puts the text of an insert together anew each time, and prepares an update each time. These are prepared once
//! and kept, unlike `diesel::sql_query`.

use std::borrow::Cow;
use std::marker::PhantomData;

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

/// SQL with a value for each `?`; rows have the SQL type `ST`.
#[derive(Debug, Clone)]
pub(super) struct Statement<'a, ST = ()> {
    sql: Cow<'static, str>,
    binds: Vec<Bind<'a>>,
    rows: PhantomData<fn() -> ST>,
}

/// A statement from its text; values follow with [`Statement::bind`].
pub(super) fn statement<'a, ST>(sql: impl Into<Cow<'static, str>>) -> Statement<'a, ST> {
    Statement { sql: sql.into(), binds: Vec::new(), rows: PhantomData }
}

impl<'a, ST> Statement<'a, ST> {
    /// The value of the next `?`.
    pub(super) fn bind(mut self, value: impl Into<Bind<'a>>) -> Self {
        if self.binds.is_empty() {
            self.binds.reserve(16);
        }
        self.binds.push(value.into());
        self
    }

    /// The values of the next `?`s.
    pub(super) fn binds(mut self, values: impl IntoIterator<Item = Bind<'a>>) -> Self {
        self.binds.extend(values);
        self
    }
}

impl<ST> QueryFragment<Sqlite> for Statement<'_, ST> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut parts = self.sql.split('?');
        out.push_sql(parts.next().unwrap_or_default());
        for (part, bind) in parts.zip(&self.binds) {
            match bind {
                Bind::Int(value) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                Bind::Real(value) => out.push_bind_param::<Nullable<Double>, _>(value)?,
                Bind::Text(value) => out.push_bind_param::<Nullable<Text>, _>(value)?,
            }
            out.push_sql(part);
        }
        Ok(())
    }
}

impl<ST> QueryId for Statement<'_, ST> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Statement<'_, ST> {
    type SqlType = ST;
}

impl<ST> RunQueryDsl<SqliteConnection> for Statement<'_, ST> {}
