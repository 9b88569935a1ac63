//! Functions of the host while a plugin is tested: some fail because the test wants it, and a test itself has no use for
//! those that reach the world. In life there is one look at what is not there.

use crate::lua::context::ApiContext;
use crate::lua::recorder::Class;
use crate::lua::stand_in::AtWork;

use super::define::{Raise, Reply};

/// What `name` is to answer in place of what it does; none = what it does.
///
/// # Errors
/// What to tell a test that calls it for itself.
pub(super) fn ordered(ctx: &ApiContext, class: Class, name: &'static str) -> Result<Option<Reply>, Raise> {
    let Some(stand_in) = &ctx.stand_in else {
        return match ctx.examiner.is_some() && matches!(class, Class::World | Class::Buffered) {
            true => Err(Raise::Wrong(
                "is the plugin's own affair; a test asks its host: host:fire, host:advance, host.kv, host.http".to_owned(),
            )),
            false => Ok(None),
        };
    };
    // These look for themselves, after their arguments and permissions.
    let looks = ["panotti.http.", "panotti.process."].iter().any(|it| name.starts_with(it));
    let failure = if looks { None } else { stand_in.failure(name) };
    Ok(failure.map(|(code, message)| Reply::Failed { code, message }))
}

/// Modules whose work ends by itself and calls no plugin.
const WORKING: &[&str] = &["panotti.db.", "panotti.kv.", "panotti.fs.", "panotti.assets.", "panotti.media."];

/// Notes that `name` is under way, when somebody watches the clock.
pub(super) fn at_work(ctx: &ApiContext, name: &'static str) -> Option<AtWork> {
    let stand_in = ctx.stand_in.as_ref()?;
    WORKING.iter().any(|it| name.starts_with(it)).then(|| stand_in.work())
}
