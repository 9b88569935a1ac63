//! How far long work is, told on stderr: a line that changes on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often it is told when nobody watches a terminal.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Characters of a bar.
const BAR: u64 = 24;

/// Tells how far something is.
pub(super) struct Teller {
    what: String,
    terminal: bool,
    elsewhere: bool,
    told: Instant,
    open: bool,
}

impl Teller {
    /// For work that is told of wherever stderr goes.
    pub(super) fn new(what: impl Into<String>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Teller { what: what.into(), terminal, elsewhere: true, told: Instant::now(), open: false }
    }

    /// For work that only somebody at a terminal wants to see.
    pub(super) fn on_terminals(what: impl Into<String>) -> Self {
        Teller { elsewhere: false, ..Teller::new(what) }
    }

    /// Says where it is.
    pub(super) fn tell(&mut self, text: &str) {
        if self.terminal {
            _ = write!(std::io::stderr(), "\r\x1b[K{}: {text}", self.what);
            self.open = true;
        } else if self.elsewhere && self.told.elapsed() >= TELL_EVERY {
            _ = writeln!(std::io::stderr(), "{}: {text}", self.what);
            self.told = Instant::now();
        }
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// `[######------] 50 %`; nothing while it is not known how much there is.
pub(super) fn bar(done: u64, total: u64) -> String {
    if total == 0 {
        return String::new();
    }
    let part = |of: u64| u128::from(done.min(total)) * u128::from(of) / u128::from(total);
    let full = part(BAR) as usize;
    format!("[{}{}] {:>3} % ", "#".repeat(full), "-".repeat(BAR as usize - full), part(100))
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_is_as_full_as_the_work_is_done() {
        assert_eq!(bar(0, 0), "");
        assert_eq!(bar(0, 4), "[------------------------]   0 % ");
        assert_eq!(bar(1, 2), "[############------------]  50 % ");
        assert_eq!(bar(9, 4), "[########################] 100 % ", "more than was thought");
        assert_eq!(bar(u64::MAX, u64::MAX), bar(1, 1));
    }
}
