//! Answers in the place of other servers and of programs: what a test has prepared, or a function of the test.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::lua::effects::{Door, Work};
use crate::net::{Fault, Request, Response};
use crate::process;

use super::StandIn;
use super::failures::kept;

/// Requests and runs that are remembered.
const MAX_SEEN: usize = 1_000;

/// What a test has prepared.
#[derive(Default)]
pub struct Answers {
    http: Mutex<Vec<(String, Stub)>>,
    programs: Mutex<Vec<(String, Stub)>>,
    requests: Mutex<Vec<Value>>,
    runs: Mutex<Vec<Value>>,
    asks: Mutex<VecDeque<Ask>>,
}

/// One answer.
#[derive(Debug, Clone)]
pub enum Stub {
    /// The same each time.
    Fixed(Value),
    /// A function of the test, by its number.
    Function(u64),
}

/// A function of the test is to say what is answered.
pub struct Ask {
    /// Which.
    pub function: u64,
    /// What it is given.
    pub argument: Value,
    /// Takes what it says; or why it failed.
    pub answer: oneshot::Sender<Result<Value, String>>,
}

impl Answers {
    /// From now on requests that fit `pattern` are answered so: an address in which `*` stands for anything, with a
    /// method before it or without. What was said last counts.
    pub fn respond(&self, pattern: &str, stub: Stub) {
        self.http.lock().push((pattern.to_owned(), stub));
    }

    /// From now on a program ends so.
    pub fn run(&self, tool: &str, stub: Stub) {
        self.programs.lock().push((tool.to_owned(), stub));
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Value> {
        self.requests.lock().clone()
    }

    /// The programs that were run so far.
    pub fn runs(&self) -> Vec<Value> {
        self.runs.lock().clone()
    }

    /// The next question to a function of the test.
    pub fn take_ask(&self) -> Option<Ask> {
        self.asks.lock().pop_front()
    }

    /// Whether there is one.
    pub fn asks(&self) -> bool {
        !self.asks.lock().is_empty()
    }
}

impl StandIn {
    /// Answers a request in the place of its server.
    pub(in crate::lua) fn http(&self, request: Request) -> Work<Result<Response, Fault>> {
        let shown = shown(&request);
        note(&self.0.answers.requests, &shown);
        let target = request.url.to_string();
        let stub = find(&self.0.answers.http.lock(), |pattern| fits(pattern, &request.method, &target));
        let failure = self.failure("panotti.http.request");
        let own = self.clone();
        Box::pin(async move {
            if let Some((code, message)) = failure {
                return Err(Fault::Failed { code, message });
            }
            let Some(stub) = stub else {
                let message = format!(
                    "the network is closed in tests, and nothing answers {} {target}; host.http:respond(\"{}\", …) does",
                    request.method,
                    pattern_for(&request)
                );
                return Err(Fault::Failed { code: "closed", message });
            };
            let answer = own.answer_of(stub, shown).await;
            let answer = answer.map_err(|message| Fault::Failed { code: "stub", message })?;
            let delay =
                Duration::try_from_secs_f64(answer["delay"].as_f64().unwrap_or(0.0)).unwrap_or_default();
            if delay > request.timeout {
                own.sleep(request.timeout).await;
                return Err(Fault::TooSlow(request.timeout));
            }
            if !delay.is_zero() {
                own.sleep(delay).await;
            }
            if let Some((code, message)) = error_of(&answer) {
                return Err(Fault::Failed { code: kept(&code), message });
            }
            let response = response(&answer, target);
            match response.body.len() > request.max_body_bytes {
                true => Err(Fault::TooLarge(request.max_body_bytes)),
                false => Ok(response),
            }
        })
    }

