//! The running server, as the command line reaches it: over HTTP, with the key file of its data folder.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use super::Failure;
use super::flags::ClientFlags;
use super::print::{lines, shown};
use crate::app::banner::base_url;
use crate::app::logging::escaped;
use crate::app::server_file::ServerFile;
use crate::config::Tls;
use crate::net::Pinned;

/// How long the server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// A running server.
pub(super) struct Client {
    agent: Agent,
    /// SHA-256 of the one certificate that is trusted, in hex; none for plain HTTP.
    certificate: Option<String>,
    url: String,
    key: String,
}

impl Client {
    /// Finds the server that these flags mean and its key.
    pub(super) fn find(flags: &ClientFlags) -> Result<Self, Failure> {
        let settings = flags.settings()?;
        let told = ServerFile::read(&settings.data_dir).filter(|_| !flags.names_address());
        let (url, certificate) = match told {
            Some(server) => (server.url, server.certificate),
            None => {
                let wrong = |(key, why)| format!("{key}: {why}");
                let tls = Tls::of(&settings).map_err(|faults| {
                    let faults: Vec<String> = faults.into_iter().map(wrong).collect();
                    Failure::Failed(faults.join("\n"))
                })?;
                (base_url(settings.address(), tls.is_some()), tls.map(|tls| tls.fingerprint))
            }
        };
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
        Ok(Self { agent: config.into(), certificate, url, key: key.trim().to_owned() })
    }

    /// Sends one request to a route under `/api/v1`; the answer's JSON, null when it has none.
    pub(super) fn call(&self, method: &str, route: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let body = body.map(Value::to_string);
        if let Some(certificate) = &self.certificate {
            let url = format!("{}/api/v1{route}", self.url);
            let sent = Pinned { certificate, timeout: TIMEOUT, answer_max_bytes: MAX_ANSWER_BYTES };
            let (status, text) =
                sent.send(method, &url, &self.key, body).map_err(|fault| self.unreachable(&fault))?;
            return told(status, &text);
        }
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

    fn unreachable(&self, fault: &dyn std::fmt::Display) -> Failure {
        Failure::Away(format!(
            "no server answers at {} ({fault}): start it with `panotti serve`, or say where it is with --data-dir \
             or --host and --port",
            self.url
        ))
    }
}

fn read(mut answer: Response<Body>) -> Result<Value, Failure> {
    let status = answer.status().as_u16();
    let text = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER_BYTES)
        .read_to_string()
        .map_err(|fault| Failure::Failed(format!("the server's answer broke off: {fault}")))?;
    told(status, &text)
}

fn told(status: u16, text: &str) -> Result<Value, Failure> {
    let json = serde_json::from_str(text).unwrap_or(Value::Null);
    if (200..300).contains(&status) {
        return Ok(json);
    }
    let problem = problem(status, &json);
    Err(if status == 503 { Failure::Away(problem) } else { Failure::Failed(problem) })
}

