//! Where lines of the log go. What is said now and then is written at once; the lines of requests are written together
//! when they come one upon the other, so that a busy server does not go to the system for each.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// So long lines of requests are gathered.
const GATHER: Duration = Duration::from_millis(5);
/// More is not gathered: whoever has a line then waits until it is written.
const MOST_BYTES: usize = 1 << 20;

/// The end of the log. Lines come out whole and in the order in which they were said.
pub(super) struct Lines {
    shared: Arc<Shared>,
    gathers: bool,
}

struct Shared {
    /// Whoever has it writes all that is gathered.
    out: Mutex<Out>,
    gathered: Mutex<Gathered>,
    news: Condvar,
}

struct Out {
    to: Box<dyn Write + Send>,
    /// What is written now; its room is used again.
    text: Vec<u8>,
}

struct Gathered {
    text: Vec<u8>,
    /// When something was written last.
    written: Option<Instant>,
    /// The thread that writes later has nothing to do.
    rests: bool,
}

impl Lines {
    /// Writes to `to`.
    pub(super) fn to(to: Box<dyn Write + Send>) -> Self {
        let shared = Arc::new(Shared {
            out: Mutex::new(Out { to, text: Vec::new() }),
            gathered: Mutex::new(Gathered { text: Vec::new(), written: None, rests: false }),
            news: Condvar::new(),
        });
        let later = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || later.write_later());
        Lines { shared, gathers: thread.is_ok() }
    }

    /// Writes a line, and before it what was gathered.
    pub(super) fn write(&self, line: &str) {
        self.shared.write(line);
    }

    /// Writes what was gathered.
    pub(super) fn flush(&self) {
        self.shared.write("");
    }

    /// Writes a line, or keeps it for a moment when it is one of many.
    pub(super) fn gather(&self, line: &str) {
        let mut gathered = self.shared.gathered.lock();
        let is_one_of_many =
            !gathered.text.is_empty() || gathered.written.is_some_and(|it| it.elapsed() < GATHER);
        if !self.gathers || !is_one_of_many || gathered.text.len() >= MOST_BYTES {
            drop(gathered);
            return self.shared.write(line);
        }
        gathered.text.extend_from_slice(line.as_bytes());
        if std::mem::take(&mut gathered.rests) {
            self.shared.news.notify_one();
        }
    }
}

impl Shared {
    fn write(&self, line: &str) {
        let mut out = self.out.lock();
        let Out { to, text } = &mut *out;
        {
            let mut gathered = self.gathered.lock();
            std::mem::swap(text, &mut gathered.text);
            gathered.written = Some(Instant::now());
        }
        text.extend_from_slice(line.as_bytes());
        // There is nowhere to tell that the log cannot be written.
        let _ = to.write_all(text);
        text.clear();
    }

    fn write_later(&self) {
        loop {
            let mut gathered = self.gathered.lock();
            while gathered.text.is_empty() {
                gathered.rests = true;
                self.news.wait(&mut gathered);
            }
            drop(gathered);
            std::thread::sleep(GATHER);
            self.write("");
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What was written, and how often something was.
    #[derive(Clone, Default)]
    pub(in crate::app) struct Seen(pub(in crate::app) Arc<Mutex<(String, usize)>>);

    impl Write for Seen {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            let mut seen = self.0.lock();
            seen.0.push_str(std::str::from_utf8(text).unwrap());
            seen.1 += 1;
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_alone_is_written_at_once_and_many_are_written_together_in_their_order() {
        let seen = Seen::default();
        let lines = Lines::to(Box::new(seen.clone()));
        lines.gather("first\n");
        assert_eq!(seen.0.lock().0, "first\n");
        (0..5_000).for_each(|it| lines.gather(&format!("{it}\n")));
        lines.write("last\n");
        let (text, writes) = seen.0.lock().clone();
        let expected: String = (0..5_000).map(|it| format!("{it}\n")).collect();
        assert_eq!(text, format!("first\n{expected}last\n"));
        assert!(writes < 2_500, "{writes} writes");
    }

    #[test]
    fn what_was_gathered_is_written_when_nothing_follows() {
        let seen = Seen::default();
        let lines = Lines::to(Box::new(seen.clone()));
        lines.write("a\n");
        lines.gather("b\n");
        let end = Instant::now() + Duration::from_secs(20);
        while seen.0.lock().0 != "a\nb\n" {
            assert!(Instant::now() < end, "{:?}", seen.0.lock());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn lines_of_many_threads_come_out_whole_and_each_threads_in_its_order() {
        let seen = Seen::default();
        let lines = Lines::to(Box::new(seen.clone()));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let lines = &lines;
                scope.spawn(move || {
                    for it in 0..2_000 {
                        match it % 100 {
                            0 => lines.write(&format!("{thread} {it}\n")),
                            _ => lines.gather(&format!("{thread} {it}\n")),
                        }
                    }
                });
            }
        });
        lines.flush();
        let text = seen.0.lock().0.clone();
        assert_eq!(text.lines().count(), 8_000);
        for thread in 0..4 {
            let own: Vec<String> = (0..2_000).map(|it| format!("{thread} {it}")).collect();
            let mark = format!("{thread} ");
            let seen: Vec<&str> = text.lines().filter(|it| it.starts_with(&mark)).collect();
            assert_eq!(seen, own);
        }
    }
}
