//! Hosts, programs and events that a script names, against what its manifest asks for.

use url::Url;

use crate::lua::permission::Permissions;
use crate::model::event::is_reserved_type;

use super::calls::Asked;

/// Why a call will be refused, and what to write into the manifest; none when it will not, or when the manifest does not
/// ask for the permission at all, which is told elsewhere.
pub fn refused(function: &str, asked: &Asked, requested: &Permissions) -> Option<(String, String)> {
    match asked {
        Asked::Url(text) if requested.has("http") => {
            let url = Url::parse(text).ok()?;
            let host = url.host_str()?;
            let part = match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            };
            let hint = format!("Add {part:?} to `permissions: {{ http: […] }}` in plugin.yaml.");
            let why =
                format!("{function} asks {part}, which the permission `http` of plugin.yaml does not open");
            (!requested.opens_host_of(&url)).then_some((why, hint))
        }
        Asked::Tool(tool) if requested.has("process") => {
            let hint = format!("Add {tool:?} to `permissions: {{ process: […] }}` in plugin.yaml.");
            let why = format!(
                "{function} runs {tool}, which the permission `process` of plugin.yaml does not name"
            );
            (!requested.allows("process", tool)).then_some((why, hint))
        }
        Asked::Event(kind) if is_reserved_type(kind) => {
            let first = kind.split('.').next().unwrap_or_default();
            let hint = format!(
                "Choose a type of your own, or add `permissions: {{ events: [{first}] }}` to plugin.yaml."
            );
            let why = format!("{function} tells '{kind}', whose first word is the server's own");
            (!requested.allows("events", first)).then_some((why, hint))
        }
        _ => None,
    }
}
