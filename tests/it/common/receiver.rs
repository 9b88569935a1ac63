//! Another server, to which webhooks are sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::server::wait_for;

/// One request that came.
#[derive(Debug, Clone)]
pub struct Hit {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Hit {
    /// A header, whose name is in lower case.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, text)| text.as_str()).unwrap_or_else(|| panic!("no {name}: {:?}", self.headers))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Answer = Box<dyn Fn(&Hit, &mut String) -> (u16, &'static str) + Send + Sync>;

/// Listens until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
    closed: Arc<AtomicBool>,
}

impl Receiver {
    /// Answers status and body; headers can be added as lines.
    pub fn that(answer: impl Fn(&Hit, &mut String) -> (u16, &'static str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (hits, closed) = (Arc::<Mutex<Vec<Hit>>>::default(), Arc::<AtomicBool>::default());
        let (kept, end, answer) =
            (Arc::clone(&hits), Arc::clone(&closed), Arc::new(Box::new(answer) as Answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || serve(&stream.unwrap(), &kept, &answer));
            }
        });
        Receiver { address, hits, closed }
    }

    /// Sends everybody elsewhere.
    pub fn redirecting(to: &str) -> Self {
        let line = format!("location: {to}\r\n");
        Self::that(move |_, headers| {
            headers.push_str(&line);
            (307, "")
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    pub fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    /// The requests so far, when there are `count` of them.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Hit> {
        wait_for(&format!("{count} requests"), || Some(self.hits()).filter(|it| it.len() >= count))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // The thread that waits for connections gets a last one.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: &TcpStream, hits: &Mutex<Vec<Hit>>, answer: &Answer) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        match line.split_once(": ") {
            Some((name, text)) => headers.push((name.to_ascii_lowercase(), text.to_owned())),
            None if line.is_empty() => break,
            None => {}
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let hit = Hit { headers, body };
    hits.lock().unwrap().push(hit.clone());
    let mut more = String::new();
    let (status, text) = answer(&hit, &mut more);
    let head =
        format!("HTTP/1.1 {status} X\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n", text.len());
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(text.as_bytes()).ok()
}

/// Whether one of the signatures of a request is that of `secret`: HMAC-SHA256 written out (RFC 2104).
pub fn verified(hit: &Hit, secret: &str) -> bool {
    let mut key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    assert!(key.len() <= 64);
    key.resize(64, 0);
    let pad = |byte: u8| key.iter().map(|it| it ^ byte).collect::<Vec<u8>>();
    let signed = format!("{}.{}.", hit.header("webhook-id"), hit.header("webhook-timestamp"));
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(signed).chain_update(&hit.body).finalize();
    let mac = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    let wanted = format!("v1,{}", STANDARD.encode(mac));
    hit.header("webhook-signature").split(' ').any(|it| it == wanted)
}
