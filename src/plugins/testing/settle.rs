//! Waiting until everything that is under way waits for the clock, and moving the clock to the next thing that is due.
//!
//! All of a host runs on a runtime of one thread with one more for what blocks, so that a look by a task of its own,
//! after all others had their turn, finds what there is: scripts that run, changes on their way to the database, work of
//! the host that ends by itself. Calm that lasts for some looks is calm.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::{JoinHandle, yield_now};

use crate::error::{Error, Result};
use crate::model::time::Timestamp;
use crate::plugins::manager::ScheduleFilter;

use super::bench::Bench;
use super::stage::Refusal;

/// Looks that must find calm, one after another: work that blocks may follow other such work unseen.
const LOOKS: u32 = 3;

/// How long a wait that is over keeps the clock, when its coroutine does not go on: it was ended meanwhile.
const WOKEN: Duration = Duration::from_millis(20);

/// How long work of the host keeps the clock: its call may be gone, and nobody has noticed yet.
const WORKING: Duration = Duration::from_secs(2);

/// What a test waits for.
pub(super) enum Op {
    /// This to end.
    Work(JoinHandle<std::result::Result<Value, Refusal>>),
    /// All who are told of the event at this place to have been told once.
    Told(i64, Value),
    /// The clock to show this time.
    Until(i64),
    /// Nothing any more; this came of it.
    Ended(Value),
}

/// Where an operation stands.
pub(super) enum Step {
    /// A function of the test is asked.
    Ask(u64, Value),
    /// It is over.
    Done(std::result::Result<Value, Refusal>),
}

impl Bench {
    /// Goes on with the operation until it is over or a function of the test is asked. The clock moves as far as it
    /// has to.
    pub(super) async fn drive(&mut self) -> Step {
        loop {
            self.calm().await;
            if let Some(ask) = self.world.answers().take_ask() {
                self.asked = Some(ask.answer);
                return Step::Ask(ask.function, ask.argument);
            }
            match self.op.take() {
                None => return Step::Done(Ok(Value::Null)),
                Some(Op::Ended(value)) => return Step::Done(Ok(value)),
                Some(Op::Work(work)) if work.is_finished() => {
                    let done = work.await;
                    return Step::Done(done.unwrap_or_else(|fault| Err(Error::internal(fault).into())));
                }
                op => self.op = op,
            }
            if let Err(error) = self.go_on().await {
                self.op = None;
                return Step::Done(Err(error.into()));
            }
        }
    }

    /// Does what is next to be done for the operation.
    async fn go_on(&mut self) -> Result<()> {
        let target = match &self.op {
            None | Some(Op::Ended(_)) => return Ok(()),
            Some(Op::Told(seq, value)) if self.was_told(*seq)? => {
                self.op = Some(Op::Ended(value.clone()));
                return Ok(());
            }
            Some(Op::Until(target)) => Some(*target),
            Some(_) => None,
        };
        let next = self.next_due().await?.filter(|at| target.is_none_or(|target| *at <= target));
        match (next, target) {
            (Some(at), _) => self.step_to(at).await?,
            (None, Some(target)) => {
                self.step_to(target).await?;
                self.op = Some(Op::Ended(Value::Null));
            }
            // Somebody waits for what does not come of itself: a deadline ends it.
            (None, None) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
        Ok(())
    }

    /// Whether everybody who is told of the event at `seq` was told, or is told again only later.
    fn was_told(&self, seq: i64) -> Result<bool> {
        let now = self.world.now_us();
        let told = self.services.store.read(|it| it.deliveries_of(seq, 100))?;
        Ok(told.iter().all(|it| match it.state.as_str() {
            "done" | "dead" | "quarantined" | "expired" => true,
            _ => it.attempts > 0 && it.ended_at.is_some() && it.next_at.0 > now && it.state != "claimed",
        }))
    }

    /// When the next thing is due, by the clock.
    async fn next_due(&self) -> Result<Option<i64>> {
        let now = self.world.now_us();
        let wake = self.world.next_wake_us();
        let active = ScheduleFilter { state: Some("active".to_owned()), ..ScheduleFilter::default() };
        let schedules = self.manager.schedules(&active).await?;
        let run = schedules.iter().filter_map(|it| it.next_at).map(|it| it.0).filter(|at| *at > now).min();
        let retry = self.services.store.read(|it| it.next_delayed(Timestamp(now)))?.map(|it| it.0);
        Ok([wake, run, retry].into_iter().flatten().min())
    }

    /// Moves the clock to `at`, and lets begin what is due then.
    async fn step_to(&mut self, at: i64) -> Result<()> {
        if at > self.world.now_us() {
            self.world.move_to(at);
            self.lua.look_at_the_clock();
            self.manager.look_at_the_clock();
            let (journal, plugins) = (self.services.journal.clone(), self.plugins.clone());
            let told = self.services.store.write(move |tx| {
                journal.told(tx, plugins);
                Ok(())
            });
            told.await?;
        }
        self.world.wake_next();
        Ok(())
    }

    /// Waits until nothing goes on, or a function of the test is asked.
    pub(super) async fn calm(&self) {
        let (mut calm, mut since, mut pause) = (0, Instant::now(), Duration::from_micros(20));
        while calm < LOOKS && !self.world.answers().asks() {
            for _ in 0..4 {
                yield_now().await;
            }
            // There is one thread for what blocks: what was queued before this is done.
            let _ = tokio::task::spawn_blocking(|| ()).await;
            for _ in 0..4 {
                yield_now().await;
            }
            if !self.is_calm() {
                (calm, since) = (0, Instant::now());
            } else if !self.has_settled(since.elapsed()) {
                calm = 0;
            } else {
                calm += 1;
                continue;
            }
            // Other threads go on; this one has nothing to do.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_micros(500));
        }
    }

    /// Whether no script runs and no change is on its way.
    fn is_calm(&self) -> bool {
        self.lua.is_quiet() && self.services.store.is_idle()
    }

    /// Whether nothing is under way that ends by itself, or has been for so long that nobody waits for it.
    fn has_settled(&self, after: Duration) -> bool {
        let (woken, working) = self.world.under_way();
        (woken == 0 || after > WOKEN) && (working == 0 || after > WORKING)
    }

    /// Begins work of the host that a test waits for.
    pub(super) fn begin(
        &mut self,
        work: impl Future<Output = std::result::Result<Value, Refusal>> + Send + 'static,
    ) {
        self.op = Some(Op::Work(tokio::spawn(work)));
    }
}
