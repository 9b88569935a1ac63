//! Clocks and chance as a VM's functions read them: through the door, noted on the call's tape.

use std::sync::Arc;

use crate::lua::context::ApiContext;
use crate::lua::effects::Door;
use crate::model::trace::Step;

/// The senses of one VM.
#[derive(Clone)]
pub struct Senses {
    ctx: Arc<ApiContext>,
    door: Arc<dyn Door>,
}

impl Senses {
    /// Of the VM with this context, through this door.
    pub fn new(ctx: &Arc<ApiContext>, door: &Arc<dyn Door>) -> Self {
        Senses { ctx: Arc::clone(ctx), door: Arc::clone(door) }
    }

    /// Microseconds since 1970 UTC.
    pub fn now_us(&self) -> i64 {
        if let Some(replay) = &self.ctx.replay {
            return replay.now_us(self.ctx.current.part());
        }
        let us = self.door.now_us();
        self.note(|part| Step::Now { part, us });
        us
    }

    /// Seconds that only go forward, from an arbitrary beginning.
    pub fn monotonic(&self) -> f64 {
        if let Some(replay) = &self.ctx.replay {
            return replay.monotonic(self.ctx.current.part());
        }
        let seconds = self.door.monotonic().as_secs_f64();
        self.note(|part| Step::Monotonic { part, seconds });
        seconds
    }

    /// Bytes that nobody can foresee.
    pub fn random_bytes(&self) -> [u8; 16] {
        if let Some(replay) = &self.ctx.replay {
            return replay.random_bytes(self.ctx.current.part());
        }
        let bytes = self.door.random_bytes();
        self.note(|part| Step::Chance { part, bytes: uuid::Uuid::from_bytes(bytes).simple().to_string() });
        bytes
    }

    fn note(&self, make: impl FnOnce(u32) -> Step) {
        if let Some(call) = self.ctx.current.get()
            && let Some(record) = &call.record
        {
            record.tape.lock().sense(make, self.ctx.current.part());
        }
    }
}
