use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::clock::ManualClock;
use crate::config::Settings;

fn logs(lines: usize, kib: usize) -> (PluginLogs, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1_000_000));
    (PluginLogs::new(config::Logs { lines, kib, ..Settings::default().logs }, clock.clone()), clock)
}

fn say(logs: &PluginLogs, plugin: &str, level: LogLevel, message: &str) {
    let said = Said { message: message.to_owned(), ..Said::default() };
    logs.of(&plugin.into()).say(LogSource::Plugin, level, said);
}

fn texts(page: &LogPage) -> Vec<&str> {
    page.items.iter().map(|it| it.message.as_str()).collect()
}

fn of(plugin: &str) -> WantedLines {
    WantedLines::of(Some(plugin.to_owned()))
}

#[test]
fn a_reader_goes_on_where_it_was_and_misses_nothing_of_all_plugins() {
    let (logs, clock) = logs(100, 64);
    for n in 0..5 {
        say(&logs, if n % 2 == 0 { "a" } else { "b" }, LogLevel::Info, &n.to_string());
        clock.advance_us(i64::from(n % 2) * 10);
    }
    assert_eq!(texts(&logs.read(&of("a"))), ["0", "2", "4"]);
    let last = logs.read(&WantedLines { limit: 2, ..WantedLines::of(None) });
    assert_eq!((texts(&last), last.gap), (vec!["3", "4"], false));
    let first = logs.read(&WantedLines { limit: 3, after: Some(0), ..WantedLines::of(None) });
    assert_eq!((texts(&first), first.more, first.gap), (vec!["0", "1", "2"], true, false));
    let rest = logs.read(&WantedLines { after: Some(first.next), ..WantedLines::of(None) });
    assert_eq!((texts(&rest), rest.more), (vec!["3", "4"], false));
    say(&logs, "c", LogLevel::Info, "new");
    let new = logs.read(&WantedLines { after: Some(rest.next), ..WantedLines::of(None) });
    assert_eq!((texts(&new), new.gap), (vec!["new"], false));
    assert!(new.items[0].id > rest.next);
}

#[test]
fn lines_are_found_by_level_and_text() {
    let (logs, _) = logs(100, 64);
    for (level, text) in [(LogLevel::Debug, "one"), (LogLevel::Warn, "TWO"), (LogLevel::Error, "three")] {
        say(&logs, "a", level, text);
    }
    let said = Said { message: "four".to_owned(), fields: json!({ "clip": "Twofold" }), ..Said::default() };
    logs.of(&"a".into()).say(LogSource::Server, LogLevel::Info, said);
    assert_eq!(texts(&logs.read(&WantedLines { level: LogLevel::Warn, ..of("a") })), ["TWO", "three"]);
    assert_eq!(texts(&logs.read(&WantedLines { q: Some("two".to_owned()), ..of("a") })), ["TWO", "four"]);
}

#[test]
fn lines_take_no_more_room_than_they_may_and_a_reader_is_told_of_those_that_are_gone() {
    let (logs, _) = logs(10, 1024);
    for n in 0..25 {
        say(&logs, "a", LogLevel::Info, &n.to_string());
    }
    let first = logs.read(&WantedLines { after: Some(0), ..of("a") });
    assert_eq!((first.items.len(), first.items[0].message.as_str()), (10, "15"));
    let behind = logs.read(&WantedLines { after: Some(first.items[0].id - 3), ..of("a") });
    assert!(behind.gap && behind.items.len() == 10, "{behind:?}");
    assert!(!logs.read(&WantedLines { after: Some(first.items[0].id), ..of("a") }).gap);
    let (logs, _) = self::logs(1000, 16);
    for _ in 0..100 {
        say(&logs, "a", LogLevel::Info, &"x".repeat(1000));
    }
    let kept = logs.read(&WantedLines { limit: 1000, ..of("a") });
    let weight: usize = kept.items.iter().map(|it| it.weight()).sum();
    assert!((8..20).contains(&kept.items.len()) && weight <= 16 * 1024, "{} in {weight}", kept.items.len());
}

#[test]
fn what_is_too_much_is_dropped_counted_and_told_in_a_line_of_its_own() {
    let (logs, _) = logs(1000, 1024);
    let log = logs.of(&"a".into());
    log.limit(1, 3);
    let may: Vec<bool> = (0..10_000).map(|_| log.may_say(true)).collect();
    assert_eq!(may.iter().filter(|it| **it).count(), 3);
    assert!(
        log.may_say(false),
        "lines that are not shown cost those that are nothing, and the other way round"
    );
    logs.tell_dropped();
    logs.tell_dropped();
    let page = logs.read(&of("a"));
    assert_eq!(
        texts(&page),
        ["9997 lines were dropped: a plugin may log 1 a second (limits.log_per_s)"],
        "told once"
    );
    assert_eq!((page.items[0].source, page.items[0].level), (LogSource::Server, LogLevel::Warn));
    assert_eq!(log.counts().dropped, 9_997);
    log.limit(1, 3);
    assert!(!log.may_say(true), "a reload gives nothing back");
}

#[test]
fn places_count_up_also_when_the_clock_stands_still_or_goes_back_and_over_restarts() {
    let (logs, clock) = logs(100, 64);
    (0..3).for_each(|_| say(&logs, "a", LogLevel::Info, "x"));
    clock.advance_us(-500_000);
    say(&logs, "a", LogLevel::Info, "x");
    let ids: Vec<i64> = logs.read(&of("a")).items.iter().map(|it| it.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    clock.advance_us(2_000_000);
    let again = PluginLogs::new(config::Logs { lines: 100, kib: 64, ..Settings::default().logs }, clock);
    say(&again, "a", LogLevel::Info, "after");
    let page = again.read(&WantedLines { after: ids.last().copied(), ..of("a") });
    assert_eq!((texts(&page), page.gap), (vec!["after"], true), "what was said before the restart is gone");
    let ahead = again.read(&WantedLines { after: Some(i64::MAX), ..of("a") });
    assert_eq!((ahead.items.len(), ahead.next), (0, again.last()), "a place of another clock");
}

#[test]
fn a_plugin_that_is_forgotten_ends_for_those_who_follow_it() {
    let (logs, _) = logs(100, 64);
    say(&logs, "a", LogLevel::Info, "x");
    let (followed, mut news) = (logs.of(&"a".into()), logs.news());
    news.mark_unchanged();
    logs.forget("a");
    assert!(followed.is_closed() && news.has_changed().unwrap());
    assert!(logs.read(&of("a")).items.is_empty() && logs.known("a").is_none());
    followed.say(LogSource::Plugin, LogLevel::Info, Said::default());
    assert!(logs.read(&WantedLines::of(None)).items.is_empty(), "its last words reach nobody");
}
