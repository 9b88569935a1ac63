//! What happens at a door that is shut: the call is marked, the host is told where, the script learns what to ask for.

use std::sync::Arc;

use mlua::Lua;

use crate::lua::context::{ApiContext, CallState, Mark};
use crate::lua::permission::{Denied, DeniedSink};

/// Stack frames that are looked at for the script's own line.
const MAX_FRAMES: usize = 16;

/// A door that may turn out to be shut while its call waits: who is to be told, and of which line.
pub struct Shut {
    told: DeniedSink,
    denied: Denied,
}

/// Notes that `function` needs a permission the plugin lacks; the sentence for the script.
pub fn deny(ctx: &ApiContext, lua: &Lua, function: &str, permission: &str, part: Option<&str>) -> String {
    ctx.mark(Mark::Denied);
    let mut shut = shut(ctx, lua, function, permission);
    if let Some(part) = part {
        shut.denied.permission = format!("{permission}:{part}");
    }
    let permission = shut.denied.permission.clone();
    (shut.told)(shut.denied);
    let name = permission.split(':').next().unwrap_or_default();
    let asked = match part.or(permission.split_once(':').map(|(_, part)| part)) {
        Some(part) => ctx.requested.allows(name, part),
        None => ctx.requested.has(name),
    };
    match asked {
        true => format!(
            "needs the permission '{permission}', which waits for the admin's grant: \
             `panotti grants allow {0}`, or PUT /api/v1/plugins/{0}/grants",
            ctx.plugin
        ),
        false => format!("needs the permission '{permission}': {}", how_to_ask(&permission)),
    }
}

/// Whether the door opens because the plugin still learns what it needs; it is kept then.
pub fn learns(ctx: &ApiContext, permission: &str, part: Option<&str>) -> bool {
    let Some(learned) = &ctx.learning else { return false };
    let permission = part.map_or_else(|| permission.to_owned(), |part| format!("{permission}:{part}"));
    if learned.note(&permission) {
        log::info!(plugin = &*ctx.plugin, generation = ctx.generation;
            "it needs {permission}; so far its manifest has to say: {}", learned.line());
    }
    true
}

/// Remembers who is calling, for a door that may turn out to be shut later.
pub fn shut(ctx: &ApiContext, lua: &Lua, function: &str, permission: &str) -> Shut {
    let ((file, line), call) = (place(lua).unzip(), ctx.current.get());
    let denied = Denied {
        plugin: ctx.plugin.clone(),
        generation: ctx.generation,
        permission: permission.to_owned(),
        function: function.to_owned(),
        file,
        line,
        hook: call.as_ref().map(|it| it.ctx.hook),
        schedule: call.as_ref().and_then(|it| it.ctx.schedule.clone()),
    };
    Shut { told: Arc::clone(&ctx.denied), denied }
}

/// Notes that a door was shut after all, for `part` of its permission.
pub fn note(call: &CallState, shut: &Shut, part: &str) {
    call.mark(Mark::Denied);
    let permission = format!("{}:{part}", shut.denied.permission);
    (shut.told)(Denied { permission, ..shut.denied.clone() });
}

/// The line of a manifest that asks for `permission`.
fn how_to_ask(permission: &str) -> String {
    match permission.split_once(':') {
        Some((whole, part)) => format!("add `permissions: {{ {whole}: [{part}] }}` to plugin.yaml"),
        None => format!("add `permissions: {{ {permission}: true }}` to plugin.yaml"),
    }
}

/// File and line of the script that is calling.
pub fn place(lua: &Lua) -> Option<(String, u32)> {
    (0..MAX_FRAMES).find_map(|level| {
        lua.inspect_stack(level, |frame| {
            let file = frame.source().short_src?.into_owned();
            let line = u32::try_from(frame.current_line()?).ok()?;
            (file.ends_with(".lua") || file.ends_with(".luau")).then_some((file, line))
        })?
    })
}
