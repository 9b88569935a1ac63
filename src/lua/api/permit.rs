//! What happens at a door that is shut: the call is marked, the host is told where, the script learns what to ask for.

use mlua::Lua;

use crate::lua::context::{ApiContext, Mark};
use crate::lua::permission::Denied;

/// Stack frames that are looked at for the script's own line.
const MAX_FRAMES: usize = 16;

/// Notes that `function` needs a permission the plugin lacks; the sentence for the script.
pub fn deny(ctx: &ApiContext, lua: &Lua, function: &str, permission: &str, part: Option<&str>) -> String {
    ctx.mark(Mark::Denied);
    let (file, line) = place(lua).unzip();
    let permission = part.map_or_else(|| permission.to_owned(), |part| format!("{permission}:{part}"));
    let sentence = format!("needs the permission '{permission}': {}", how_to_ask(&permission));
    (ctx.denied)(Denied {
        plugin: ctx.plugin.clone(),
        generation: ctx.generation,
        permission,
        function: function.to_owned(),
        file,
        line,
        hook: ctx.current.get().map(|it| it.ctx.hook),
    });
    sentence
}

/// The line of a manifest that asks for `permission`.
fn how_to_ask(permission: &str) -> String {
    match permission.split_once(':') {
        Some((whole, part)) => format!("add `permissions: {{ {whole}: [{part}] }}` to plugin.yaml"),
        None => format!("add `permissions: {{ {permission}: true }}` to plugin.yaml"),
    }
}

/// File and line of the script that is calling.
fn place(lua: &Lua) -> Option<(String, u32)> {
    (0..MAX_FRAMES).find_map(|level| {
        lua.inspect_stack(level, |frame| {
            let file = frame.source().short_src?.into_owned();
            let line = u32::try_from(frame.current_line()?).ok()?;
            (file.ends_with(".lua") || file.ends_with(".luau")).then_some((file, line))
        })?
    })
}
