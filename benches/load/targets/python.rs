//! The Python reference: FastAPI, plugins by pluggy, SQLAlchemy.

use std::process::Command;

use super::{PLAIN, Place, Plugins, Surface, Target, copy, peers, program};

pub struct Python;

impl Target for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn about(&self) -> &'static str {
        "FastAPI + pluggy + SQLAlchemy, 2 workers of uvicorn, no keys, no log, `synchronous=FULL`"
    }

    fn look(&self) -> Result<(), String> {
        program("venv/bin/uvicorn").map(drop)
    }

    fn surface(&self) -> Surface {
        PLAIN
    }

    fn prepare(&self, place: &Place) {
        let (from, plugins) = (peers().join("python"), place.folder.join("plugins"));
        std::fs::create_dir_all(&plugins).unwrap();
        std::fs::copy(from.join("app.py"), place.folder.join("app.py")).unwrap();
        match place.plugins {
            Plugins::None => {}
            Plugins::Set(name) => copy(&from.join("plugins").join(name), &plugins.join(name)),
            Plugins::Trivial(count) => (0..count)
                .for_each(|it| copy(&from.join("plugins/trivial"), &plugins.join(format!("p{it:03}")))),
        }
        // Two workers that make the tables at once would end the start.
        let mut command = Command::new(program("venv/bin/python").unwrap());
        command.args(["-c", "import app; app.make_tables()"]);
        let done = self.within(command, place).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn command(&self, place: &Place) -> Command {
        let mut command = Command::new(program("venv/bin/uvicorn").unwrap());
        command.args(["app:app", "--port", &place.port.to_string()]);
        command.args(["--workers", "2", "--log-level", "warning", "--no-access-log"]);
        self.within(command, place)
    }
}

impl Python {
    fn within(&self, mut command: Command, place: &Place) -> Command {
        command
            .current_dir(&place.folder)
            .env("DB", place.folder.join("db.sqlite"))
            .env("PLUGINS", place.folder.join("plugins"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}
