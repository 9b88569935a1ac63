//! A whole product in a folder of its own.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::clock::ManualClock;
use crate::config::Settings;
use crate::error::ScriptFault;
use crate::events::Journal;
use crate::hooks::handler::CallFuture;
use crate::hooks::{
    Answer, CallFailure, Dispatcher, Hook, HookCall, HookHandler, Member, OnError, Registration, Reply,
    Subscription, Table, Target,
};
use crate::model::call::{Caller, Effects, KvOp, Outcome};
use crate::services::Services;
use crate::store::{Store, StoreOptions};

/// 2025-01-25T10:00:00Z
pub const NOW_US: i64 = 1_737_799_200_000_000;

/// What a plugin was asked or told: its name, the hook, the payload.
pub type Heard = Arc<Mutex<Vec<(String, &'static str, Value)>>>;

/// How a plugin answers.
pub enum Does {
    Returns(Answer),
    Keeps(&'static str),
    Fails,
    Takes(Duration, Answer),
}

pub struct Rig {
    pub folder: tempfile::TempDir,
    pub services: Services,
    pub clock: Arc<ManualClock>,
    pub heard: Heard,
    members: Mutex<Vec<Member>>,
}

type Act = Box<dyn Fn(&Value) -> Does + Send + Sync>;

struct Plugin {
    name: Arc<str>,
    heard: Heard,
    act: Act,
}

impl HookHandler for Plugin {
    fn plugin(&self) -> &Arc<str> {
        &self.name
    }

    fn call(&self, call: HookCall) -> CallFuture<'_> {
        let payload = Value::clone(call.payload.json());
        let does = (self.act)(&payload);
        self.heard.lock().push((self.name.to_string(), call.ctx.hook, payload));
        let Target::Slot(_) = call.target;
        Box::pin(async move {
            let reply = |answer, effects| Ok(Reply { answer, effects, generation: 1, ..Reply::default() });
            match does {
                Does::Returns(answer) => reply(answer, Effects::default()),
                Does::Keeps(key) => {
                    let set = KvOp::Set { key: key.to_owned(), value: 1.into(), expires_at_us: None };
                    reply(Answer::Nothing, Effects { kv: vec![set], ..Effects::default() })
                }
                Does::Fails => {
                    let fault = ScriptFault { message: "broken".into(), ..ScriptFault::default() };
                    Err(CallFailure { outcome: Outcome::Runtime, fault, generation: 1 })
                }
                Does::Takes(time, answer) => {
                    tokio::time::sleep(time).await;
                    reply(answer, Effects::default())
                }
            }
        })
    }
}

impl Rig {
    pub fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), Duration::from_secs(3), |_| {})
    }

    pub fn with(chain_wall: Duration, change: impl FnOnce(&mut Settings)) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), chain_wall, change)
    }

    /// The same folder after the process has died.
    pub fn restarted(self) -> Self {
        let Rig { folder, services, .. } = self;
        services.store.close();
        drop(services);
        Self::in_folder(folder, Duration::from_secs(3), |_| {})
    }

    fn in_folder(
        folder: tempfile::TempDir,
        chain_wall: Duration,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = Settings {
            data_dir: folder.path().to_owned(),
            recordings_dir: folder.path().join("theirs"),
            ..Settings::default()
        };
        change(&mut settings);
        std::fs::create_dir_all(&settings.recordings_dir).unwrap();
        let options = StoreOptions { ballast_bytes: 0, ..StoreOptions::at(folder.path().join("panotti.db")) };
        let store = Store::open(&options).unwrap();
        let clock = Arc::new(ManualClock::at(NOW_US));
        let hooks = Dispatcher::new(chain_wall);
        let journal = Journal::new(hooks.clone(), clock.clone(), 8);
        let services = Services::new(store, journal, hooks, clock.clone(), Arc::new(settings)).unwrap();
        Rig { folder, services, clock, heard: Heard::default(), members: Mutex::default() }
    }

    /// A plugin that answers these hooks; earlier ones are asked first.
    pub fn plugin(&self, name: &str, hooks: &[Hook], act: impl Fn(&Value) -> Does + Send + Sync + 'static) {
        self.member(name, hooks, &[], OnError::Allow, act);
    }

    pub fn member(
        &self,
        name: &str,
        hooks: &[Hook],
        patterns: &[&str],
        on_error: OnError,
        act: impl Fn(&Value) -> Does + Send + Sync + 'static,
    ) {
        let mut members = self.members.lock();
        let priority = -i32::try_from(members.len()).unwrap();
        let registrations = hooks.iter().map(|hook| Registration {
            hook: *hook,
            slot: 0,
            priority,
            before: Vec::new(),
            after: Vec::new(),
            timeout: None,
            on_error,
            when: None,
        });
        let subscriptions = patterns.iter().map(|pattern| Subscription {
            past: None,
            pattern: (*pattern).to_owned(),
            slot: 0,
            priority: 0,
            timeout: None,
            max_attempts: None,
            when: None,
        });
        let handler = Plugin { name: name.into(), heard: self.heard.clone(), act: Box::new(act) };
        members.push(Member {
            handler: Arc::new(handler),
            dependencies: Vec::new(),
            registrations: registrations.collect(),
            subscriptions: subscriptions.collect(),
        });
        self.services.hooks.replace(Table::new(members.clone()));
    }

    /// Events about a subject, oldest first.
    pub fn told(&self, subject: &str) -> Vec<String> {
        let events = self.services.store.read(|r| r.events_about(subject, 100)).unwrap();
        events.into_iter().rev().map(|it| it.kind).collect()
    }

    pub fn kept(&self, plugin: &str, key: &str) -> Option<Value> {
        crate::services::kv::get(&self.services, plugin, key).unwrap()
    }

    /// The paths of all files below the media folder, sorted.
    pub fn files(&self) -> Vec<String> {
        let root = self.services.files.root().to_owned();
        let (mut open, mut found) = (vec![root.clone()], Vec::new());
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => open.push(path),
                    false => found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()),
                }
            }
        }
        found.sort();
        found
    }
}

pub fn patch(value: Value) -> Does {
    Does::Returns(Answer::Patch(body(value)))
}

pub fn body(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub fn http() -> Caller {
    Caller { source: "http".into(), request_id: Some("r1".into()), ..Caller::default() }
}

/// A WAV of 16-bit mono samples at 1000 Hz, whose n-th sample is `from + n`; with `len` None, the sizes in
/// its header are unknown.
pub fn wav(from: i16, samples: i16, known: bool) -> Vec<u8> {
    let data = u32::from(samples.unsigned_abs()) * 2;
    let (riff, size) = if known { (36 + data, data) } else { (u32::MAX, u32::MAX) };
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(riff.to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(1000_u32.to_le_bytes());
    bytes.extend(2000_u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(size.to_le_bytes());
    (from..from + samples).for_each(|it| bytes.extend(it.to_le_bytes()));
    bytes
}

/// The samples of a WAV file with a plain header.
pub fn samples(bytes: &[u8]) -> Vec<i16> {
    let at = bytes.windows(4).position(|it| it == b"data").unwrap() + 8;
    bytes[at..].chunks_exact(2).map(|it| i16::from_le_bytes([it[0], it[1]])).collect()
}
