//! What a hook returned that means nothing there: its author is told once, for `return false` refuses nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;

use mlua::Value;

use crate::hooks::{Hook, HookKind};

use super::context::ApiContext;

/// The hooks of one VM whose pointless answers were told of.
#[derive(Default)]
pub struct Pointless(RefCell<BTreeSet<&'static str>>);

impl Pointless {
    /// Looks at what a hook returned, when that came to no answer.
    pub(super) fn note(&self, context: &ApiContext, hook: Hook, returned: Option<&Value>) {
        let Some(what) = returned.and_then(what) else { return };
        let info = hook.info();
        if info.kind != HookKind::Question || !self.0.borrow_mut().insert(hook.name()) {
            return;
        }
        let mut ways = Vec::new();
        if info.may_deny {
            ways.push("panotti.deny(reason) to refuse".to_owned());
        }
        if hook == Hook::BeforeRequest {
            ways.push("panotti.respond{…} to answer".to_owned());
        }
        if !info.may_patch.is_empty() {
            ways.push(format!("a table of what to change ({})", info.may_patch.join(", ")));
        }
        ways.push("nothing".to_owned());
        log::warn!(
            plugin = &*context.plugin, generation = context.generation, hook = hook.name();
            "it returned {what}, which means nothing here; return {}", ways.join(", or ")
        );
    }
}

/// What is told of a value; none of those that may mean "go on".
fn what(value: &Value) -> Option<&'static str> {
    match value {
        Value::Boolean(false) => Some("false"),
        Value::Integer(_) | Value::Number(_) => Some("a number"),
        Value::String(_) => Some("a string"),
        Value::Table(_) => Some("a table"),
        Value::Function(_) => Some("a function"),
        _ => None,
    }
}
