//! A client that shows everything it was answered.

use std::io::Read;

use serde_json::Value;

/// One answer, body read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of a name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|err| panic!("not JSON ({err}): {}", String::from_utf8_lossy(&self.body)))
    }

    /// The JSON body, after checking the status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks the status of an answer that is not JSON.
    #[track_caller]
    pub fn expect_bytes(&self, status: u16) {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body[..self.body.len().min(500)])
        );
    }

    /// The problem document, after checking status, code and content type.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }
}

/// Sends requests with one key.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    key: Option<String>,
}

impl Client {
    pub fn new(base: String, key: Option<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(std::time::Duration::from_secs(60)))
            .build();
        Client { agent: config.into(), base, key }
    }

    /// Where the server is: `http://<address>`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same server with another key, or none.
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Client { key: key.map(str::to_owned), ..self.clone() }
    }

    /// Sends any request; a path beginning with `/api` or `/` is taken as it is.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|err| panic!("{method} {path}: {err}"))
    }

    /// As [`Client::send`], for a server that may be gone.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.header("X-API-Key", key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => self.run(request.body(body)?)?,
            None => self.run(request.body(())?)?,
        };
        let headers = response.headers().iter();
        let headers = headers.map(|(k, v)| (k.to_string(), v.to_str().unwrap_or("").to_owned())).collect();
        let mut body = Vec::new();
        let status = response.status().as_u16();
        response.body_mut().as_reader().read_to_end(&mut body)?;
        Ok(Answer { status, headers, body })
    }

    fn run(
        &self,
        request: ureq::http::Request<impl ureq::AsSendBody>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = self.agent.configure_request(request).allow_non_standard_methods(true).build();
        self.agent.run(request)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    #[track_caller]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, None)
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.json_with("POST", path, &[], body)
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.json_with("PUT", path, &[], body)
    }

    #[track_caller]
    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.json_with("PATCH", path, &[], body)
    }

    #[track_caller]
    pub fn json_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        self.send(method, path, &all, Some(body.to_string().as_bytes()))
    }

    /// Uploads a whole track.
    #[track_caller]
    pub fn put_track(&self, recording: &str, track: &str, bytes: &[u8]) -> Answer {
        let path = format!("/api/v1/recordings/{recording}/tracks/{track}");
        self.send("PUT", &path, &[("Content-Type", "audio/wav")], Some(bytes))
    }

    /// Appends a part to a live track.
    #[track_caller]
    pub fn append_track(&self, recording: &str, track: &str, offset: usize, bytes: &[u8]) -> Answer {
        let path = format!("/api/v1/recordings/{recording}/tracks/{track}");
        let offset = offset.to_string();
        let headers = [("Content-Type", "application/octet-stream"), ("Upload-Offset", offset.as_str())];
        self.send("POST", &path, &headers, Some(bytes))
    }
}
