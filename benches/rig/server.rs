//! The real server on a folder of its own, and a plain client for it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that runs; killed when it goes.
pub struct Server {
    child: Child,
    port: u16,
    key: String,
    /// From the command to the first answer.
    pub started_in: Duration,
}

impl Server {
    /// Starts the server over `folder`, whose `plugins/` holds its plugins.
    pub fn start(folder: &Path) -> Self {
        Server::start_with(folder, &[])
    }

    /// The same with more settings.
    pub fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Server::start_into(folder, settings, Stdio::inherit())
    }

    /// The same, its log going into a file.
    pub fn start_logging(folder: &Path, settings: &[(&str, &str)], log: &Path) -> Self {
        Server::start_into(folder, settings, std::fs::File::create(log).unwrap().into())
    }

    fn start_into(folder: &Path, settings: &[(&str, &str)], log: Stdio) -> Self {
        let data = folder.join("data");
        let _ = std::fs::remove_file(data.join("server.json"));
        let began = Instant::now();
        let mut child =
            command(folder).envs(settings.iter().copied()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let port = loop {
            assert!(child.try_wait().unwrap().is_none(), "the server ended instead of starting");
            let told = std::fs::read_to_string(data.join("server.json")).unwrap_or_default();
            let told = serde_json::from_str(&told).unwrap_or(serde_json::Value::Null);
            let port =
                told["url"].as_str().and_then(|it| it.trim_end_matches('/').rsplit(':').next()?.parse().ok());
            match port {
                Some(port) => break port,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let key = std::fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned();
        let mut server = Server { child, port, key, started_in: Duration::ZERO };
        assert_eq!(server.client().get("/readyz").0, 200);
        server.started_in = began.elapsed();
        server
    }

    /// Its number as a process.
    pub fn process(&self) -> String {
        self.child.id().to_string()
    }

    /// A connection that is kept.
    pub fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        Client::new(stream, &format!("Authorization: Bearer {}\r\n", self.key))
    }
}

/// What starts the server over `folder`, on a port that it chooses: that of this checkout, or the one that `PANOTTI_BENCH_BINARY` names.
pub fn command(folder: &Path) -> Command {
    let binary = std::env::var_os("PANOTTI_BENCH_BINARY");
    let mut command = Command::new(binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_panotti").into()));
    // What the benches are told is no setting of the server's, and those of whoever runs them are not meant.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PANOTTI_") {
            command.env_remove(name);
        }
    }
    command
        .env("PANOTTI_PORT", "0")
        .env("PANOTTI_DATA_DIR", folder.join("data"))
        .env("PANOTTI_PLUGIN_DIRS", folder.join("plugins"))
        .env("PANOTTI_LOG", "error");
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    headers: String,
}

impl Client {
    /// Sends `headers`, whole lines, with each request.
    pub fn new(stream: TcpStream, headers: &str) -> Self {
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream), headers: headers.to_owned() }
    }

    pub fn get(&mut self, path: &str) -> (u16, Vec<u8>) {
        self.send("GET", path, "")
    }

    /// Status and body.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        self.try_send(method, path, body).unwrap()
    }

    /// The same, of a server that may not be there.
    pub fn try_send(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>)> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        let (mut line, mut length, mut chunked, mut status) = (String::new(), 0, false, 0);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let lower = line.trim().to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if lower.starts_with("transfer-encoding:") {
                chunked = true;
            } else if lower.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        while chunked {
            line.clear();
            self.stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|_| ErrorKind::InvalidData)?;
            let from = body.len();
            body.resize(from + size + 2, 0);
            self.stream.read_exact(&mut body[from..])?;
            body.truncate(from + size);
            chunked = size > 0;
        }
        Ok((status, body))
    }
}
