//! The running server, as the command line reaches it: over HTTP, with the key file of its data folder.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use super::Failure;
use super::flags::ClientFlags;
use crate::app::banner::base_url;
use crate::app::logging::escaped;
use crate::app::server_file::ServerFile;

/// How long the server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// A running server.
pub(super) struct Client {
    agent: Agent,
    url: String,
    key: String,
}

impl Client {
    /// Finds the server that these flags mean and its key.
    pub(super) fn find(flags: &ClientFlags) -> Result<Self, Failure> {
        let settings = flags.settings()?;
        let told = ServerFile::read(&settings.data_dir).filter(|_| !flags.names_address());
        let url = told.map_or_else(|| base_url(settings.address()), |server| server.url);
        let key_file = settings.data_dir.join("admin.token");
        let key = std::fs::read_to_string(&key_file).map_err(|fault| {
            Failure::Failed(format!(
                "the key file {} cannot be read ({fault}): the first start of `panotti serve` writes it; \
                 name the server's folder with --data-dir",
                key_file.display()
            ))
        })?;
        // No proxy and no redirect: the key goes to this server and to nobody else.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .build();
        Ok(Self { agent: config.into(), url, key: key.trim().to_owned() })
    }

    /// Sends one request to a route under `/api/v1`; the answer's JSON, null when it has none.
    pub(super) fn call(&self, method: &str, route: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = body.map(Value::to_string);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{route}", self.url))
            .header("X-API-Key", &self.key);
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let wrong =
            |fault: ureq::http::Error| Failure::Failed(format!("the request cannot be made: {fault}"));
        let sent = match body {
            Some(body) => self.agent.run(request.body(body).map_err(wrong)?),
            None => self.agent.run(request.body(()).map_err(wrong)?),
        };
        read(sent.map_err(|fault| self.unreachable(&fault))?)
    }

    fn unreachable(&self, fault: &ureq::Error) -> Failure {
        Failure::Failed(format!(
            "no server answers at {} ({fault}): start it with `panotti serve`, or say where it is with --data-dir \
             or --host and --port",
            self.url
        ))
    }
}

fn read(mut answer: Response<Body>) -> Result<Value, Failure> {
    let status = answer.status();
    let text = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER_BYTES)
        .read_to_string()
        .map_err(|fault| Failure::Failed(format!("the server's answer broke off: {fault}")))?;
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(json);
    }
    Err(Failure::Failed(problem(status.as_u16(), &json)))
}

/// A problem document in one or more lines.
fn problem(status: u16, json: &Value) -> String {
    let text = |key: &str| json[key].as_str().map(escaped);
    let mut told = match text("detail").or_else(|| text("title")) {
        Some(detail) => format!("{detail} ({status} {})", text("code").unwrap_or_default()),
        None => format!("the server answered {status}; is it panotti?"),
    };
    for fault in json["errors"].as_array().into_iter().flatten() {
        let part = |key: &str| fault[key].as_str().map(escaped).unwrap_or_default();
        told.push_str(&format!("\n  {}: {}", part("pointer"), part("message")));
    }
    if let Some(hint) = text("hint") {
        told.push_str(&format!("\n{hint}"));
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_told_with_its_faults_and_hint() {
        let document = json!({
            "title": "A value is wrong", "detail": "One value is wrong.", "code": "invalid", "hint": "See `errors`.",
            "errors": [{ "pointer": "/name", "message": "is empty" }]
        });
        assert_eq!(
            problem(422, &document),
            "One value is wrong. (422 invalid)\n  /name: is empty\nSee `errors`."
        );
        assert_eq!(problem(502, &Value::Null), "the server answered 502; is it panotti?");
    }
}
