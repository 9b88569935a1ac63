//! nginx with LuaJIT, and SQLite through its FFI: what scripts in a server can cost at the least.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{PLAIN, Place, Plugins, Surface, Target, copy, peers};

/// Where distributions put its modules.
const MODULES: &str = "/usr/lib/nginx/modules";
const ASKS: &str = "access_by_lua_block { app.before() } header_filter_by_lua_block { app.after() }";

pub struct Nginx;

impl Target for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn about(&self) -> &'static str {
        "nginx + LuaJIT + SQLite by FFI, 2 workers, no keys, no log, `synchronous=FULL`"
    }

    fn look(&self) -> Result<(), String> {
        find_nginx().ok_or("nginx is not in PATH")?;
        let module = Path::new(MODULES).join("ngx_http_lua_module.so");
        match module.exists() {
            true => Ok(()),
            false => Err(format!("its Lua module is not installed ({})", module.display())),
        }
    }

    fn surface(&self) -> Surface {
        PLAIN
    }

    fn prepare(&self, place: &Place) {
        let conf = std::fs::read_to_string(peers().join("nginx/nginx.conf")).unwrap();
        let asks = if place.plugins == Plugins::None { "" } else { ASKS };
        let conf = conf
            .replace("@MODULES@", MODULES)
            .replace("@PORT@", &place.port.to_string())
            .replace("@RUN@", place.folder.to_str().unwrap())
            .replace("@HERE@", peers().join("nginx").to_str().unwrap())
            .replace("@ASKS@", asks);
        std::fs::write(place.folder.join("nginx.conf"), conf).unwrap();
        if let Plugins::Trivial(count) = place.plugins {
            for number in 0..count {
                let plugin = place.folder.join(format!("plugins/p{number:03}"));
                copy(&peers().join("lua/trivial"), &plugin);
            }
        }
    }

    fn command(&self, place: &Place) -> Command {
        let plugins: Vec<String> = match place.plugins {
            Plugins::None => Vec::new(),
            Plugins::Set(name) => vec![peers().join("lua").join(name).join("init.lua").display().to_string()],
            Plugins::Trivial(count) => (0..count)
                .map(|it| place.folder.join(format!("plugins/p{it:03}/init.lua")).display().to_string())
                .collect(),
        };
        let mut command = Command::new(find_nginx().unwrap());
        command.arg("-c").arg(place.folder.join("nginx.conf"));
        if rustix::process::geteuid().is_root() {
            command.args(["-g", "user root;"]);
        }
        command.env("DB", place.folder.join("db.sqlite")).env("PLUGINS", plugins.join(" "));
        command
    }
}

fn find_nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    places.map(|it| it.join("nginx")).find(|it| it.exists())
}
