//! The servers that are measured: ours, and the peers that are found on this machine.

mod nginx;
mod panotti;
mod pocketbase;
mod prototype;
mod python;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::cores::{self, Cores};
use super::drive::{StartEnd, Work};
use super::rig::server::Client;
use super::wire;

/// A clip, as all are sent it.
pub const CLIP: &str = r#"{"title":"Epic Victory","file_path":"/clips/epic_victory.mp4","game_name":"Counter-Strike 2","duration":45,"resolution":"1920x1080","fps":60,"tags":["ace","clutch"]}"#;

/// A server that can be measured.
pub trait Target {
    /// What the tables call it.
    fn name(&self) -> &'static str;
    /// What it is, in a few words.
    fn about(&self) -> &'static str;
    /// What it takes to be measured.
    ///
    /// # Errors
    /// What is missing.
    fn look(&self) -> Result<(), String>;
    /// Its routes.
    fn surface(&self) -> Surface;
    /// Makes the folder ready; nothing of it counts as the start.
    fn prepare(&self, place: &Place);
    /// What starts it.
    fn command(&self, place: &Place) -> Command;
    /// Headers that a request needs, once it runs.
    fn headers(&self, _place: &Place) -> String {
        String::new()
    }
    /// What is sent before it is measured: a clip, for a server that has none.
    fn begin(&self, _client: &mut Client) {}
}

/// Where a server runs, and with what.
pub struct Place {
    /// Its own folder.
    pub folder: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its plugins.
    pub plugins: Plugins,
}

/// The plugins a server starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugins {
    /// None.
    None,
    /// The hooks of a workload.
    Set(&'static str),
    /// So many that hardly do anything.
    Trivial(usize),
}

/// Routes that do the same on each server.
#[derive(Debug, Clone)]
pub struct Surface {
    /// Reads a clip.
    pub get: &'static str,
    /// Makes a clip of [`CLIP`].
    pub post: &'static str,
    /// Starts a recording: path, body.
    pub start: (&'static str, &'static str),
    /// Ends the recording `ID`: method, path, body.
    pub end: (&'static str, &'static str, &'static str),
    /// Name of a recording's id.
    pub id_key: &'static str,
    /// Answers 200 when it is ready.
    pub ready: &'static str,
}

/// The routes of the peers but for PocketBase.
const PLAIN: Surface = Surface {
    get: "/api/v1/clips/1",
    post: "/api/v1/clips",
    start: ("/api/v1/recordings/start", ""),
    end: ("POST", "/api/v1/recordings/ID/end", ""),
    id_key: "recording_id",
    ready: "/api/v1/clips/1",
};

/// All of them, ours first.
pub fn all() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(panotti::Panotti),
        Box::new(nginx::Nginx),
        Box::new(prototype::Prototype),
        Box::new(pocketbase::PocketBase),
        Box::new(python::Python),
    ]
}

/// What the peers are made of, in this repository.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/peers")
}

/// Where the peers' programs are.
fn installed() -> Result<PathBuf, String> {
    match std::env::var_os("PANOTTI_BENCH_PEERS") {
        Some(folder) => Ok(folder.into()),
        None => Err("PANOTTI_BENCH_PEERS names no folder".to_owned()),
    }
}

/// A program of the peers.
fn program(path: &str) -> Result<PathBuf, String> {
    let path = installed()?.join(path);
    match path.exists() {
        true => Ok(path),
        false => Err(format!("there is no {}", path.display())),
    }
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap_or_else(|fault| panic!("{}: {fault}", from.display())) {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// A server that runs; ended when it goes.
pub struct Running {
    child: Child,
    address: SocketAddr,
    surface: Surface,
    headers: String,
    /// From the command to the first answer.
    pub first_answer: Duration,
}

impl Running {
    /// Starts a target over a fresh folder, and waits for its first answer.
    pub fn start(target: &dyn Target, cores: &Cores, folder: &Path, plugins: Plugins) -> Self {
        let folder = folder.join(target.name());
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let place = Place { folder, port, plugins };
        target.prepare(&place);
        let mut command = target.command(&place);
        let log = std::fs::File::create(place.folder.join("log")).unwrap();
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let began = Instant::now();
        let child = cores.start(&mut command);
        let mut it = Running {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            surface: target.surface(),
            headers: String::new(),
            first_answer: Duration::ZERO,
        };
        it.wait(target.name(), &place.folder);
        it.first_answer = began.elapsed();
        it.headers = target.headers(&place);
        target.begin(&mut it.client());
        it
    }

    fn wait(&mut self, name: &str, folder: &Path) {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            if let Ok(stream) = TcpStream::connect(self.address)
                && Client::new(stream, "").try_send("GET", self.surface.ready, "").is_ok_and(|it| it.0 == 200)
            {
                return;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                panic!("{name} ended with {status}: {log}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{name} did not answer within 60 s");
    }

    /// A connection.
    pub fn client(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap(), &self.headers)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads a clip.
    pub fn get(&self) -> Work {
        Work::Same(wire::request("GET", self.surface.get, &self.headers, ""))
    }

    /// Makes a clip.
    pub fn post(&self) -> Work {
        Work::Same(wire::request("POST", self.surface.post, &self.headers, CLIP))
    }

    /// Starts a recording, and ends it.
    pub fn start_end(&self) -> Work {
        let (path, body) = self.surface.start;
        let (method, end, end_body) = self.surface.end;
        let end = wire::request(method, end, &self.headers, end_body);
        Work::StartEnd(StartEnd {
            start: wire::request("POST", path, &self.headers, body),
            id_key: format!("\"{}\"", self.surface.id_key),
            end: String::from_utf8(end).unwrap(),
        })
    }

    /// Seconds of CPU that it has used.
    pub fn cpu_s(&self) -> f64 {
        cores::cpu_s(self.child.id())
    }

    /// MiB that it holds: resident, and with shared pages counted in parts.
    pub fn memory_mib(&self) -> (f64, f64) {
        cores::memory_mib(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        cores::end(&mut self.child);
    }
}
