//! What the server says when it is ready: six lines that tell a person where everything is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::logging::escaped;

/// What is said of plugins in safe mode.
const SAFE_MODE: &str = "  (safe mode: all stay off until you enable one: `panotti enable <name>`)";

/// What the banner tells.
#[derive(Debug, Clone)]
pub struct Banner {
    /// The server's version.
    pub version: &'static str,
    /// The address listened on, the port being the real one.
    pub address: SocketAddr,
    /// Whether it is reached by HTTPS.
    pub has_tls: bool,
    /// Folder of the server's data.
    pub data_dir: PathBuf,
    /// The database, as in `database_url`.
    pub database_url: String,
    /// The plugins' names and states; for a failed one the reason.
    pub plugins: Vec<PluginLine>,
    /// Whether plugins stay off until they are enabled.
    pub safe_mode: bool,
    /// The file with the first key.
    pub key_file: PathBuf,
}

/// One plugin in the banner.
#[derive(Debug, Clone)]
pub struct PluginLine {
    /// The plugin's name.
    pub name: String,
    /// Its state: `running`, `failed`, `disabled`, …
    pub state: String,
    /// Why it failed, in one line.
    pub fault: Option<String>,
}

/// The banner's six lines, each ended.
pub fn banner(about: &Banner) -> String {
    let url = base_url(about.address, about.has_tls);
    let key_file = shell_word(&about.key_file);
    // curl seldom knows who signed it, or the name it is for; the server is on the same machine.
    let trusting = if about.has_tls { " -k" } else { "" };
    let lines = [
        format!("panotti {}  {url}/api/v1", about.version),
        format!("docs      {url}/api/docs"),
        format!("data      {}  ({})", about.data_dir.display(), about.database_url),
        format!("plugins   {}{}", plugins(&about.plugins), if about.safe_mode { SAFE_MODE } else { "" }),
        format!("key       {}", about.key_file.display()),
        format!("try       curl{trusting} -H \"X-API-Key: $(cat {key_file})\" {url}/api/v1/plugins"),
    ];
    lines.into_iter().flat_map(|line| [escaped(&line), "\n".to_owned()]).collect()
}

/// The URL under which a client on this machine reaches the server.
pub fn base_url(address: SocketAddr, has_tls: bool) -> String {
    let scheme = if has_tls { "https" } else { "http" };
    match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => format!("{scheme}://127.0.0.1:{}", address.port()),
        ip if ip.is_unspecified() => format!("{scheme}://[::1]:{}", address.port()),
        _ => format!("{scheme}://{address}"),
    }
}

/// `5 running, 1 failed (broken: init.lua:3: …)`.
fn plugins(plugins: &[PluginLine]) -> String {
    if plugins.is_empty() {
        return "none".to_owned();
    }
    let mut states: Vec<&str> = Vec::new();
    // Running ones first, the others in the order met.
    for state in std::iter::once("running").chain(plugins.iter().map(|plugin| plugin.state.as_str())) {
        if !states.contains(&state) {
            states.push(state);
        }
    }
    let counted = states.into_iter().filter_map(|state| {
        let those: Vec<&PluginLine> = plugins.iter().filter(|plugin| plugin.state == state).collect();
        let faults: Vec<String> = those
            .iter()
            .filter_map(|plugin| {
                plugin.fault.as_ref().map(|fault| format!("{}: {}", plugin.name, first_line(fault)))
            })
            .collect();
        let reasons = if faults.is_empty() { String::new() } else { format!(" ({})", faults.join("; ")) };
        (!those.is_empty()).then(|| format!("{} {state}{reasons}", those.len()))
    });
    counted.collect::<Vec<_>>().join(", ")
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = path.chars().all(|c| c.is_alphanumeric() || "/._-:+@%\\".contains(c));
    if plain { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str, state: &str, fault: Option<&str>) -> PluginLine {
        PluginLine { name: name.to_owned(), state: state.to_owned(), fault: fault.map(str::to_owned) }
    }

    fn about(plugins: Vec<PluginLine>) -> Banner {
        Banner {
            version: "0.1.0",
            address: SocketAddr::from(([127, 0, 0, 1], 8000)),
            has_tls: false,
            data_dir: PathBuf::from("data"),
            database_url: "sqlite:data/panotti.db".to_owned(),
            plugins,
            safe_mode: false,
            key_file: PathBuf::from("data/admin.token"),
        }
    }

    #[test]
    fn six_lines_tell_where_everything_is() {
        let plugins = vec![
            plugin("broken", "failed", Some("init.lua:3: unexpected symbol\nmore")),
            plugin("a", "running", None),
            plugin("b", "running", None),
            plugin("c", "disabled", None),
        ];
        assert_eq!(
            banner(&about(plugins)),
            "panotti 0.1.0  http://127.0.0.1:8000/api/v1\n\
             docs      http://127.0.0.1:8000/api/docs\n\
             data      data  (sqlite:data/panotti.db)\n\
             plugins   2 running, 1 failed (broken: init.lua:3: unexpected symbol), 1 disabled\n\
             key       data/admin.token\n\
             try       curl -H \"X-API-Key: $(cat data/admin.token)\" http://127.0.0.1:8000/api/v1/plugins\n"
        );
    }

    #[test]
    fn safe_mode_is_said() {
        let text = banner(&Banner { safe_mode: true, ..about(vec![plugin("a", "disabled", None)]) });
        assert!(text.contains("plugins   1 disabled  (safe mode: all stay off"), "{text}");
        assert_eq!(text.lines().count(), 6);
    }

    #[test]
    fn a_faults_text_adds_no_lines_and_no_colours() {
        let text = banner(&about(vec![plugin("x", "failed", Some("\x1b[2J\rboo"))]));
        assert_eq!(text.lines().count(), 6);
        assert!(!text.contains(['\x1b', '\r']), "{text}");
    }

    #[test]
    fn with_tls_the_command_to_try_trusts_the_certificate() {
        let told = banner(&Banner { has_tls: true, ..about(Vec::new()) });
        assert!(told.contains("try       curl -k -H \"X-API-Key: "), "{told}");
        assert!(told.contains("\" https://127.0.0.1:8000/api/v1/plugins\n"), "{told}");
    }

    #[test]
    fn an_address_for_everybody_is_shown_as_one_to_call() {
        assert_eq!(base_url(SocketAddr::from(([0, 0, 0, 0], 80)), false), "http://127.0.0.1:80");
        assert_eq!(base_url("[::]:80".parse().expect("an address"), true), "https://[::1]:80");
    }

    #[test]
    fn a_folder_with_spaces_makes_a_line_that_can_still_be_pasted() {
        assert_eq!(shell_word(Path::new("my data/it's")), "'my data/it'\\''s'");
    }
}
