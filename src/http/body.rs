//! Request bodies: small JSON ones read whole, uploads passed on piece by piece, both with a deadline.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};
use tokio::time::{Instant, Sleep};

use crate::config::Settings;
use crate::error::{Code, Error, Result};

/// A body on its way: fails when its next bytes do not come in time or when it grows too large.
pub struct Upload {
    payload: Payload,
    left: Option<u64>,
    limit: u64,
    room: u64,
    patience: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Upload {
    /// The media of an upload route.
    ///
    /// # Errors
    /// [`Code::TooLarge`] when the announced length is beyond the limit.
    pub fn new(payload: Payload, headers: &HeaderMap, settings: &Settings) -> Result<Self> {
        refuse_encoding(headers)?;
        let limit = match settings.upload_max_bytes {
            0 => u64::MAX,
            limit => limit,
        };
        if content_length(headers).is_some_and(|it| it > limit) {
            return Err(too_large(limit, "upload_max_bytes"));
        }
        let patience = Duration::from_secs(settings.body_timeout_s);
        let timer = Box::pin(tokio::time::sleep(patience));
        Ok(Upload { payload, left: content_length(headers), limit, room: limit, patience, timer })
    }
}

impl Stream for Upload {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.payload.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                let length = bytes.len() as u64;
                let Some(room) = self.room.checked_sub(length) else {
                    return Poll::Ready(Some(Err(too_large(self.limit, "upload_max_bytes"))));
                };
                self.room = room;
                self.left = self.left.map(|it| it.saturating_sub(length));
                let next = Instant::now() + self.patience;
                self.timer.as_mut().reset(next);
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Some(Err(fault))) => Poll::Ready(Some(Err(broken(&fault)))),
            Poll::Ready(None) if self.left.is_some_and(|it| it > 0) => {
                self.left = None;
                Poll::Ready(Some(Err(broken(&PayloadError::Incomplete(None)))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => match self.timer.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(too_slow(self.patience)))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

/// Reads a small body whole.
///
/// # Errors
/// [`Code::TooLarge`], [`Code::BodyTimeout`], [`Code::IncompleteBody`].
pub async fn read(payload: &mut Payload, headers: &HeaderMap, settings: &Settings) -> Result<Bytes> {
    refuse_encoding(headers)?;
    let limit = settings.body_max_bytes;
    if content_length(headers).is_some_and(|it| it > limit) {
        return Err(too_large(limit, "body_max_bytes"));
    }
    let patience = Duration::from_secs(settings.body_timeout_s);
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(bytes) = payload.next().await {
            let bytes = bytes.map_err(|fault| broken(&fault))?;
            if (body.len() + bytes.len()) as u64 > limit {
                return Err(too_large(limit, "body_max_bytes"));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(patience, whole).await.map_err(|_| too_slow(patience))?
}

/// Refuses a content type that is not JSON.
///
/// # Errors
/// [`Code::UnsupportedMediaType`].
pub fn require_json(headers: &HeaderMap) -> Result<()> {
    let Some(sent) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let sent = sent.to_str().unwrap_or_default();
    let kind = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    let detail = format!("The content type is `{}`; this route takes application/json.", sent.escape_debug());
    Err(Error::new(Code::UnsupportedMediaType, detail))
}

/// Reads a JSON object.
///
/// # Errors
/// [`Code::NotJson`] with line and column; 422 when it is JSON of another shape.
pub fn parse_object(body: &[u8]) -> Result<Map<String, Value>> {
    match parse(body)? {
        Value::Object(object) => Ok(object),
        _ => Err(Error::field("", "must be a JSON object")),
    }
}

/// Reads a JSON array.
///
/// # Errors
/// As [`parse_object`].
pub fn parse_array(body: &[u8]) -> Result<Vec<Value>> {
    match parse(body)? {
        Value::Array(array) => Ok(array),
        _ => Err(Error::field("", "must be a JSON array")),
    }
}

/// Reads any JSON.
///
/// # Errors
/// [`Code::NotJson`] with line and column.
pub fn parse(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|fault| {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Error::new(Code::NotJson, "The body is empty; a JSON object is expected.");
        }
        let (line, column) = (fault.line(), fault.column());
        let detail = format!("The body is not JSON: {fault}.");
        Error::new(Code::NotJson, detail).with_member("line", line).with_member("column", column)
    })
}

/// Encoded bodies are not unpacked: a small one can hide a huge one.
fn refuse_encoding(headers: &HeaderMap) -> Result<()> {
    match headers.get(header::CONTENT_ENCODING).map(|it| it.to_str().unwrap_or_default()) {
        None | Some("identity" | "") => Ok(()),
        Some(encoding) => {
            let detail = format!(
                "Content-Encoding `{}` is not taken; send the body as it is.",
                encoding.escape_debug()
            );
            Err(Error::new(Code::UnsupportedMediaType, detail))
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: u64, setting: &str) -> Error {
    let detail = format!("The body is larger than {limit} bytes, the value of `{setting}`.");
    Error::new(Code::TooLarge, detail).with_member("limit_bytes", limit)
}

fn too_slow(patience: Duration) -> Error {
    let detail = format!("The body did not come within {} seconds (`body_timeout_s`).", patience.as_secs());
    Error::new(Code::BodyTimeout, detail)
}

fn broken(fault: &PayloadError) -> Error {
    Error::new(Code::IncompleteBody, format!("The body broke off: {fault}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_says_so() {
        assert_eq!(parse_object(b"").unwrap_err().code, Code::NotJson);
        assert_eq!(parse_object(b"[1]").unwrap_err().code, Code::Invalid);
        let error = parse_object(b"{\n  \"a\": }").unwrap_err();
        assert_eq!((error.code, error.members[0].1.as_u64()), (Code::NotJson, Some(2)));
        assert_eq!(parse_object(b"{\"a\":1}").unwrap()["a"], 1);
    }

    #[test]
    fn nesting_beyond_128_is_not_read() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(parse_object(deep.as_bytes()).unwrap_err().code, Code::NotJson);
    }

    #[test]
    fn only_json_content_types_are_taken() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(value));
            require_json(&headers)
        };
        assert!(with("application/json; charset=utf-8").is_ok());
        assert!(with("application/merge-patch+json").is_ok());
        assert_eq!(with("text/plain").unwrap_err().code, Code::UnsupportedMediaType);
    }
}