/// A problem document in one or more lines.
fn problem(status: u16, json: &Value) -> String {
    let text = |key: &str| json[key].as_str().map(escaped);
    let mut told = match text("detail").or_else(|| text("title")) {
        Some(detail) => format!("{detail} ({status} {})", text("code").unwrap_or_default()),
        None => format!("the server answered {status}; is it panotti?"),
    };
    let mut faults = json["errors"].as_array().into_iter().flatten().peekable();
    let are_listed = faults.peek().is_some();
    for fault in faults {
        match fault["pointer"].as_str() {
            // The only one is the detail.
            Some(at)
                if json["detail"] == format!("{at}: {}", fault["message"].as_str().unwrap_or_default()) => {}
            Some(at) => told.push_str(&format!("\n  {}: {}", escaped(at), shown(&fault["message"]))),
            // A script's: the detail has said where, here are its lines.
            None => lines(fault["excerpt"].as_str().unwrap_or_default())
                .for_each(|line| told.push_str(&format!("\n  {line}"))),
        }
    }
    // That they are listed needs no saying where they are.
    let hint = text("hint").map(|it| match it.starts_with("See `errors`") && are_listed {
        true => it.split_once("; ").map_or(String::new(), |(_, rest)| rest.to_owned()),
        false => it,
    });
    if let Some(hint) = hint.filter(|it| !it.is_empty()) {
        told.push_str(&format!("\n{hint}"));
    }
    told
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use serde_json::json;

    use super::*;

    /// Answers one request with these bytes, gives back what it was asked.
    fn answering(answer: &'static str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let mut asked = Vec::new();
            let mut part = [0; 4096];
            // The tests send bodies that end in a brace, or none.
            while !(asked.ends_with(b"}") || asked.starts_with(b"DELETE") && asked.ends_with(b"\r\n\r\n")) {
                let count = client.read(&mut part).expect("bytes");
                asked.extend_from_slice(&part[..count]);
            }
            client.write_all(answer.as_bytes()).expect("sent");
            String::from_utf8(asked).expect("text")
        });
        (url, asked)
    }

    /// A client whose data folder says that the server is at `url`.
    fn client_of(url: &str) -> Client {
        let folder = tempfile::tempdir().expect("a folder");
        ServerFile::write(folder.path(), url, None).expect("written");
        std::fs::write(folder.path().join("admin.token"), "pnt_id_secret\n").expect("written");
        Client::find(&ClientFlags::of_data_dir(folder.path())).expect("found")
    }

    #[test]
    fn a_request_goes_where_the_data_folder_says_with_its_key_and_a_body_of_json() {
        let (url, asked) = answering("HTTP/1.1 201 Created\r\ncontent-length: 11\r\n\r\n{\"id\":\"ab\"}");
        let made = client_of(&url).call("POST", "/tokens", Some(&json!({ "name": "x" }))).expect("made");
        assert_eq!(made, json!({ "id": "ab" }));
        let asked = asked.join().expect("asked");
        assert!(asked.starts_with("POST /api/v1/tokens HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_lowercase().contains("\r\nx-api-key: pnt_id_secret\r\n"), "{asked}");
        assert!(asked.ends_with("\r\n\r\n{\"name\":\"x\"}"), "{asked}");
    }

    #[test]
    fn an_answer_without_a_body_is_fine_and_a_problem_is_a_failure() {
        let (url, asked) = answering("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client_of(&url).call("DELETE", "/tokens/ab", None).expect("revoked"), Value::Null);
        assert!(asked.join().expect("asked").starts_with("DELETE /api/v1/tokens/ab HTTP/1.1\r\n"));
        let (url, _) = answering(
            "HTTP/1.1 404 Not Found\r\ncontent-length: 37\r\n\r\n{\"detail\":\"none\",\"code\":\"not_found\"}\n",
        );
        let failure = client_of(&url).call("DELETE", "/tokens/ab", None).expect_err("a problem");
        assert_eq!(failure.to_string(), "none (404 not_found)");
    }

    #[test]
    fn a_redirect_is_not_followed_with_the_key() {
        let (url, _) =
            answering("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
        let failure = client_of(&url).call("DELETE", "/tokens/ab", None).expect_err("a redirect");
        assert_eq!(failure.to_string(), "the server answered 302; is it panotti?");
    }

    #[test]
    fn a_problem_is_told_with_its_faults_and_hint() {
        let document = json!({
            "title": "A value is wrong", "detail": "One value is wrong.", "code": "invalid", "hint": "See `errors`.",
            "errors": [{ "pointer": "/name", "message": "is empty" }]
        });
        assert_eq!(problem(422, &document), "One value is wrong. (422 invalid)\n  /name: is empty");
        let alone = json!({ "detail": "/name: is empty", "code": "invalid", "hint": "See `errors` for every fault.",
            "errors": [{ "pointer": "/name", "message": "is empty" }] });
        assert_eq!(problem(422, &alone), "/name: is empty (422 invalid)");
        let script = json!({ "detail": "no: init.lua:1: bad", "code": "plugin_load_failed",
            "errors": [{ "file": "init.lua", "line": 1, "message": "bad", "excerpt": ">    1 | x" }] });
        assert_eq!(problem(422, &script), "no: init.lua:1: bad (422 plugin_load_failed)\n  >    1 | x");
        assert_eq!(problem(502, &Value::Null), "the server answered 502; is it panotti?");
    }
}
