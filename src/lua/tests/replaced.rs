//! VMs that cannot go on: panics of the host, scripts that nothing stops.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::lua::effects::{Answered, Door, LiveDoor, Work};
use crate::model::call::Outcome;

use super::*;

/// A door that panics, or holds the thread, when a script sleeps for a second or two.
struct BadDoor {
    live: LiveDoor,
    release: Arc<AtomicBool>,
}

impl Door for BadDoor {
    fn now_us(&self) -> i64 {
        self.live.now_us()
    }
    fn monotonic(&self) -> Duration {
        self.live.monotonic()
    }
    fn random_bytes(&self) -> [u8; 16] {
        [0; 16]
    }

    fn seed(&self) -> u64 {
        1
    }
    fn sleep(&self, time: Duration) -> Work<()> {
        match time.as_secs() {
            1 => panic!("the door fell out of its hinges"),
            2 => {
                while !self.release.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            _ => {}
        }
        self.live.sleep(Duration::ZERO)
    }
    fn pass(&self, name: &'static str, arguments: &Value, work: Work<Answered>) -> Work<Answered> {
        self.live.pass(name, arguments, work)
    }
}

fn bench() -> (Bench, Arc<AtomicBool>) {
    let release = Arc::new(AtomicBool::new(false));
    let handed = Arc::clone(&release);
    let bench = Bench::with(|it| {
        let live = LiveDoor::new(it.clock.clone(), it.runtime.clone());
        it.door = Some(Arc::new(BadDoor { live, release: handed }));
    });
    (bench, release)
}

const PLUGIN: &str = "panotti.on.on_clip_captured(function(clip)
        OLD = true
        pcall(panotti.sleep, clip.seconds)
        return { title = 'went on' }
    end)
    panotti.on.on_clip_processed(function() return { title = OLD and 'old' or 'fresh' } end)";

#[test]
fn a_panic_of_the_host_costs_the_vm_even_if_the_script_catches_it() {
    let (bench, _) = bench();
    // Printing the panic's backtrace costs CPU time, too.
    let plugin =
        bench.load_with(PLUGIN, json!({ "question_cpu_ms": 30000, "question_wall_ms": 30000 })).unwrap();
    let failure = bench.ask(&plugin, Hook::OnClipCaptured, json!({"seconds": 1})).unwrap_err();
    assert_eq!(failure.outcome, Outcome::Runtime);
    let Answer::Patch(patch) = bench.ask(&plugin, Hook::OnClipProcessed, json!({})).unwrap().answer else {
        panic!("no patch")
    };
    assert_eq!(patch["title"], json!("fresh"));
    assert_eq!(plugin.stats().replaced, 1);
}

#[test]
fn a_vm_that_nothing_stops_is_given_up_and_others_go_on() {
    let (bench, release) = bench();
    let plugin = bench.load_with(PLUGIN, json!({ "question_wall_ms": 100 })).unwrap();
    let other = bench.load("panotti.on.on_clip_processed(function() return { title = 'ok' } end)");
    let failure = bench.ask(&plugin, Hook::OnClipCaptured, json!({"seconds": 2})).unwrap_err();
    assert_eq!(failure.outcome, Outcome::Deadline);
    until("it counts as stuck", || bench.host.stuck() == 1);
    assert_eq!(bench.host.still_stuck(), 1);
    until("another VM has taken over", || plugin.stats().replaced == 1);
    assert_eq!(plugin.stats().stuck, 1);
    for it in [&plugin, &other] {
        assert!(bench.ask(it, Hook::OnClipProcessed, json!({})).is_ok());
    }
    release.store(true, Ordering::Release);
    until("the thread has come back", || bench.host.in_flight() == 0);
    until("it is not stuck any more", || bench.host.still_stuck() == 0);
    assert_eq!(bench.host.stuck(), 1, "it is still counted");
}
