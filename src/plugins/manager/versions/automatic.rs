//! Going back to the former version when a new one fails too often.

use std::sync::{Arc, Weak};

use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::{Error, Result, ScriptFault};
use crate::model::kept_version::VersionRow;
use crate::model::plugin_version::{Authorship, VersionOrigin};
use crate::plugins::discovery::Snapshot;
use crate::plugins::manager::edited::{Edit, Undo};
use crate::plugins::manager::registry::Act;
use crate::plugins::manager::scan::{blocking, read_snapshot};
use crate::plugins::manager::slot::Slot;
use crate::plugins::manager::staging::Staged;
use crate::plugins::manager::{Manager, Shared};
use crate::plugins::status::LastError;
use crate::plugins::versions::trial::{Rates, Record};

use super::held::Held;

/// The event that tells it, and the act.
const TOLD: &str = "plugin.rolled_back";
/// The outcome of a version that was gone back from.
const ROLLED_BACK: &str = "rolled_back";

/// A version that was found to be worse than the former one; told once of each.
pub(in crate::plugins::manager) struct Worse {
    plugin: Arc<str>,
    record: Weak<Record>,
}

/// Goes back from worse versions, for as long as there is a manager.
pub(in crate::plugins::manager) async fn keep_watch(
    shared: Weak<Shared>,
    mut worse: UnboundedReceiver<Worse>,
) {
    while let Some(found) = worse.recv().await {
        let Some(shared) = shared.upgrade() else { return };
        let (manager, plugin) = (Manager(shared), Arc::clone(&found.plugin));
        let done = manager.at_once(move |manager| async move { manager.go_back_from(found).await });
        if let Err(error) = done.await {
            log::error!(plugin = &*plugin; "it fails, and its former version could not take its place: {error}");
        }
    }
}

impl Manager {
    /// Watches a version that is about to take over.
    pub(in crate::plugins::manager) fn watch_version(&self, staged: &Staged) {
        let (Some(former), Some(authorship)) = (&staged.former, &staged.authorship) else { return };
        let record = staged.live.handler.record();
        match authorship.origin {
            VersionOrigin::Disk | VersionOrigin::Api => {
                let (plugin, own) = (Arc::clone(&staged.slot.name), Arc::downgrade(record));
                let door = self.0.worse.0.clone();
                record.watch(self.0.settings.rollback, former.handler.record(), move || {
                    // Nobody listens any more when the server stops.
                    let _ = door.send(Worse { plugin: Arc::clone(&plugin), record: Weak::clone(&own) });
                });
            }
            VersionOrigin::Rollback | VersionOrigin::AutomaticRollback => {
                record.restore(former.handler.record());
            }
        }
    }

    async fn go_back_from(&self, found: Worse) -> Result<()> {
        let Some((slot, record)) = self.named(&found.plugin).zip(found.record.upgrade()) else {
            return Ok(());
        };
        let runs = slot.live().is_some_and(|it| Arc::ptr_eq(it.handler.record(), &record));
        let Some(bad) = self.live_version(&slot).await?.filter(|_| runs) else { return Ok(()) };
        let (rates, former) = record.rates();
        let why = told(rates, former);
        let Some(target) = self.version_before(&bad).await? else {
            let number = bad.number;
            log::error!(plugin = &*slot.name; "version {number}: {why}; there is no former version to go back to");
            return Ok(());
        };
        let last = slot.vitals.last_error();
        let files = Snapshot::of(self.version_files(&target).await?);
        let snapshot = files.clone();
        let (name, env) = (Arc::clone(&slot.name), self.0.env.clone());
        let limits = self.0.settings.limit_rules();
        let prepared = blocking(move || read_snapshot(&name, snapshot, &env, &limits)).await?;
        let prepared = prepared.map_err(|fault| fault.into_error(&slot.name))?;
        let authorship = Authorship {
            origin: VersionOrigin::AutomaticRollback,
            author: "server".to_owned(),
            note: Some(why.clone()),
        };
        // The folder stays as it is: somebody may be about to mend it.
        let write = || Ok(Box::new(|| ()) as Undo);
        let mut done = self.take_up_one(&slot, Edit { prepared, authorship }, write).await;
        if let Some(fault) = done.failed.remove(&slot.name) {
            return Err(fault.into_error(&slot.name));
        }
        let good = self.live_version(&slot).await?;
        let good = good.ok_or_else(|| Error::internal("the version that was gone back to is not kept"))?;
        let held = Arc::new(Held::new(&bad, &good, files));
        self.tell_rolled_back(&slot, (&bad, &target, &good), rates, former).await;
        slot.vitals.keep(&fault_of(&bad, &why, last, &held.sentence(&slot.name)), good.generation);
        // Last: whoever sees it finds the rest.
        slot.change(|it| {
            it.held = Some(held);
            it.is_held = true;
        });
        self.settle().await;
        Ok(())
    }

    async fn tell_rolled_back(
        &self,
        slot: &Slot,
        (bad, target, good): (&VersionRow, &VersionRow, &VersionRow),
        rates: Rates,
        former: Rates,
    ) {
        let act = Act {
            by: "server".to_owned(),
            action: TOLD,
            event: Some(TOLD),
            plugin: slot.name.to_string(),
            moved: None,
            detail: json!({
                "automatic": true,
                "version": bad.number,
                "to": target.number,
                "new_version": good.number,
                "reason": told(rates, former),
                "calls": rates.calls,
                "failed": rates.failed,
                "error_percent": rates.percent(),
                "former_error_percent": former.percent(),
            }),
        };
        if let Err(error) = self.0.registry.note(act).await {
            log::error!(plugin = &*slot.name; "that a version was rolled back could not be stored: {error}");
        }
        log::error!(
            plugin = &*slot.name, generation = good.generation, outcome = ROLLED_BACK;
            "version {} was rolled back to version {}: {}. Its folder is left as it is and runs again when it is edited",
            bad.number, target.number, told(rates, former)
        );
    }
}

/// `42 of 180 calls failed (23 %), 0.2 % before`.
fn told(rates: Rates, former: Rates) -> String {
    let share = |it: f64| if it >= 10.0 { format!("{it:.0} %") } else { format!("{it:.1} %") };
    let before = match former.calls {
        0 => "the former version was not called".to_owned(),
        _ => format!("{} before", share(former.percent())),
    };
    format!("{} of {} calls failed ({}), {before}", rates.failed, rates.calls, share(rates.percent()))
}

/// That a version was rolled back, with the place of the error that it had `last`.
fn fault_of(bad: &VersionRow, why: &str, last: Option<LastError>, hint: &str) -> ScriptFault {
    let message = format!("version {} was rolled back: {why}", bad.number);
    let hint = Some(hint.to_owned());
    match last {
        Some(last) => ScriptFault {
            outcome: ROLLED_BACK.to_owned(),
            message: format!("{message}; the last of them: {}", last.message),
            hint,
            hook: last.hook,
            file: last.file,
            line: last.line,
            column: last.column,
            excerpt: last.excerpt,
            traceback: last.traceback,
            trace_id: last.trace_id,
        },
        None => ScriptFault { outcome: ROLLED_BACK.to_owned(), message, hint, ..ScriptFault::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_told_as_people_read_them() {
        let rates = |failed, calls| Rates { calls, failed };
        assert_eq!(told(rates(42, 180), rates(2, 1000)), "42 of 180 calls failed (23 %), 0.2 % before");
        assert_eq!(
            told(rates(5, 60), rates(0, 0)),
            "5 of 60 calls failed (8.3 %), the former version was not called"
        );
    }
}
