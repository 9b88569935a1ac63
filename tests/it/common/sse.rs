//! A client of server-sent events over a bare socket.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::Server;

/// One block of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    pub event: Option<String>,
    pub id: Option<i64>,
    pub data: Option<Value>,
}

/// An open stream.
pub struct Sse {
    reader: BufReader<TcpStream>,
    pub head: String,
}

impl Sse {
    /// Opens a stream with the server's admin key.
    #[track_caller]
    pub fn open(server: &Server, query: &str, headers: &[(&str, &str)]) -> Self {
        let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
        Self::with_key(server, query, headers, key.trim())
    }

    /// Opens a stream of events with a key.
    #[track_caller]
    pub fn with_key(server: &Server, query: &str, headers: &[(&str, &str)], key: &str) -> Self {
        Self::of(server, &format!("/api/v1/events/stream{query}"), headers, key)
    }

    /// Opens the stream of a path with the server's admin key.
    #[track_caller]
    pub fn at(server: &Server, path: &str, headers: &[(&str, &str)]) -> Self {
        let key = std::fs::read_to_string(server.folder().join("data/admin.token")).unwrap();
        Self::of(server, path, headers, key.trim())
    }

    #[track_caller]
    fn of(server: &Server, path: &str, headers: &[(&str, &str)], key: &str) -> Self {
        let told = std::fs::read(server.folder().join("data/server.json")).unwrap();
        let told: Value = serde_json::from_slice(&told).unwrap();
        let mut stream =
            TcpStream::connect(told["url"].as_str().unwrap().trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n{more}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (mut reader, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        Sse { reader, head }
    }

    /// The next block; none when the stream has ended. The sizes of chunks stand on lines of their own.
    pub fn block(&mut self) -> Option<Block> {
        let mut block = Block::default();
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) | Err(_) => return None,
                Ok(_) if line == "0\r\n" => return None,
                Ok(_) => {}
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("event", name)) => block.event = Some(name.to_owned()),
                Some(("id", id)) => block.id = id.parse().ok(),
                Some(("data", data)) => block.data = serde_json::from_str(data).ok(),
                None if line == "\n" && block != Block::default() => return Some(block),
                _ => {}
            }
        }
    }

    /// The next block that tells something: an event or a gap.
    #[track_caller]
    pub fn event(&mut self) -> Block {
        loop {
            let block = self.block().expect("the stream has ended");
            if block.data.is_some() && block.event.as_deref() != Some("start") {
                return block;
            }
        }
    }
}
