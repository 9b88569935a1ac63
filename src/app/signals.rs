//! SIGTERM and Ctrl-C: the first asks for a graceful stop, the second ends the process at once.

use std::io;

use tokio::sync::watch;

/// The exit code of a stop that did not wait: 128 + SIGINT.
const EXIT_AT_ONCE: i32 = 130;

/// Tells when the server is to stop; clones share the word.
#[derive(Debug, Clone)]
pub struct Stop {
    asked: watch::Receiver<bool>,
}

impl Stop {
    /// A stop that somebody else asks for, by sending true.
    pub fn on(asked: watch::Receiver<bool>) -> Self {
        Self { asked }
    }

    /// True once a stop is asked for.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits until a stop is asked for.
    pub async fn asked(&self) {
        // A sender that is gone can never ask, but neither can anybody wait for it: that counts as a stop.
        _ = self.asked.clone().wait_for(|asked| *asked).await;
    }
}

/// Listens for the signals from now on. On a thread of its own: the second signal is heard whatever the stop waits for.
///
/// # Errors
/// The process may not listen for signals or start a thread.
pub fn listen() -> io::Result<Stop> {
    let (ask, asked) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let name = signals.next().await;
            log::info!("{name}: stopping; a second signal exits at once");
            _ = ask.send(true);
            let name = signals.next().await;
            log::warn!("{name} again: exiting at once");
            log::logger().flush();
            std::process::exit(EXIT_AT_ONCE);
        })
    })?;
    Ok(Stop { asked })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_stop_is_told_to_every_clone_and_to_those_who_ask_late() {
        let (ask, asked) = watch::channel(false);
        let stop = Stop::on(asked);
        assert!(!stop.is_asked());
        let waiting = tokio::task::spawn_local({
            let stop = stop.clone();
            async move { stop.asked().await }
        });
        ask.send(true).expect("somebody listens");
        waiting.await.expect("told");
        stop.asked().await;
        assert!(stop.is_asked());
    }
}
