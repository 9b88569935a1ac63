//! One connection that is kept, with requests of the same bytes each time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::Server;

/// A plain client.
pub struct Connection {
    stream: BufReader<TcpStream>,
    key: String,
}

impl Connection {
    pub fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.base().trim_start_matches("http://")).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
        Connection { stream: BufReader::new(stream), key: key.trim().to_owned() }
    }

    /// Sends a request and reads its answer, which must be a success; the body.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let from = head.len();
            assert_ne!(self.stream.read_line(&mut head).unwrap(), 0, "{method} {path}: {head}");
            let line = head[from..].to_ascii_lowercase();
            if let Some(it) = line.strip_prefix("content-length:") {
                length = it.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {head}{body}");
        body
    }
}
