//! Where lines of the log go: one thread writes them, so that nobody else ever waits for a reader that has stalled.
//!
//! Whoever says a line waits a moment until it is out, as it may be the last before the server dies of what it tells.
//! The lines of requests are not waited for and are written together when they come one upon the other. While the reader
//! takes nothing, lines are held up to a bound; those beyond it are lost, and the log says how many.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// So long lines of requests are gathered.
const GATHER: Duration = Duration::from_millis(5);
/// Who waits for a line to be out waits no longer than this; nobody does while nothing comes through.
const PATIENCE: Duration = Duration::from_millis(100);
/// Who wants everything to be out, as the end of the process does, waits so long for a reader that may only be slow.
pub const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// Says how many lines were lost, as a line.
pub(super) type TellLost = Box<dyn Fn(u64) -> String + Send>;

/// The end of the log. Lines come out whole and in the order in which they were said.
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    most_bytes: usize,
    held: Mutex<Held>,
    /// Something is to be written.
    news: Condvar,
    /// Something was written.
    written: Condvar,
}

#[derive(Default)]
struct Held {
    text: Vec<u8>,
    /// Lines said since the start, and those of them that are out.
    said: u64,
    out: u64,
    /// Lines for which there was no room, not told yet.
    lost: u64,
    /// Somebody waits: what is held is not to gather any longer.
    is_urgent: bool,
    /// The thread that writes waits for news.
    rests: bool,
    /// Somebody has waited in vain since anything was written last.
    has_stalled: bool,
}

impl Lines {
    /// Writes to `to`; holds at most `most_bytes` that could not be written yet. `tell_lost` makes the line that tells of
    /// lines for which there was no room.
    pub(super) fn to(to: Box<dyn Write + Send>, most_bytes: usize, tell_lost: TellLost) -> Self {
        let (held, news, written) = (Mutex::default(), Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { most_bytes, held, news, written });
        let writer = Arc::clone(&shared);
        let run = move || writer.run(to, &tell_lost);
        if std::thread::Builder::new().name("log".to_owned()).spawn(run).is_err() {
            // A process that may start no thread does not serve either, and says so without the log.
            shared.held.lock().has_stalled = true;
        }
        Lines(shared)
    }

    /// Writes a line, and before it what was gathered.
    pub(super) fn write(&self, line: &str) {
        let mut held = self.0.held.lock();
        if self.0.hold(&mut held, line) {
            self.0.wait_until_out(&mut held, PATIENCE, |it| it.has_stalled);
        }
    }

    /// Writes what was gathered.
    pub(super) fn flush(&self) {
        self.0.wait_until_out(&mut self.0.held.lock(), LAST_PATIENCE, |_| false);
    }

    /// Writes a line soon, together with others when it is one of many.
    pub(super) fn gather(&self, line: &str) {
        let mut held = self.0.held.lock();
        if self.0.hold(&mut held, line) && std::mem::take(&mut held.rests) {
            self.0.news.notify_one();
        }
    }
}

impl Shared {
    /// Takes a line in, if there is room.
    fn hold(&self, held: &mut Held, line: &str) -> bool {
        // One that is longer than all there is room for comes out when nothing else is to.
        let has_room = held.text.is_empty() || held.text.len() + line.len() <= self.most_bytes;
        if has_room {
            held.text.extend_from_slice(line.as_bytes());
            held.said += 1;
        } else {
            held.lost += 1;
        }
        has_room
    }

    fn wait_until_out(
        &self,
        held: &mut MutexGuard<'_, Held>,
        patience: Duration,
        gives_up: impl Fn(&Held) -> bool,
    ) {
        let (last, until) = (held.said, Instant::now() + patience);
        held.is_urgent = true;
        held.rests = false;
        self.news.notify_one();
        while held.out < last && !gives_up(held) {
            if self.written.wait_until(held, until).timed_out() && held.out < last {
                held.has_stalled = true;
                break;
            }
        }
    }

    fn run(&self, mut to: Box<dyn Write + Send>, tell_lost: &TellLost) -> ! {
        let mut text = Vec::new();
        let mut written: Option<Instant> = None;
        // What came through last ends within a line.
        let mut is_cut = false;
        let mut held = self.held.lock();
        loop {
            while held.text.is_empty() {
                held.rests = true;
                self.news.wait(&mut held);
            }
            if !held.is_urgent && written.is_some_and(|it| it.elapsed() < GATHER) {
                self.news.wait_for(&mut held, GATHER);
            }
            if is_cut {
                text.push(b'\n');
            }
            text.append(&mut held.text);
            (held.is_urgent, held.rests) = (false, false);
            let (said, lost) = (held.said, std::mem::take(&mut held.lost));
            drop(held);
            if lost > 0 {
                text.extend_from_slice(tell_lost(lost).as_bytes());
            }
            let out = write(&mut *to, &text);
            // Not the rest of a line that counts as lost.
            let new = text[..out].get(usize::from(is_cut)..).unwrap_or_default();
            let whole = new.iter().filter(|it| **it == b'\n').count() as u64;
            is_cut = text[..out].last().map_or(is_cut, |it| *it != b'\n');
            let is_all = out == text.len();
            text.clear();
            written = Some(Instant::now());
            held = self.held.lock();
            if !is_all {
                // There is nowhere to tell it now: a disk that is full may have room later.
                held.lost += lost + (said - held.out).saturating_sub(whole);
            }
            held.out = said;
            held.has_stalled = false;
            self.written.notify_all();
        }
    }
}

