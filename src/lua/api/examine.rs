//! What `@panotti/test` is made of: a way to whoever runs the tests. It is in the VMs of tests alone.

use std::sync::Arc;

use mlua::Lua;

use crate::hooks::{ExportOffer, Offer};
use crate::lua::context::CallKind;
use crate::lua::examiner::Examiner;
use crate::lua::require::EXAMINER;

use super::define::{Build, Raise, Reply};
use super::place;

/// Frames that are looked through for the test's own.
const MAX_FRAMES: usize = 20;

/// Cases of one file.
const MAX_CASES: usize = 1_000;

/// File and line of the test that is calling, through whatever of the host's own.
fn place_of_test(lua: &Lua) -> Option<(String, u32)> {
    (0..MAX_FRAMES).find_map(|level| {
        lua.inspect_stack(level, |frame| {
            let file = frame.source().short_src?.into_owned();
            let line = u32::try_from(frame.current_line()?).ok()?;
            let is_own = file.ends_with(".lua") || file.ends_with(".luau") && !file.starts_with('@');
            is_own.then_some((file, line))
        })?
    })
}

/// Puts the functions where `require("@panotti/test")` finds them.
pub(super) fn install(build: &Build, examiner: &Arc<dyn Examiner>) -> mlua::Result<()> {
    let host = build.lua.create_table()?;
    let own = Arc::clone(examiner);
    let ask = build.waiting("t.ask", move |_, args| {
        let (what, arguments) = (args.text("what")?, args.json("arguments")?);
        let answer = own.ask(&what, arguments, place_of_test(args.lua()));
        Ok(async move {
            Ok(match answer.await {
                Ok(value) => Reply::Json(value),
                // The script raises it: a test does not go on without what it asked for.
                Err((code, message)) => {
                    Reply::Json(serde_json::json!({ "failed": { "code": code, "message": message } }))
                }
            })
        })
    })?;
    host.raw_set("ask", ask)?;
    let own = Arc::clone(examiner);
    let case = build.function("t.case", move |lua, ctx, args| {
        let (name, function) = (args.text_up_to("name", 200)?, args.callback("fn")?);
        if ctx.call()?.kind != CallKind::Load {
            return Err(Raise::Wrong(
                "cases are registered while the file loads, not inside of a case".to_owned(),
            ));
        }
        if name.trim().is_empty() {
            return Err(args.wrong_because("name", "must not be empty"));
        }
        let offers = ctx.registry.offers();
        if offers.iter().any(|it| matches!(it, Offer::Export(it) if it.name == name)) {
            return Err(Raise::Wrong(format!("there is a case '{name}' already in this file")));
        }
        if offers.len() >= MAX_CASES {
            return Err(Raise::Limit(format!("a file of tests may have {MAX_CASES} cases")));
        }
        let slot =
            ctx.registry.offer(function, |slot| Offer::Export(ExportOffer { slot, name: name.clone() }));
        own.case(slot, &name, place(lua));
        Ok(Reply::Nothing)
    })?;
    host.raw_set("case", case)?;
    let own = Arc::clone(examiner);
    let note = build.function("t.note", move |_, _, args| {
        let (message, detail) = (args.text("message")?, args.text("detail")?);
        own.note(&message, &detail);
        Ok(Reply::Nothing)
    })?;
    host.raw_set("note", note)?;
    host.set_readonly(true);
    build.lua.set_named_registry_value(EXAMINER, host)
}
