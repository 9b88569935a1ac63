//! A plugin: one VM, and a queue that one thread of the pool empties at a time. A hook that waits is a coroutine.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use mlua::{Function, Lua, LuaSerdeExt, MultiValue, Table, Thread, Value, thread::ThreadStatus};
use parking_lot::Mutex;
use serde_json::Value as Json;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::store::{Store, Write};

const PRELUDE: &str = "function sleep(s) return coroutine.yield('sleep', s) end
function db_event(what, data) return coroutine.yield('event', what, data) end";

#[derive(Clone)]
pub enum Argument {
    Before { method: String, path: String, headers: Vec<(String, String)> },
    After { status: u16 },
    Clip(Json),
    Recording(String),
}

pub enum Answer {
    Nothing,
    Headers(Vec<(String, String)>),
    Clip(Json),
}

struct Vm {
    lua: Lua,
    hooks: HashMap<String, Function>,
    free: Vec<Thread>,
}

struct Call {
    hook: &'static str,
    argument: Argument,
    waiting: oneshot::Sender<Answer>,
}

enum Item {
    New(Call),
    Resume { thread: Thread, value: Value, call: Call, with: i64 },
}

pub struct Plugin {
    vm: Mutex<Vm>,
    hooks: Vec<String>,
    /// What waits, and whether somebody is at it.
    queue: Mutex<(VecDeque<Item>, bool)>,
    pool: Handle,
    store: Store,
}

impl Plugin {
    pub fn load(source: &str, store: &Store, pool: &Handle) -> Arc<Plugin> {
        let vm = Vm::load(source);
        let hooks = vm.hooks.keys().cloned().collect();
        let queue = Mutex::new((VecDeque::new(), false));
        Arc::new(Plugin { vm: Mutex::new(vm), hooks, queue, pool: pool.clone(), store: store.clone() })
    }

    pub fn has(&self, hook: &str) -> bool {
        self.hooks.iter().any(|it| it == hook)
    }

    pub async fn call(self: &Arc<Self>, hook: &'static str, argument: Argument) -> Answer {
        let (waiting, receiver) = oneshot::channel();
        self.submit(Item::New(Call { hook, argument, waiting }));
        receiver.await.unwrap()
    }

    fn submit(self: &Arc<Self>, item: Item) {
        let mut queue = self.queue.lock();
        queue.0.push_back(item);
        if !queue.1 {
            queue.1 = true;
            drop(queue);
            let plugin = self.clone();
            self.pool.spawn_blocking(move || plugin.drain());
        }
    }

    fn drain(self: Arc<Self>) {
        let mut vm = self.vm.lock();
        loop {
            let item = {
                let mut queue = self.queue.lock();
                match queue.0.pop_front() {
                    Some(item) => item,
                    None => {
                        queue.1 = false;
                        return;
                    }
                }
            };
            match item {
                Item::New(call) => {
                    let thread = vm.thread(call.hook);
                    let value = vm.value(&call.argument);
                    self.step(&mut vm, thread, value.clone(), call, value);
                }
                Item::Resume { thread, value, call, with } => self.step(&mut vm, thread, value, call, with),
            }
        }
    }

    fn step(
        self: &Arc<Self>,
        vm: &mut Vm,
        thread: Thread,
        value: Value,
        call: Call,
        with: impl mlua::IntoLuaMulti,
    ) {
        let out: MultiValue = thread.resume(with).unwrap();
        if thread.status() != ThreadStatus::Resumable {
            vm.free.push(thread);
            let _ = call.waiting.send(vm.answer(&call.argument, value));
            return;
        }
        let plugin = self.clone();
        let text = |at: usize| out[at].to_string().unwrap();
        if text(0) == "sleep" {
            let seconds = out[1].as_f64().or(out[1].as_integer().map(|it| it as f64)).unwrap();
            self.pool.spawn(async move {
                tokio::time::sleep(std::time::Duration::from_secs_f64(seconds)).await;
                plugin.submit(Item::Resume { thread, value, call, with: 0 });
            });
        } else {
            let done = move |id| plugin.submit(Item::Resume { thread, value, call, with: id });
            self.store.queue(Write::Event(text(1), text(2)), Box::new(done));
        }
    }
}

impl Vm {
    fn load(source: &str) -> Vm {
        let lua = Lua::new();
        let registered = lua.create_table().unwrap();
        let hooks = registered.clone();
        let on = move |_: &Lua, (name, function): (String, Function)| hooks.set(name, function);
        lua.globals().set("on", lua.create_function(on).unwrap()).unwrap();
        lua.load(PRELUDE).exec().unwrap();
        lua.sandbox(true).unwrap();
        lua.set_interrupt(|_| Ok(mlua::VmState::Continue));
        let _ = lua.set_memory_limit(64 << 20);
        lua.load(source).exec().unwrap();
        let hooks = registered.pairs::<String, Function>().map(|it| it.unwrap()).collect();
        Vm { lua, hooks, free: Vec::new() }
    }

    fn thread(&mut self, hook: &str) -> Thread {
        let function = self.hooks[hook].clone();
        match self.free.pop() {
            Some(thread) => {
                thread.reset(function).unwrap();
                thread
            }
            None => self.lua.create_thread(function).unwrap(),
        }
    }

    fn value(&self, argument: &Argument) -> Value {
        let table = self.lua.create_table().unwrap();
        match argument {
            Argument::Before { method, path, headers } => {
                table.raw_set("method", method.as_str()).unwrap();
                table.raw_set("path", path.as_str()).unwrap();
                let shown = self.lua.create_table_with_capacity(0, headers.len()).unwrap();
                headers
                    .iter()
                    .for_each(|(name, value)| shown.raw_set(name.as_str(), value.as_str()).unwrap());
                table.raw_set("headers", shown).unwrap();
            }
            Argument::After { status } => {
                table.raw_set("status", *status).unwrap();
                table.raw_set("headers", self.lua.create_table().unwrap()).unwrap();
            }
            Argument::Clip(clip) => return self.lua.to_value(clip).unwrap(),
            Argument::Recording(id) => return Value::String(self.lua.create_string(id).unwrap()),
        }
        Value::Table(table)
    }

    fn answer(&self, argument: &Argument, value: Value) -> Answer {
        match argument {
            Argument::After { .. } => {
                let headers: Table = value.as_table().unwrap().raw_get("headers").unwrap();
                Answer::Headers(headers.pairs::<String, String>().map(|it| it.unwrap()).collect())
            }
            Argument::Clip(_) => Answer::Clip(self.lua.from_value(value).unwrap()),
            _ => Answer::Nothing,
        }
    }
}
