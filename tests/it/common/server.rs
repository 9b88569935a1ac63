//! The server as a process of its own, from its binary, as a user starts it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::Client;

/// What the server is to be started with.
#[derive(Clone, Default)]
pub struct Builder {
    files: Vec<(PathBuf, String)>,
    env: Vec<(String, String)>,
    folder: Option<Arc<tempfile::TempDir>>,
    shipped: bool,
    under: Vec<String>,
}

impl Builder {
    /// A plugin whose `init.lua` is `source`.
    pub fn plugin(self, name: &str, source: &str) -> Self {
        self.plugin_file(name, "init.lua", source)
    }

    /// One file of a plugin.
    pub fn plugin_file(mut self, name: &str, path: &str, text: &str) -> Self {
        self.files.push((Path::new(name).join(path), text.to_owned()));
        self
    }

    /// The plugins that ship with the product, too.
    pub fn with_shipped_plugins(mut self) -> Self {
        self.shipped = true;
        self
    }

    /// A setting, as its variable.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// A command that runs the server's own, such as valgrind with what it is to do.
    pub fn under(mut self, command: &[String]) -> Self {
        self.under = command.to_vec();
        self
    }

    /// The folder that is to hold `data/` and `plugins/`.
    pub fn in_folder(mut self, folder: Arc<tempfile::TempDir>) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|log| panic!("the server did not start:\n{log}"))
    }

    /// Starts it; its log when it gives up.
    pub fn try_start(self) -> Result<Server, String> {
        let folder = self.folder.clone().unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let plugins = folder.path().join("plugins");
        fs::create_dir_all(&plugins).unwrap();
        for (path, text) in &self.files {
            let path = plugins.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Server::spawn(self, folder)
    }
}

/// A running server; killed when dropped. Sends requests with its admin key.
pub struct Server {
    child: Child,
    client: Client,
    builder: Builder,
    folder: Arc<tempfile::TempDir>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// A server on an empty folder without plugins.
    #[track_caller]
    pub fn start() -> Self {
        Builder::default().start()
    }

    /// A server to be furnished first.
    pub fn with() -> Builder {
        Builder::default()
    }

    fn spawn(builder: Builder, folder: Arc<tempfile::TempDir>) -> Result<Self, String> {
        let data = folder.path().join("data");
        let _ = fs::remove_file(data.join("server.json"));
        let mut plugin_dirs = vec![folder.path().join("plugins")];
        if builder.shipped {
            plugin_dirs.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("user_plugins"));
        }
        let mut words = builder.under.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_panotti")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PANOTTI_")) {
            command.env_remove(name);
        }
        command
            .current_dir(folder.path())
            .env("PANOTTI_PORT", "0")
            .env("PANOTTI_DATA_DIR", &data)
            .env("PANOTTI_PLUGIN_DIRS", std::env::join_paths(plugin_dirs).unwrap())
            .env("PANOTTI_LOG_FORMAT", "json")
            // A test that edits files says itself when they are looked at.
            .env("PANOTTI_WATCH", "off")
            .envs(builder.env.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = collect_log(child.stderr.take().unwrap());
        let url = wait_until_ready(&mut child, &data).map_err(|why| {
            let _ = child.kill();
            format!("{why}\n{}", log.lock().unwrap().join("\n"))
        })?;
        let key = fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned();
        let client = Client::new(url, Some(key));
        Ok(Server { child, client, builder, folder, log })
    }

    /// Stops it at once, as a power cut would, and starts it again on the same folder.
    #[track_caller]
    pub fn kill_and_restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.again()
    }

    /// Stops it gracefully and starts it again on the same folder.
    #[track_caller]
    pub fn restart(mut self) -> Self {
        let status = self.stop();
        assert!(status.success(), "{status}: {:?}", self.log_lines());
        self.again()
    }

    #[track_caller]
    fn again(self) -> Self {
        let (builder, folder) = (self.builder.clone(), Arc::clone(&self.folder));
        drop(self);
        Server::spawn(builder, folder).unwrap_or_else(|log| panic!("the server did not start again:\n{log}"))
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let end = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not stop: {:?}", self.log_lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it where it stands.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same folder after [`Server::stop`].
    #[track_caller]
    pub fn restart_stopped(self) -> Self {
        self.again()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, when it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// A client of its own, for another thread.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The folder that holds `data/` and `plugins/`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged so far, line by line as JSON objects.
    pub fn log_lines(&self) -> Vec<Value> {
        self.log_since(0)
    }

    /// How many lines it has logged.
    pub fn log_length(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// What it has logged after its first `known` lines.
    pub fn log_since(&self, known: usize) -> Vec<Value> {
        // Parsed outside of the lock: whoever reads the log must not make the server wait.
        let lines: Vec<String> = self.log.lock().unwrap().iter().skip(known).cloned().collect();
        lines.iter().map(|it| serde_json::from_str(it).unwrap_or_else(|_| Value::from(it.as_str()))).collect()
    }

    /// Waits until a log line satisfies `wanted`.
    #[track_caller]
    pub fn wait_for_log(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || self.log_lines().into_iter().find(|it| wanted(it)))
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits (20 s at most) until `found` has something.
#[track_caller]
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn collect_log(stderr: std::process::ChildStderr) -> Arc<Mutex<Vec<String>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            kept.lock().unwrap().push(line);
        }
    });
    log
}

/// The port is bound and told only when everything is ready.
fn wait_until_ready(child: &mut Child, data: &Path) -> Result<String, String> {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        if let Ok(text) = fs::read_to_string(data.join("server.json"))
            && let Ok(told) = serde_json::from_str::<Value>(&text)
        {
            return Ok(told["url"].as_str().unwrap_or_default().to_owned());
        }
        if let Some(status) = child.try_wait().unwrap() {
            std::thread::sleep(Duration::from_millis(50));
            return Err(format!("it ended with {status}"));
        }
        if Instant::now() > end {
            return Err("it was not ready within 40 s".to_owned());
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}
