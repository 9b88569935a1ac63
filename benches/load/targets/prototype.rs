//! The prototype: actix and Luau without the product around them. What this way of building it could give at the most.

use std::process::Command;

use super::{PLAIN, Place, Plugins, Surface, Target, copy, peers, program};

pub struct Prototype;

impl Target for Prototype {
    fn name(&self) -> &'static str {
        "prototype"
    }

    fn about(&self) -> &'static str {
        "actix-web + Luau on a pool + SQLite with group commit (`peers/prototype`), no keys, no log, `synchronous=FULL`"
    }

    fn look(&self) -> Result<(), String> {
        program("bin/prototype").map(drop)
    }

    fn surface(&self) -> Surface {
        PLAIN
    }

    fn prepare(&self, place: &Place) {
        let plugins = place.folder.join("plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        match place.plugins {
            Plugins::None => {}
            Plugins::Set(name) => copy(&peers().join("lua").join(name), &plugins.join(name)),
            Plugins::Trivial(count) => (0..count)
                .for_each(|it| copy(&peers().join("lua/trivial"), &plugins.join(format!("p{it:03}")))),
        }
    }

    fn command(&self, place: &Place) -> Command {
        let mut command = Command::new(program("bin/prototype").unwrap());
        command
            .env("PORT", place.port.to_string())
            .env("DB", place.folder.join("db.sqlite"))
            .env("PLUGINS", place.folder.join("plugins"));
        command
    }
}
