//! The product, as it comes: authentication, request ids, metrics and the access log are on.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CLIP, Place, Plugins, Surface, Target, copy};
use crate::rig::server::{self, Client, Server};

/// This checkout, or another build of it.
pub struct Panotti;

impl Target for Panotti {
    fn name(&self) -> &'static str {
        "panotti"
    }

    fn about(&self) -> &'static str {
        "this checkout; a key in every request, request ids, metrics and the access log on, `synchronous=FULL`"
    }

    fn look(&self) -> Result<(), String> {
        Ok(())
    }

    fn surface(&self) -> Surface {
        Surface {
            start: ("/api/v1/recordings", "{}"),
            end: ("POST", "/api/v1/recordings/ID/end", "{}"),
            id_key: "id",
            ready: "/readyz",
            ..super::PLAIN
        }
    }

    fn prepare(&self, place: &Place) {
        // As the others: tables are made before the clock runs. The plugins are new to it all the same.
        drop(Server::start_logging(&place.folder, &[], &place.folder.join("tables")));
        let plugins = place.folder.join("plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        match place.plugins {
            Plugins::None => {}
            Plugins::Set(name) => copy(&ours(name), &plugins.join(name)),
            Plugins::Trivial(count) => {
                (0..count).for_each(|it| copy(&ours("trivial"), &plugins.join(format!("p{it:03}"))));
            }
        }
    }

    fn command(&self, place: &Place) -> Command {
        let mut command = server::command(&place.folder);
        command.env("PANOTTI_PORT", place.port.to_string()).env("PANOTTI_LOG", "info");
        command
    }

    fn headers(&self, place: &Place) -> String {
        let key = std::fs::read_to_string(place.folder.join("data/admin.token")).unwrap();
        format!("Authorization: Bearer {}\r\n", key.trim())
    }

    fn begin(&self, client: &mut Client) {
        assert_eq!(client.send("POST", "/api/v1/clips", CLIP).0, 201);
    }
}

fn ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/plugins").join(name)
}
