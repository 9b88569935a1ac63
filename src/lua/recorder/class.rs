//! What the flight recorder does with each function of the host.

/// Whether what a function answers has to be kept, so that its call can be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same arguments have the same answer, or it is the VM's own affair: not recorded, runs as ever in a replay.
    Local,
    /// Recorded for people to read; runs in a replay, too, where it leaves the world alone.
    Told,
    /// Leaves something to be committed with the call, or reads that: recorded; in a replay the recorded answer counts,
    /// and where there is none, it runs.
    Buffered,
    /// Reaches the world: recorded; in a replay the recorded answer counts, and where there is none, the call has gone
    /// another way.
    World,
}

/// The class of a function of the host, by the name that messages call it; none for one that nobody has thought of.
pub fn class_of(name: &str, waits: bool) -> Option<Class> {
    Some(match (name, waits) {
        ("panotti.on" | "panotti.deny" | "panotti.respond" | "handle:off" | "panotti.export", _)
        | ("panotti.route" | "panotti.schedule.every" | "panotti.schedule.cron", _)
        | ("panotti.events.subscribe" | "panotti.json.encode" | "panotti.json.decode", _)
        | ("panotti.json.array" | "panotti.yaml.encode" | "panotti.yaml.decode", _)
        | ("panotti.base64.encode" | "panotti.base64.decode" | "panotti.hash.sha256", _)
        | ("panotti.hash.hmac_sha256" | "panotti.hash.blake3" | "panotti.url.parse", _)
        | ("panotti.url.join" | "panotti.url.encode" | "panotti.url.decode", _)
        | ("panotti.url.query" | "panotti.url.parse_query" | "panotti.regex.match", _)
        | ("panotti.regex.match_all" | "panotti.regex.is_match" | "panotti.regex.find", _)
        | ("panotti.regex.replace" | "panotti.regex.split" | "panotti.regex.escape", _)
        // What these read of clocks and chance is recorded as that.
        | ("panotti.uuid" | "panotti.time.now" | "panotti.time.monotonic", _)
        | ("panotti.time.parse" | "panotti.time.format", _)
        | ("panotti.task.gather" | "panotti.task.gather_settled" | "panotti.task.mutex", _)
        | ("panotti.task.semaphore" | "lock:with", _)
        // What tests ask for.
        | ("t.case" | "t.note" | "t.ask", _)
        | ("panotti.import" | "panotti.once", false) => Class::Local,
        ("panotti.log.debug" | "panotti.log.info" | "panotti.log.warn" | "panotti.log.error", _)
        | ("panotti.task.spawn" | "panotti.task.delay", _) => Class::Told,
        ("panotti.kv.get" | "panotti.kv.set" | "panotti.kv.delete" | "panotti.kv.incr", _)
        | ("panotti.events.publish", _) => Class::Buffered,
        ("panotti.sleep" | "task:join" | "task:cancel" | "panotti.task.run" | "panotti.notify", _)
        | ("panotti.import" | "panotti.once", true)
        | ("panotti.kv.list" | "panotti.kv.cas" | "panotti.process.run", _)
        | ("panotti.fs.read" | "panotti.fs.write" | "panotti.fs.append" | "panotti.fs.list", _)
        | ("panotti.fs.stat" | "panotti.fs.remove", _)
        | ("panotti.assets.save" | "panotti.assets.exists" | "panotti.assets.read", _)
        | ("panotti.assets.list" | "panotti.assets.remove", _)
        | ("panotti.http.get" | "panotti.http.post" | "panotti.http.request", _)
        | ("panotti.recordings.get" | "panotti.recordings.list" | "panotti.recordings.create", _)
        | ("panotti.recordings.update" | "panotti.recordings.delete", _)
        | ("panotti.clips.get" | "panotti.clips.list" | "panotti.clips.create", _)
        | ("panotti.clips.update" | "panotti.clips.delete", _)
        | ("panotti.db.query" | "panotti.db.execute" | "panotti.db.transaction", _)
        | ("panotti.media.probe" | "panotti.media.locate" | "panotti.media.loudness", _)
        | ("panotti.media.peaks" | "panotti.media.envelope" | "panotti.media.cut", _)
        | ("panotti.media.denoise" | "panotti.media.subtract" | "panotti.media.decode", _) => Class::World,
        _ => return None,
    })
}

/// Whether a function that reaches the world changes nothing of it and asks nobody outside.
pub fn only_looks(name: &str) -> bool {
    matches!(
        name,
        "panotti.sleep"
            | "panotti.kv.list"
            | "panotti.fs.read"
            | "panotti.fs.list"
            | "panotti.fs.stat"
            | "panotti.assets.exists"
            | "panotti.assets.read"
            | "panotti.assets.list"
            | "panotti.recordings.get"
            | "panotti.recordings.list"
            | "panotti.clips.get"
            | "panotti.clips.list"
            | "panotti.media.probe"
            | "panotti.media.locate"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lua::api::MODULES;
    use crate::lua::api::stubs::ModuleDoc;

    #[test]
    fn every_function_that_is_told_of_has_a_class_and_what_waits_is_never_forgotten() {
        let inside = ["panotti.import", "panotti.once"];
        for module in MODULES {
            let doc = ModuleDoc::read(module.name, module.types);
            for function in doc.functions.iter().filter(|it| it.signature.starts_with('(')) {
                let path = format!("{}.{}", doc.path(), function.name);
                let path = if function.name == module.name { doc.path() } else { path };
                let class = class_of(&path, function.waits);
                assert!(
                    class.is_some(),
                    "{path}: say in class_of whether a trace has to keep what it answers"
                );
                let waits_for_own = path.starts_with("panotti.task.gather") || inside.contains(&&*path);
                if function.waits && !waits_for_own {
                    assert_ne!(class, Some(Class::Local), "{path} waits: its answer is the world's");
                }
            }
        }
    }
}
