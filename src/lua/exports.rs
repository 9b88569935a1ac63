//! Functions of plugins for each other, as a VM sees them: somebody finds the other plugin and calls it.

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::model::call::Caller;

/// What came of calling a function of another plugin.
#[derive(Debug, Clone, PartialEq)]
pub enum Exported {
    /// What it returned.
    Value(Value),
    /// The plugin has no such function; those it has.
    NoFunction(Vec<String>),
    /// It does not run, or failed at it: a code and a sentence.
    Failed(&'static str, String),
}

/// Calls functions of plugins.
pub trait Exports: Send + Sync + 'static {
    /// Calls `name` of `plugin` with plain values, out of a generation (its number) of the plugin `from`.
    fn call(
        &self,
        from: (&str, u64),
        plugin: &str,
        name: &str,
        arguments: Vec<Value>,
        caller: Caller,
    ) -> BoxFuture<'static, Exported>;
}

/// Nobody offers anything.
pub struct NoExports;

impl Exports for NoExports {
    fn call(
        &self,
        _: (&str, u64),
        plugin: &str,
        _: &str,
        _: Vec<Value>,
        _: Caller,
    ) -> BoxFuture<'static, Exported> {
        let why = format!("the plugin '{plugin}' does not run");
        Box::pin(std::future::ready(Exported::Failed("not_running", why)))
    }
}
