//! PocketBase: a server of one program over SQLite, with hooks in JavaScript.

use std::process::Command;

use super::{Place, Plugins, Surface, Target, copy, peers, program};

pub struct PocketBase;

impl Target for PocketBase {
    fn name(&self) -> &'static str {
        "pocketbase"
    }

    fn about(&self) -> &'static str {
        "PocketBase with its own settings: no keys, no log of requests, `synchronous=NORMAL`, which a power cut may undo"
    }

    fn look(&self) -> Result<(), String> {
        program("venv/bin/pocketbase").map(drop)
    }

    fn surface(&self) -> Surface {
        Surface {
            get: "/api/collections/clips/records/bench0000000001",
            post: "/api/collections/clips/records",
            start: ("/api/collections/recordings/records", r#"{"status":"active"}"#),
            end: (
                "PATCH",
                "/api/collections/recordings/records/ID",
                r#"{"status":"completed","ended_at":"now"}"#,
            ),
            id_key: "id",
            ready: "/api/collections/clips/records/bench0000000001",
        }
    }

    fn prepare(&self, place: &Place) {
        let (from, hooks) = (peers().join("pocketbase"), place.folder.join("hooks"));
        std::fs::create_dir_all(&hooks).unwrap();
        let file = |name: &str| from.join("hooks").join(format!("{name}.pb.js"));
        match place.plugins {
            Plugins::None => {}
            Plugins::Set(name) => drop(std::fs::copy(file(name), hooks.join("bench.pb.js")).unwrap()),
            Plugins::Trivial(count) => (0..count).for_each(|it| {
                std::fs::copy(file("trivial"), hooks.join(format!("p{it:03}.pb.js"))).unwrap();
            }),
        }
        copy(&from.join("migrations"), &place.folder.join("migrations"));
        let done = self.program(place, &["migrate", "up"]).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn command(&self, place: &Place) -> Command {
        let mut command = self.program(place, &["serve", "--http", &format!("127.0.0.1:{}", place.port)]);
        command.arg("--hooksDir").arg(place.folder.join("hooks")).arg("--hooksWatch=false");
        command
    }
}

impl PocketBase {
    fn program(&self, place: &Place, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("venv/bin/pocketbase").unwrap());
        command.args(arguments).arg("--dir").arg(place.folder.join("data"));
        command.arg("--migrationsDir").arg(place.folder.join("migrations"));
        command
    }
}
