//! HTTPS of the server's own.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::common::Server;
use crate::common::server::Builder;

const RECORDINGS: &str = "/api/v1/recordings";
const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// Name and text of a file.
type File<'a> = (&'a str, &'a str);

/// A folder with a self-signed certificate for this machine, and what sets it.
fn certified() -> (Builder, Arc<tempfile::TempDir>, CertificateDer<'static>) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let builder = Server::with().in_folder(Arc::clone(&folder));
    let builder = builder.env("PANOTTI_TLS_CERT", "cert.pem").env("PANOTTI_TLS_KEY", "key.pem");
    (builder, folder, made.cert.der().clone())
}

fn told(folder: &tempfile::TempDir) -> Value {
    serde_json::from_slice(&fs::read(folder.path().join("data/server.json")).unwrap()).unwrap()
}

fn port(folder: &tempfile::TempDir) -> u16 {
    let url = told(folder)["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    url.rsplit(':').next().unwrap().parse().unwrap()
}

/// A socket on which a server that hangs is an error.
fn socket(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    socket
}

/// A client that trusts `certificate` alone.
fn client(
    port: u16,
    certificate: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), socket(port))
}

/// The head of a request with the admin's key, after which the connection ends.
fn head(folder: &tempfile::TempDir, method: &str, path: &str, more: &str) -> String {
    let key = fs::read_to_string(folder.path().join("data/admin.token")).unwrap();
    let key = key.trim();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nConnection: close\r\n{more}\r\n"
    )
}

fn read(mut stream: impl Read) -> std::io::Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

