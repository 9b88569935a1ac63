//! The door through which everything passes that is not the same each time: time, chance, waiting, the world.
//!
//! Scripts reach these only through a [`Door`]. The live one asks the machine; one that records or replays
//! calls needs nothing but these methods.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock::SharedClock;

/// Work that may wait.
pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// What a piece of the world answered: JSON, or a code and a sentence.
pub type Answered = Result<Value, (String, String)>;

/// Where the world comes in.
pub trait Door: Send + Sync + 'static {
    /// Microseconds since 1970 UTC.
    fn now_us(&self) -> i64;
    /// Time that only goes forward, from an arbitrary beginning.
    fn monotonic(&self) -> Duration;
    /// The seed of a VM's random numbers.
    fn seed(&self) -> u64;
    /// Bytes that nobody can foresee, for identifiers.
    fn random_bytes(&self) -> [u8; 16];
    /// Waits.
    fn sleep(&self, time: Duration) -> Work<()>;
    /// Lets `work` happen and answers what came of it; `name` and `arguments` tell what it is.
    fn pass(&self, name: &'static str, arguments: &Value, work: Work<Answered>) -> Work<Answered>;
}

/// The machine's own time and chance; all work happens.
pub struct LiveDoor {
    clock: SharedClock,
    runtime: tokio::runtime::Handle,
    began: Instant,
}

impl LiveDoor {
    /// A door to the world as it is.
    pub fn new(clock: SharedClock, runtime: tokio::runtime::Handle) -> Self {
        LiveDoor { clock, runtime, began: Instant::now() }
    }
}

impl Door for LiveDoor {
    fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    fn seed(&self) -> u64 {
        // Without the system's chance the time has to do; scripts are not promised more.
        getrandom::u64().unwrap_or_else(|_| self.clock.now_us() as u64)
    }

    fn random_bytes(&self) -> [u8; 16] {
        *uuid::Uuid::new_v4().as_bytes()
    }

    fn sleep(&self, time: Duration) -> Work<()> {
        let _entered = self.runtime.enter();
        Box::pin(tokio::time::sleep(time))
    }

    fn pass(&self, _: &'static str, _: &Value, work: Work<Answered>) -> Work<Answered> {
        work
    }
}
