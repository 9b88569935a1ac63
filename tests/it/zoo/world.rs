//! Servers as bad as servers can be, for scripts that ask them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Starts one that lives as long as the tests.
pub fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut part = [0; 4096];
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&part[..count]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let ok = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    let _ = match head.split(' ').nth(1).unwrap_or_default() {
        "/endless" => {
            let block = vec![b'x'; 1 << 16];
            let mut sent = stream.write_all(format!("{ok}\r\n").as_bytes());
            while sent.is_ok() {
                sent = stream.write_all(&block);
            }
            sent
        }
        "/slow" => {
            let mut sent = stream.write_all(format!("{ok}Content-Length: 1000\r\n\r\n").as_bytes());
            while sent.is_ok() {
                std::thread::sleep(Duration::from_secs(1));
                sent = stream.write_all(b"x");
            }
            sent
        }
        "/bomb.gz" => {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(&vec![0; 256 << 20]).unwrap();
            let packed = packed.finish().unwrap();
            let head = format!("{ok}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&packed))
        }
        "/redirect-to-loopback" => stream
            .write_all(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        _ => stream.write_all(format!("{ok}Content-Length: 2\r\n\r\nok").as_bytes()),
    };
}
