//! The only place that shapes an error: `application/problem+json` (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use crate::error::{Code, Error};

use super::meta::Meta;
use super::uploads::TUS_VERSION;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Answers a request with an error; what is unforeseen goes to the log here, once.
pub fn answer(error: Error, req: &HttpRequest) -> HttpResponse {
    let meta = Meta::of(req);
    let request_id = meta.request_id();
    log_unforeseen(&error, &request_id, req);
    let error = meta.trace_id().into_iter().fold(error, |error, id| error.with_member("w3c_trace_id", id));
    respond(&error, req.path(), &request_id)
}

/// The answer to an error, for an `instance` and a request id.
fn respond(error: &Error, instance: &str, request_id: &str) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CONTENT_TYPE, MEDIA_TYPE));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(seconds) = retry_after(error) {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        response
            .insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"panotti\"")));
    }
    if error.code == Code::TusVersion {
        response.insert_header(("tus-version", TUS_VERSION));
    }
    if let (Code::RangeNotSatisfiable, Some((_, length))) =
        (error.code, error.members.iter().find(|(name, _)| *name == "length"))
    {
        response.insert_header((header::CONTENT_RANGE, format!("bytes */{length}")));
    }
    response.body(document(error, instance, request_id).to_string())
}

/// The problem document of an error.
pub fn document(error: &Error, instance: &str, request_id: &str) -> Value {
    let status = error.status();
    let mut document = Map::new();
    document.insert("type".into(), type_of(error.code).into());
    document.insert("title".into(), error.code.title().into());
    document.insert("status".into(), status.into());
    document.insert("detail".into(), error.detail.as_str().into());
    document.insert("instance".into(), instance.into());
    document.insert("code".into(), error.code.name().into());
    document.insert("hint".into(), error.hint().into());
    document.insert("request_id".into(), request_id.into());
    if let Some(id) = error.script.as_ref().and_then(|it| it.trace_id.as_deref()) {
        document.insert("trace_id".into(), id.into());
    }
    if let Some(script) = &error.script {
        document.insert("errors".into(), json!([script]));
    } else if !error.errors.is_empty() {
        document.insert("errors".into(), json!(error.errors));
    }
    for (name, value) in &error.members {
        // A member may add, never replace: clients rely on the ones above.
        document.entry(*name).or_insert_with(|| value.clone());
    }
    Value::Object(document)
}

/// The URI that names a kind of problem.
pub fn type_of(code: Code) -> String {
    format!("urn:panotti:problem:{}", code.name())
}

fn retry_after(error: &Error) -> Option<u32> {
    error.retry_after.or(match error.code {
        Code::Overloaded | Code::Stopping | Code::TooManyRequests => Some(1),
        Code::PluginUnavailable => Some(5),
        Code::DiskFull | Code::UploadsFull => Some(60),
        _ => None,
    })
}

fn log_unforeseen(error: &Error, request_id: &str, req: &HttpRequest) {
    if error.code.status() < 500 || (error.source.is_none() && error.code != Code::Internal) {
        return;
    }
    let mut text = error.detail.clone();
    let mut cause = error.source.as_deref().map(|it| it as &dyn std::error::Error);
    while let Some(it) = cause {
        text = format!("{text}: {it}");
        cause = it.source();
    }
    log::error!(request_id, method = req.method().as_str(), path = req.path(), code = error.code.name(); "{text}");
}

#[cfg(test)]
mod tests {
    use crate::error::ScriptFault;

    use super::*;

    #[test]
    fn every_code_becomes_a_whole_problem_document() {
        for code in Code::ALL {
            let document = document(&Error::new(*code, "what happened"), "/api/v1/x", "r1");
            for member in ["type", "title", "detail", "instance", "code", "hint", "request_id"] {
                assert!(document[member].is_string(), "{}: {member}", code.name());
            }
            assert_eq!(document["status"], code.status());
            assert_eq!(document["code"], code.name());
            let response = respond(&Error::new(*code, "what happened"), "/api/v1/x", "r1");
            assert_eq!(response.status().as_u16(), code.status());
            assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), MEDIA_TYPE);
            let waits = matches!(code.status(), 429 | 503 | 507);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), waits, "{}", code.name());
        }
    }

    #[test]
    fn the_text_of_an_unforeseen_error_is_not_shown() {
        let error = Error::internal("disk /dev/sda1 exploded");
        assert!(!document(&error, "/", "r").to_string().contains("sda1"));
    }

    #[test]
    fn a_script_fault_stands_in_errors_with_its_place() {
        let mut error = Error::new(Code::PluginLoadFailed, "no");
        error.script = Some(Box::new(ScriptFault {
            file: Some("init.lua".into()),
            line: Some(3),
            message: "unexpected end".into(),
            excerpt: Some("> 3 | if".into()),
            ..ScriptFault::default()
        }));
        let document = document(&error, "/", "r");
        assert_eq!(document["errors"][0]["file"], "init.lua");
        assert_eq!(document["errors"][0]["line"], 3);
    }

    #[test]
    fn extra_members_never_replace_the_standard_ones() {
        let error =
            Error::new(Code::OffsetMismatch, "d").with_member("expected_offset", 7).with_member("status", 1);
        let document = document(&error, "/", "r");
        assert_eq!(document["expected_offset"], 7);
        assert_eq!(document["status"], 409);
    }
}