    /// Runs a program in its place.
    pub(in crate::lua) fn run(
        &self,
        tool: &str,
        arguments: &[String],
        stdin: &[u8],
    ) -> Work<Result<process::Ended, (&'static str, String)>> {
        let shown = json!({ "tool": tool, "args": arguments, "stdin": String::from_utf8_lossy(stdin) });
        note(&self.0.answers.runs, &shown);
        let stub = find(&self.0.answers.programs.lock(), |name| name == tool);
        let failure = self.failure("panotti.process.run");
        let (own, tool) = (self.clone(), tool.to_owned());
        Box::pin(async move {
            if let Some(failure) = failure {
                return Err(failure);
            }
            let Some(stub) = stub else {
                let message = format!(
                    "programs are closed in tests, and nothing runs in the place of {tool}; host.process:respond(\"{tool}\", …) does"
                );
                return Err(("closed", message));
            };
            let answer = own.answer_of(stub, shown).await.map_err(|message| ("stub", message))?;
            if let Some((code, message)) = error_of(&answer) {
                return Err((kept(&code), message));
            }
            let delay =
                Duration::try_from_secs_f64(answer["delay"].as_f64().unwrap_or(0.0)).unwrap_or_default();
            if !delay.is_zero() {
                own.sleep(delay).await;
            }
            let text = |key: &str| answer[key].as_str().unwrap_or_default().as_bytes().to_vec();
            Ok(process::Ended {
                code: Some(answer["code"].as_i64().and_then(|it| i32::try_from(it).ok()).unwrap_or(0)),
                signal: None,
                output: text("stdout"),
                error: text("stderr"),
                took: delay,
            })
        })
    }

    async fn answer_of(&self, stub: Stub, argument: Value) -> Result<Value, String> {
        match stub {
            Stub::Fixed(value) => Ok(value),
            Stub::Function(function) => {
                let (answer, waiting) = oneshot::channel();
                self.0.answers.asks.lock().push_back(Ask { function, argument, answer });
                waiting.await.unwrap_or_else(|_| Err("the test has ended".to_owned()))
            }
        }
    }
}

fn note(seen: &Mutex<Vec<Value>>, what: &Value) {
    let mut seen = seen.lock();
    if seen.len() < MAX_SEEN {
        seen.push(what.clone());
    }
}

/// The last one that fits.
fn find(stubs: &[(String, Stub)], fits: impl Fn(&str) -> bool) -> Option<Stub> {
    stubs.iter().rev().find(|(pattern, _)| fits(pattern)).map(|(_, stub)| stub.clone())
}

/// What the test sees of a request.
fn shown(request: &Request) -> Value {
    let headers: Map<String, Value> =
        request.headers.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect();
    let mut shown = json!({ "method": request.method, "url": request.url.to_string(), "headers": headers });
    if let Some(body) = &request.body {
        shown["body"] = String::from_utf8_lossy(body).into();
        if let Ok(json) = serde_json::from_slice::<Value>(body) {
            shown["json"] = json;
        }
    }
    shown
}

fn error_of(answer: &Value) -> Option<(String, String)> {
    match answer.get("error")? {
        Value::Null => None,
        Value::String(message) => Some(("unreachable".to_owned(), message.clone())),
        error => {
            let text = |key: &str, other: &str| error[key].as_str().unwrap_or(other).to_owned();
            Some((text("code", "unreachable"), text("message", "the test says so")))
        }
    }
}

fn response(answer: &Value, url: String) -> Response {
    let status = answer["status"].as_u64().and_then(|it| u16::try_from(it).ok()).unwrap_or(200);
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, text) in answer["headers"].as_object().into_iter().flatten() {
        let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
        headers.push((name.to_ascii_lowercase(), text));
    }
    let body = match answer.get("json") {
        None => answer["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
        Some(json) => {
            if !headers.iter().any(|(name, _)| name == "content-type") {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
            json.to_string().into_bytes()
        }
    };
    Response { status, headers, body, url }
}

/// A pattern that would fit.
fn pattern_for(request: &Request) -> String {
    format!("{}/*", request.url.origin().ascii_serialization())
}

/// Whether `method` and `url` fit a pattern.
fn fits(pattern: &str, method: &str, url: &str) -> bool {
    let (wanted, pattern) = match pattern.split_once(' ') {
        Some((wanted, rest)) => (Some(wanted), rest.trim_start()),
        None => (None, pattern),
    };
    wanted.is_none_or(|it| it == "*" || it.eq_ignore_ascii_case(method)) && glob(pattern, url)
}

/// `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_an_address_with_or_without_its_method() {
        let url = "https://api.example/v1/notes?x=1";
        for (pattern, does) in [
            (url, true),
            ("https://api.example/*", true),
            ("*", true),
            ("*/notes*", true),
            ("GET https://api.example/*", true),
            ("POST https://api.example/*", false),
            ("https://api.example/v1", false),
            ("https://*.example/*x=1", true),
            ("https://other/*", false),
            ("*x=1*x=1", false),
        ] {
            assert_eq!(fits(pattern, "GET", url), does, "{pattern}");
        }
    }
}