#[test]
fn with_a_certificate_the_server_speaks_https_and_a_public_address_is_accepted() {
    let (builder, folder, certificate) = certified();
    let server = builder.env("PANOTTI_HOST", "0.0.0.0").start();
    let request = head(&folder, "GET", RECORDINGS, "");
    for version in BOTH {
        let mut stream = client(port(&folder), &certificate, &[version]);
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read(&mut stream).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
    }
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let refused = client(port(&folder), other.cert.der(), BOTH).write_all(request.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    assert!(
        !server.log_lines().iter().any(|it| it.to_string().contains("tls_cert")),
        "{:?}",
        server.log_lines()
    );
}

#[test]
fn who_does_not_speak_tls_or_an_old_version_is_sent_away_and_nobody_waits_for_him() {
    let (builder, folder, certificate) = certified();
    let _server = builder.env("PANOTTI_HTTP_WORKERS", 1).start();
    let silent = socket(port(&folder));
    let request = head(&folder, "GET", RECORDINGS, "");
    let mut plain = socket(port(&folder));
    plain.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The rest may be lost with a reset; what counts is that it ends.
    let ended = plain.read_to_end(&mut answer).map_err(|it| it.kind());
    assert!(!matches!(ended, Err(std::io::ErrorKind::WouldBlock)), "it hangs");
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"), "{answer:?}");
    let mut old = socket(port(&folder));
    old.write_all(&hello_of_tls_1_1()).unwrap();
    let mut answer = Vec::new();
    let _ = old.read_to_end(&mut answer);
    // A fatal alert: the version of the protocol.
    assert!(answer.starts_with(&[21]) && answer.ends_with(&[2, 70]), "{answer:?}");
    let mut stream = client(port(&folder), &certificate, BOTH);
    stream.write_all(request.as_bytes()).unwrap();
    assert!(read(stream).unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    drop(silent);
}

/// The first message of a client that speaks TLS 1.1 at best.
fn hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    // No session; one cipher suite; no compression; one extension: signatures of RSA with SHA-256.
    hello.extend([0, 0, 2, 0xc0, 0x2f, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 1]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[test]
fn a_track_is_uploaded_in_parts_and_read_back_over_tls() {
    let (builder, folder, certificate) = certified();
    let _server = builder.start();
    let mut made = client(port(&folder), &certificate, BOTH);
    let more = "Content-Type: application/json\r\nContent-Length: 11\r\n";
    let request = head(&folder, "POST", RECORDINGS, more) + "{\"id\":\"r1\"}";
    made.write_all(request.as_bytes()).unwrap();
    let answer = read(made).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let track = format!("{RECORDINGS}/r1/tracks/a");
    let mut sent = client(port(&folder), &certificate, BOTH);
    let more = "Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n";
    sent.write_all(head(&folder, "PUT", &track, more).as_bytes()).unwrap();
    let mut hash = Sha256::new();
    for part in 0..64 {
        let bytes = vec![part; 0x1_0000];
        hash.update(&bytes);
        sent.write_all(b"10000\r\n").unwrap();
        sent.write_all(&bytes).unwrap();
        sent.write_all(b"\r\n").unwrap();
    }
    sent.write_all(b"0\r\n\r\n").unwrap();
    let answer = read(sent).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let stored: Value = serde_json::from_str(answer.rsplit("\r\n\r\n").next().unwrap()).unwrap();
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((&stored["size"], &stored["sha256"]), (&Value::from(64 * 0x1_0000), &Value::from(hash)));
    let mut got = client(port(&folder), &certificate, BOTH);
    got.write_all(head(&folder, "GET", &track, "").as_bytes()).unwrap();
    let answer = read(got).unwrap();
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), 64 * 0x1_0000);
}

#[test]
fn the_command_line_trusts_the_certificate_its_server_told_and_no_other() {
    let (builder, folder, certificate) = certified();
    let _server = builder.start();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_panotti"));
        command.current_dir(folder.path()).args(args).args(["--data-dir", "data"]).output().unwrap()
    };
    let made = run(&["token", "create", "--name", "player", "--scope", "clips:read"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let listed = run(&["token", "list"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let shown = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(shown.contains("admin") && shown.contains("player"), "{shown}");
    let mut about = told(&folder);
    let hash: String = Sha256::digest(&certificate).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(about["certificate"], hash);
    about["certificate"] = Value::from("00".repeat(32));
    fs::write(folder.path().join("data/server.json"), about.to_string()).unwrap();
    let refused = run(&["token", "list"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("its certificate is not the known one"), "{why}");
}

#[test]
fn a_certificate_or_a_key_that_cannot_be_used_is_a_fault_of_the_settings() {
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let cases: &[(&[File<'_>], &[&str])] = &[
        (&[("key.pem", "nothing")], &["PANOTTI_TLS_KEY: there is no private key in key.pem: it takes PEM"]),
        (
            &[("key.pem", &other)],
            &["PANOTTI_TLS_KEY: key.pem is not the key of the first certificate in cert.pem"],
        ),
        (
            &[("key.pem", ""), ("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n")],
            &[
                "PANOTTI_TLS_CERT: cert.pem cannot be read as PEM: ",
                "PANOTTI_TLS_KEY: there is no private key",
            ],
        ),
        (
            &[("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")],
            &["PANOTTI_TLS_CERT: cert.pem and key.pem cannot be used: "],
        ),
    ];
    for (files, faults) in cases {
        let (_, folder, _) = certified();
        for (name, text) in *files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let tried = Command::new(env!("CARGO_BIN_EXE_panotti"))
            .current_dir(folder.path())
            .args(["serve", "--port", "0"])
            .env("PANOTTI_TLS_CERT", "cert.pem")
            .env("PANOTTI_TLS_KEY", "key.pem")
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert!(!tried.status.success() && faults.iter().all(|it| log.contains(it)), "{log}");
    }
}

#[test]
fn an_expired_certificate_is_warned_of_and_served_all_the_same() {
    let (builder, folder, _) = certified();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(folder.path().join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    let server = builder.start();
    let warned = server.wait_for_log("the warning", |it| it.to_string().contains("tls_cert"));
    assert_eq!(warned["level"], "warn", "{warned}");
    let why = "cert.pem: the certificate has expired at 2020-01-01T00:00:00Z";
    assert!(warned["message"].as_str().unwrap().contains(why), "{warned}");
}
