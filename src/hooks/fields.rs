//! Something of the server that tells its fields one by one, without any JSON made of it.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::time::Timestamp;

use super::patch;
use super::texts::Texts;

/// Something of the server that can tell its fields one by one.
pub trait Fields: Any + Send + Sync {
    /// Its fields, in their order, each name once.
    fn fields(&self) -> Vec<(&str, Field<'_>)>;

    /// The same with a reduced patch, for what is changed field by field: it takes out of the patch what it needs. None where
    /// patches are kept beside it.
    ///
    /// # Errors
    /// What is wrong with it then.
    fn patched(&self, _patch: &mut Map<String, Value>) -> Option<Result<Arc<dyn Fields>, String>> {
        None
    }
}

/// One field.
#[derive(Clone, Copy)]
pub enum Field<'a> {
    /// There is none.
    Null,
    /// A text.
    Text(&'a str),
    /// An address of the network; told as text.
    Address(IpAddr),
    /// True or false.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// Any number.
    Number(f64),
    /// A moment; told as text.
    Time(Timestamp),
    /// Texts by name.
    Texts(&'a Texts),
    /// Texts in a row.
    List(&'a [String]),
    /// Somebody's own JSON, which keeps its nulls.
    Json(&'a Map<String, Value>),
    /// Fields of its own.
    Fields(&'a dyn Fields),
}

impl<'a> Field<'a> {
    /// A text that may not be there.
    pub fn text(text: &'a Option<String>) -> Self {
        text.as_deref().map_or(Field::Null, Field::Text)
    }

    /// A whole number that may not be there.
    pub fn whole(number: Option<i64>) -> Self {
        number.map_or(Field::Null, Field::Whole)
    }

    /// A number that may not be there.
    pub fn number(number: Option<f64>) -> Self {
        number.map_or(Field::Null, Field::Number)
    }

    /// A moment that may not be there.
    pub fn time(time: Option<Timestamp>) -> Self {
        time.map_or(Field::Null, Field::Time)
    }

    /// The JSON that it stands for.
    pub fn json(self) -> Value {
        match self {
            Field::Null => Value::Null,
            Field::Text(text) => text.into(),
            Field::Address(address) => address.to_string().into(),
            Field::Flag(flag) => flag.into(),
            Field::Whole(number) => number.into(),
            Field::Number(number) => number.into(),
            Field::Time(time) => time.text().as_str().into(),
            Field::Texts(texts) => {
                Value::Object(texts.iter().map(|(name, text)| (name.to_owned(), text.into())).collect())
            }
            Field::List(items) => items.iter().map(String::as_str).collect(),
            Field::Json(json) => Value::Object(json.clone()),
            Field::Fields(fields) => Value::Object(to_json(fields)),
        }
    }
}

/// The JSON that fields stand for.
pub fn to_json(fields: &dyn Fields) -> Map<String, Value> {
    fields.fields().into_iter().map(|(name, field)| (name.to_owned(), field.json())).collect()
}

/// Takes out of a patch what does not differ from the fields.
pub(super) fn reduce_by(patch: &mut Map<String, Value>, fields: &dyn Fields) {
    let fields = fields.fields();
    patch.retain(|key, wanted| {
        let found = fields.iter().find(|(name, _)| name == key);
        match (&mut *wanted, found.map(|(_, field)| *field)) {
            (Value::Object(inner), Some(Field::Fields(fields))) => {
                reduce_by(inner, fields);
                !inner.is_empty()
            }
            (Value::Object(inner), Some(Field::Texts(texts))) => {
                inner.retain(|key, wanted| match texts.get(key) {
                    Some(text) => wanted.as_str() != Some(text),
                    None => !wanted.is_null(),
                });
                !inner.is_empty()
            }
            (Value::Object(inner), Some(Field::Json(json))) => {
                inner.retain(|key, wanted| patch::differs(wanted, json.get(key)));
                !inner.is_empty()
            }
            (Value::Array(wanted), Some(Field::List(items))) => {
                wanted.len() != items.len() || wanted.iter().zip(items).any(|(a, b)| a.as_str() != Some(b))
            }
            (_, Some(field)) => patch::differs(wanted, Some(&field.json())),
            (_, None) => patch::differs(wanted, None),
        }
    });
}
