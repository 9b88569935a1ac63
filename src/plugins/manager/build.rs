//! Making a generation aside, and putting it in the place of the running one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::config::line_of;
use crate::hooks::Hook;
use crate::lua::PluginSource;
use crate::model::call::Outcome;
use crate::plugins::handler::PluginHandler;
use crate::plugins::problem::{LoadFault, Problem};
use crate::plugins::schema::first_segment;

use super::Manager;
use super::slot::{Live, Prepared, Slot};

impl Manager {
    /// Makes a generation and hands it the state of the former one; nothing calls it yet.
    pub(super) async fn build(
        &self,
        slot: &Slot,
        prepared: Prepared,
        former: Option<&Live>,
        deadline: Instant,
    ) -> Result<Arc<Live>, LoadFault> {
        let config = slot.config(&prepared.layers);
        check_config(&prepared, &config)?;
        let generation = slot.change(|it| {
            it.generation += 1;
            it.generation
        });
        let manifest = &prepared.manifest;
        let source = PluginSource {
            name: Arc::clone(&slot.name),
            version: manifest.version.as_ref().map_or_else(|| "0.0.0".to_owned(), ToString::to_string),
            generation,
            entry: prepared.entry.clone(),
            files: Arc::clone(&prepared.snapshot.files),
            config,
            secret_keys: manifest.schema.secret_keys(),
            permissions: self.in_force(slot, &manifest.requested),
            dependencies: manifest.dependencies.iter().map(|it| it.name.clone()).collect(),
            requested: manifest.requested.clone(),
            learn: manifest.learn && self.0.settings.learn_permissions,
            limits: manifest.limits,
        };
        let begin = Instant::now();
        let loading = tokio::time::timeout_at(deadline.into(), self.0.host.load(source));
        let loaded = match loading.await {
            Ok(loaded) => loaded.map_err(LoadFault::of_call),
            Err(_) => Err(self.too_late()),
        };
        let outcome = loaded.as_ref().map_or_else(|fault| fault.outcome, |_| Outcome::Ok);
        slot.vitals.stats.count("load", outcome, Some(begin.elapsed()));
        let script = loaded?;
        let vitals = Arc::clone(&slot.vitals);
        let handler = PluginHandler::new(Arc::clone(&slot.name), generation, Arc::clone(&script), vitals);
        let live = Arc::new(Live { generation, prepared, script, handler: Arc::new(handler) });
        let state = match former {
            Some(former) => self.last_words(former, deadline).await,
            None => Value::Null,
        };
        if let Err(failure) = self.life(&live, Hook::OnLoad, state, deadline).await {
            live.script.retire(Duration::ZERO).await;
            return Err(LoadFault::of_call(failure).already_logged());
        }
        Ok(live)
    }

    /// Puts a new generation of a running plugin, made from `prepared`, in the place of the running one.
    /// Calls of the former one may go on for `drain`; without any, this answers when they have ended.
    pub(super) async fn reload(
        &self,
        slot: &Arc<Slot>,
        prepared: Prepared,
        drain: Duration,
    ) -> Result<(), LoadFault> {
        let former = slot.live();
        let built = self.build(slot, prepared, former.as_deref(), self.load_deadline()).await;
        match built {
            Ok(live) => {
                log::info!(plugin = &*slot.name, generation = live.generation; "reloaded");
                let former = self.install(slot, live);
                self.publish();
                slot.vitals.reloads.count(Outcome::Ok.as_str());
                self.tell(slot, "plugin.reloaded").await;
                match former {
                    Some(former) if drain.is_zero() => former.script.retire(drain).await,
                    Some(former) => _ = self.spawn(former.script.retire(drain)),
                    None => {}
                }
                Ok(())
            }
            Err(fault) => {
                slot.note(&fault, slot.read(|it| it.generation));
                slot.vitals.reloads.count(fault.outcome.as_str());
                self.tell(slot, "plugin.reload_failed").await;
                Err(fault)
            }
        }
    }

    fn too_late(&self) -> LoadFault {
        let message = format!(
            "it was not loaded within the {} s that all plugins have together",
            self.0.settings.startup_s
        );
        LoadFault::of_folder(Outcome::Deadline, message, "Do less while the chunk runs, or raise startup_s.")
    }
}

/// The whole config against the schema, each fault where its value stands.
fn check_config(prepared: &Prepared, config: &Value) -> Result<(), LoadFault> {
    let Some(config) = config.as_object() else { return Ok(()) };
    let faults = prepared.manifest.schema.check(config);
    if faults.is_empty() {
        return Ok(());
    }
    let file = prepared.manifest.file.unwrap_or("plugin.yaml");
    let text = prepared.snapshot.files.get(file).and_then(|it| std::str::from_utf8(it).ok());
    let problems = faults.into_iter().map(|fault| {
        let key = first_segment(&fault.pointer);
        let line = text.and_then(|it| {
            line_of(it, &["config", &key]).or_else(|| line_of(it, &["config_schema", "properties", &key]))
        });
        let path = fault.pointer.trim_start_matches('/').replace('/', ".");
        Problem { file: file.to_owned(), line, message: format!("config.{path}: {}", fault.message) }
    });
    let mut fault = LoadFault::of_problems(Outcome::Convert, problems.collect(), text);
    fault.script.hint =
        Some("Correct plugin.yaml, or set the value over HTTP, at the plugin's `config`.".to_owned());
    Err(fault)
}