/// Writes as much as it can; how much.
fn write(to: &mut dyn Write, text: &[u8]) -> usize {
    let mut out = 0;
    while out < text.len() {
        match to.write(&text[out..]) {
            Ok(0) => break,
            Ok(more) => out += more,
            Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

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

    pub(in crate::app) fn lines_to(to: &(impl Write + Send + Clone + 'static)) -> Lines {
        Lines::to(Box::new(to.clone()), 1 << 20, Box::new(|lost| format!("{lost} lost\n")))
    }

    /// A reader that takes nothing while somebody else holds it.
    #[derive(Clone, Default)]
    struct Stalls {
        seen: Seen,
        stalls: Arc<Mutex<()>>,
    }

    impl Write for Stalls {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            drop(self.stalls.lock());
            self.seen.write(text)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stalls_holds_up_nobody_and_is_told_later_how_many_lines_it_has_lost() {
        let to = Stalls::default();
        let lines = lines_to(&to);
        let stalled = to.stalls.lock();
        let line = "x".repeat(1023) + "\n";
        // Thousands that each waited as long as the first would take minutes.
        (0..5_000).for_each(|_| lines.write(&line));
        (0..5_000).for_each(|_| lines.gather(&line));
        assert_eq!(to.seen.0.lock().0, "");
        drop(stalled);
        lines.flush();
        let end = Instant::now() + Duration::from_secs(20);
        while !to.seen.0.lock().0.ends_with(" lost\n") {
            assert!(Instant::now() < end, "nothing is told of lines that were lost");
            std::thread::sleep(Duration::from_millis(1));
        }
        lines.write("again\n");
        let text = to.seen.0.lock().0.clone();
        let (whole, end) = text.split_at(text.rfind('x').unwrap() + 2);
        let lost = 10_000 - whole.lines().count();
        assert!(lost > 7_000, "{lost}");
        assert_eq!(end, format!("{lost} lost\nagain\n"));
        assert!(whole.lines().all(|it| it.len() == 1023));
    }

    /// A disk that is full while this is set.
    #[derive(Clone, Default)]
    struct Fills {
        seen: Seen,
        is_full: Arc<AtomicBool>,
    }

    impl Write for Fills {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            match self.is_full.load(Ordering::Relaxed) {
                true => Err(ErrorKind::StorageFull.into()),
                false => self.seen.write(text),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_could_not_be_written_are_counted_and_told_when_one_can() {
        let to = Fills::default();
        let lines = lines_to(&to);
        lines.write("a\n");
        to.is_full.store(true, Ordering::Relaxed);
        (0..3).for_each(|_| lines.write("b\n"));
        to.is_full.store(false, Ordering::Relaxed);
        lines.write("c\n");
        lines.write("d\n");
        assert_eq!(to.seen.0.lock().0, "a\nc\n3 lost\nd\n");
    }

    /// A disk that has room for so many bytes, and none for more.
    #[derive(Clone)]
    struct Small {
        seen: Seen,
        room: Arc<Mutex<usize>>,
    }

    impl Write for Small {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            let mut room = self.room.lock();
            let part = text.len().min(*room);
            *room -= part;
            match part {
                0 => Err(ErrorKind::StorageFull.into()),
                _ => self.seen.write(&text[..part]),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_not_glued_to_the_next_and_only_what_is_missing_counts_as_lost() {
        let to = Small { seen: Seen::default(), room: Arc::new(Mutex::new(7)) };
        let lines = lines_to(&to);
        lines.gather("whole\n");
        lines.write("this is cut\n");
        lines.write("gone\n");
        *to.room.lock() = 1_000;
        lines.write("whole again\n");
        lines.write("next\n");
        assert_eq!(to.seen.0.lock().0, "whole\nt\nwhole again\n2 lost\nnext\n");
    }

    #[test]
    fn a_line_longer_than_the_buffer_comes_out() {
        let to = Seen::default();
        let lines = Lines::to(Box::new(to.clone()), 8, Box::new(|lost| format!("{lost} lost\n")));
        lines.write("this line is longer\n");
        assert_eq!(to.0.lock().0, "this line is longer\n");
    }

    #[test]
    fn lines_of_requests_are_written_together_and_all_come_out_in_their_order() {
        let seen = Seen::default();
        let lines = lines_to(&seen);
        lines.gather("first\n");
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
        let lines = lines_to(&seen);
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
        let lines = lines_to(&seen);
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
