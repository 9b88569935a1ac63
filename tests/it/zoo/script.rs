//! A hostile script: what its header says, and what stands beside it.

use std::path::Path;
use std::time::Duration;

/// One file of `tests/it/zoo/scripts`.
#[derive(Clone)]
pub struct Script {
    /// Its file's name without the ending; its plugin is called so, too.
    pub name: String,
    /// The text.
    pub text: String,
}

impl Script {
    /// All of them, by name.
    pub fn all() -> Vec<Script> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/zoo/scripts");
        let mut all: Vec<Script> = std::fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().path())
            .filter(|it| it.extension().is_some_and(|it| it == "lua"))
            .map(|it| Script {
                name: it.file_stem().unwrap().to_string_lossy().into_owned(),
                text: std::fs::read_to_string(&it).unwrap(),
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn header(&self, key: &str) -> &str {
        let line =
            self.text.lines().find_map(|it| it.strip_prefix("-- ")?.strip_prefix(key)?.strip_prefix(": "));
        line.unwrap_or_default()
    }

    /// Whether the file itself is the plugin's `init.lua`.
    pub fn is_load(&self) -> bool {
        self.header("phase") == "load"
    }

    /// Whether it is about what a handler returns: events have nobody who takes an answer, clips have.
    pub fn is_about_answers(&self) -> bool {
        self.header("class") == "ret"
    }

    /// The outcomes that are right.
    pub fn expected(&self) -> Vec<&str> {
        self.header("expect").split('|').collect()
    }

    /// How long it may take on a quiet machine.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.header("max_ms").parse().unwrap())
    }

    /// MiB its VM may use.
    pub fn most_mib(&self) -> f64 {
        self.header("max_mib").parse().unwrap()
    }

    /// What it needs of the host.
    pub fn api(&self) -> &str {
        self.header("api")
    }

    /// The files of its plugin.
    pub fn files(&self, memory_mib: u64) -> Vec<(&'static str, String)> {
        let manifest = format!(
            "limits: {{ cpu_ms: 200, question_cpu_ms: 200, load_cpu_ms: 300, wall_ms: 6000, http_wall_ms: 2000, \
             memory_mib: {memory_mib}, files: 100 }}\n\
             permissions: {{ db: true, routes: true, schedule: true, http: [allowed.test, rebind.test], \
             process: [ffmpeg], clips: true, recordings: true }}\n\
             config: {{ api_key: {SECRET} }}\n\
             config_schema: {{ properties: {{ api_key: {{ type: string, writeOnly: true }} }} }}\n"
        );
        let mut files = vec![("plugin.yaml", manifest)];
        if self.is_load() {
            files.push(("init.lua", self.text.clone()));
            return files;
        }
        let init = match self.is_about_answers() {
            true => {
                "panotti.on.on_clip_captured(require(\"./attack\"), { when = { game_name = \"zoo\" } })\n"
            }
            false => {
                "panotti.events.subscribe(\"zoo.attack\", require(\"./attack\"), { max_attempts = 1 })\n"
            }
        };
        files.push(("init.lua", init.to_owned()));
        let text = match self.api() {
            "host_call" => format!("local host_call = panotti.db.transaction\n{}", self.text),
            _ => self.text.clone(),
        };
        files.push(("attack.lua", text));
        if self.header("class") == "db" {
            files.push(("migrations/0001_zoo/up.sql", TABLES.to_owned()));
        }
        files
    }
}

/// The tables that statements of the zoo speak of.
const TABLES: &str = "CREATE TABLE kv (k, v);
CREATE TABLE events (n);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 500) INSERT INTO events SELECT x FROM c;
";

/// A secret in the config of every plugin of the zoo: it must not come out anywhere.
pub const SECRET: &str = "s3cr3t-0f-the-z00";
