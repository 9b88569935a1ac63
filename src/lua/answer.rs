//! What a hook returned, as the dispatcher understands it.

use mlua::{AnyUserData, MultiValue, Value};
use serde_json::Map;

use crate::hooks::catalogue::Payload;
use crate::hooks::{Answer, Hook};
use crate::model::call::{EXPORT, ROUTE};

use super::convert::{Budget, ConvertFault, Shapes, from_lua};

/// Gives a new `{}` of a script the type that the field has: it is `[]` where a list is kept.
pub(super) fn shape_empty(fields: &mut Map<String, serde_json::Value>, payload: Payload) {
    for (name, kind, _) in payload.fields() {
        let is_list = kind.starts_with('{') && !kind.starts_with("{[");
        if is_list && let Some(value @ serde_json::Value::Object(_)) = fields.get_mut(*name) {
            let is_empty = value.as_object().is_some_and(Map::is_empty);
            if is_empty {
                *value = serde_json::Value::Array(Vec::new());
            }
        }
    }
}

/// What `panotti.deny` returns.
#[derive(Debug, Clone)]
pub struct Denial {
    /// Shown to the client.
    pub reason: String,
    /// 400..499.
    pub status: Option<u16>,
}

/// What `panotti.respond` returns.
#[derive(Debug, Clone)]
pub struct Response {
    /// 200..599.
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Makes the answer of `hook` (none for an event) of what its function returned.
///
/// # Errors
/// The returned value cannot cross.
pub fn read(
    shapes: &Shapes,
    hook: Option<Hook>,
    label: &str,
    values: &MultiValue,
) -> Result<Answer, ConvertFault> {
    let convert = |value: &Value| from_lua(shapes, value, Budget::default());
    let first = values.front().unwrap_or(&Value::Nil);
    match hook {
        Some(Hook::Health) => health(values, convert),
        // The snapshot may be any JSON; it travels as the details of a health answer would.
        Some(Hook::OnUnload) => Ok(Answer::Health { ok: true, message: None, details: convert(first)? }),
        Some(hook) => match first {
            Value::UserData(it) => {
                if let Some(answer) = made(it) {
                    return Ok(answer);
                }
                convert(first).map(|_| Answer::Nothing)
            }
            Value::Table(_) if !hook.info().may_patch.is_empty() => match convert(first)? {
                serde_json::Value::Object(mut patch) => {
                    shape_empty(&mut patch, hook.info().payload);
                    Ok(Answer::Patch(patch))
                }
                serde_json::Value::Array(items) if items.is_empty() => Ok(Answer::Patch(Map::new())),
                _ => Err(ConvertFault {
                    path: String::new(),
                    message: "is a list; a hook returns a table of fields to change, or nil".to_owned(),
                    is_limit: false,
                }),
            },
            _ => Ok(Answer::Nothing),
        },
        None if label == ROUTE => route(first, convert),
        None if label == EXPORT => Ok(Answer::Value(convert(first)?)),
        None => Ok(Answer::Nothing),
    }
}

/// What a route returned: an answer, a text, or anything that has a JSON.
fn route(
    value: &Value,
    convert: impl Fn(&Value) -> Result<serde_json::Value, ConvertFault>,
) -> Result<Answer, ConvertFault> {
    match value {
        Value::Nil => return Ok(Answer::Nothing),
        Value::String(text) => {
            let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
            return Ok(Answer::Respond { status: 200, headers, body: text.as_bytes().to_vec() });
        }
        Value::UserData(it) => {
            if let Some(answer) = made(it) {
                return Ok(answer);
            }
        }
        _ => {}
    }
    convert(value).map(Answer::Value)
}

/// What `panotti.deny` or `panotti.respond` made.
fn made(it: &AnyUserData) -> Option<Answer> {
    if let Ok(denial) = it.borrow::<Denial>() {
        return Some(Answer::Deny { reason: denial.reason.clone(), status: denial.status });
    }
    let Response { status, headers, body } = it.borrow::<Response>().ok()?.clone();
    Some(Answer::Respond { status, headers, body })
}

fn health(
    values: &MultiValue,
    convert: impl Fn(&Value) -> Result<serde_json::Value, ConvertFault>,
) -> Result<Answer, ConvertFault> {
    let mut values = values.iter();
    let ok = values.next().is_none_or(|it| !matches!(it, Value::Boolean(false) | Value::Nil));
    let message = match values.next() {
        Some(Value::String(it)) => Some(it.to_string_lossy()),
        _ => None,
    };
    let details = values.next().map_or(Ok(serde_json::Value::Null), convert)?;
    Ok(Answer::Health { ok, message, details })
}
