//! Pages of the journal.

use super::super::statement::statement;
use super::super::testing::{event, store};
use super::super::{Keep, Reader, Store, Tx};
use super::*;
use crate::model::event::Event;

/// Events of kinds in turn: number n is at time n, about `clip/<n % 7>`, told by `s<n % 3>`.
fn fill(store: &Store, kinds: &[&str], count: usize) {
    let kinds: Vec<String> = kinds.iter().map(|it| (*it).to_owned()).collect();
    store
        .write_blocking(move |tx| {
            for n in 1..=count {
                let event = Event {
                    kind: kinds[n % kinds.len()].clone(),
                    source: format!("s{}", n % 3),
                    subject: Some(format!("clip/{}", n % 7)),
                    time: Timestamp(n as i64),
                    correlation_id: format!("c{}", n % 1000),
                    ..event(&format!("e{n}"), None)
                };
                tx.insert_event(&event)?;
            }
            Ok(())
        })
        .unwrap();
}

fn window(limit: usize) -> EventWindow {
    EventWindow { after: 0, before: i64::MAX, newest_first: false, limit, max_bytes: i64::MAX }
}

/// Everything that fits, page by page, and how many pages it took.
fn all(store: &Store, filter: &EventFilter, mut window: EventWindow) -> (Vec<i64>, usize) {
    let (mut seqs, mut pages) = (Vec::new(), 0);
    loop {
        let page = store.read(|r: &mut Reader| r.event_page(filter, window)).unwrap();
        pages += 1;
        assert!(page.rows.len() <= window.limit);
        seqs.extend(page.rows.iter().map(|(seq, _)| *seq));
        match page.next {
            None => return (seqs, pages),
            Some(next) if window.newest_first => window.before = next,
            Some(next) => window.after = next,
        }
    }
}

fn of(patterns: &[&str]) -> EventFilter {
    EventFilter { patterns: patterns.iter().map(|it| (*it).to_owned()).collect(), ..EventFilter::default() }
}

#[test]
fn every_filter_gives_what_a_walk_over_all_gives_in_both_orders() {
    let (_folder, store) = store();
    fill(&store, &["a.x", "a.y.z", "b", "a", "ab.x"], 3000);
    let walked = store.read(|r| r.events_after(0, 10_000)).unwrap();
    let filters = [
        EventFilter::default(),
        of(&["b"]),
        of(&["a.**"]),
        of(&["a.*", "b"]),
        of(&["*.x"]),
        of(&["nothing.**"]),
        EventFilter { subject: Some("clip/3".into()), ..of(&["a.**"]) },
        EventFilter { source: Some("s1".into()), ..of(&["b"]) },
        EventFilter { correlation_id: Some("c17".into()), ..EventFilter::default() },
        EventFilter {
            correlation_id: Some("c17".into()),
            subject: Some("clip/3".into()),
            ..EventFilter::default()
        },
        EventFilter { from: Some(Timestamp(500)), to: Some(Timestamp(2500)), ..of(&["a"]) },
    ];
    // Around the places where a time is known.
    let times =
        [(64, 64), (63, 65), (65, 127), (128, 129), (0, 63), (1, 1), (2990, 9000), (9000, 9001), (70, 60)];
    let of_times = times.map(|(from, to)| EventFilter {
        from: Some(Timestamp(from)),
        to: Some(Timestamp(to)),
        ..EventFilter::default()
    });
    let filters = filters.into_iter().chain(of_times);
    for filter in filters {
        let expected: Vec<i64> =
            walked.iter().filter(|(_, event)| filter.holds(event)).map(|(seq, _)| *seq).collect();
        for limit in [1, 7, 1000] {
            if limit == 1 && expected.len() > 300 {
                continue;
            }
            let (found, _) = all(&store, &filter, window(limit));
            assert_eq!(found, expected, "{filter:?} {limit}");
            let backwards = EventWindow { newest_first: true, ..window(limit) };
            let (mut found, _) = all(&store, &filter, backwards);
            found.reverse();
            assert_eq!(found, expected, "{filter:?} {limit} backwards");
        }
    }
}

#[test]
fn an_event_of_a_wrong_clock_hides_no_others() {
    for wrong in [1, 1_000_000] {
        let (_folder, store) = store();
        let put = move |tx: &mut Tx| {
            (1..=1000).try_for_each(|n| {
                let time = Timestamp(if n == 640 { wrong } else { n });
                tx.insert_event(&Event { time, ..event(&format!("e{n}"), None) }).map(drop)
            })
        };
        store.write_blocking(put).unwrap();
        for (from, to) in [(500, 900), (500, 500_000), (2, 639), (641, 900), (700, 2_000_000), (1, 700)] {
            let filter = EventFilter {
                from: Some(Timestamp(from)),
                to: Some(Timestamp(to)),
                ..EventFilter::default()
            };
            let (mut found, _) = all(&store, &filter, window(100));
            found.retain(|it| *it != 640);
            let expected: Vec<i64> = (from.max(1)..=to.min(1000)).filter(|it| *it != 640).collect();
            assert_eq!(found, expected, "{wrong}: {from} to {to}");
        }
    }
}

#[test]
fn a_filter_that_fits_nothing_ends_its_pages_early_and_comes_to_the_end() {
    let (_folder, store) = store();
    fill(&store, &["a"], 2 * LOOKED_AT + 500);
    let nobody = EventFilter { source: Some("nobody".into()), ..EventFilter::default() };
    let page = store.read(|r| r.event_page(&nobody, window(100))).unwrap();
    assert!(page.rows.is_empty());
    assert!(page.next.is_some_and(|it| (it as usize) < LOOKED_AT + 2000), "{:?}", page.next);
    let (found, pages) = all(&store, &nobody, window(100));
    assert!(found.is_empty() && (2..=4).contains(&pages), "{pages}");
    let (found, pages) = all(&store, &of(&["z.**"]), window(100));
    assert!(found.is_empty() && pages == 1, "it is known that there is no such type");
}

#[test]
fn a_page_ends_at_its_bytes_but_holds_one_event() {
    let (_folder, store) = store();
    fill(&store, &["a"], 10);
    let bytes = |max_bytes| EventWindow { max_bytes, ..window(10) };
    assert_eq!(all(&store, &EventFilter::default(), bytes(1)), ((1..=10).collect(), 10));
    let page = store.read(|r| r.event_page(&EventFilter::default(), bytes(70))).unwrap();
    assert!((2..=5).contains(&page.rows.len()), "{}", page.rows.len());
    let backwards = EventWindow { newest_first: true, ..bytes(1) };
    assert_eq!(all(&store, &EventFilter::default(), backwards), ((1..=10).rev().collect(), 10));
}

#[test]
fn more_types_than_can_be_walked_side_by_side_are_found_all_the_same() {
    let (_folder, store) = store();
    let kinds: Vec<String> = (0..100).map(|it| format!("many.k{it}")).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    fill(&store, &kinds, 2000);
    assert_eq!(all(&store, &of(&["many.*"]), window(500)).0.len(), 2000);
    assert_eq!(all(&store, &of(&["many.k7"]), window(500)).0.len(), 20);
    let types = store.read(|r| r.event_types("many.k9", 3)).unwrap();
    assert_eq!(types, [("many.k90".into(), 20), ("many.k91".into(), 20), ("many.k92".into(), 20)]);
}

#[test]
fn the_ends_of_the_journal_are_told_also_when_nothing_is_left() {
    let (_folder, store) = store();
    assert_eq!(store.read(Reader::journal_ends).unwrap(), (None, 0));
    fill(&store, &["a"], 5);
    assert_eq!(store.read(Reader::journal_ends).unwrap(), (Some(1), 5));
    let keep = Keep { since: None, max_events: Some(0), max_bytes: None, dead_since: None };
    store.write_blocking(move |tx| tx.remove_events(&[1, 2, 3, 4, 5], &keep)).unwrap();
    assert_eq!(store.read(Reader::journal_ends).unwrap(), (None, 5));
}

#[test]
fn a_page_of_a_type_does_not_end_because_some_of_its_events_are_removed_meanwhile() {
    let (_folder, store) = store();
    fill(&store, &["a", "b"], 8000);
    let keep = Keep { since: None, max_events: Some(0), max_bytes: None, dead_since: None };
    std::thread::scope(|scope| {
        let remover = scope.spawn(|| {
            for first in (1..6000).step_by(10) {
                let oldest: Vec<i64> = (first..first + 10).collect();
                store.write_blocking(move |tx| tx.remove_events(&oldest, &keep)).unwrap();
            }
        });
        while !remover.is_finished() {
            let page = store.read(|r| r.event_page(&of(&["a"]), window(300))).unwrap();
            assert!(page.next.is_some(), "1 000 stay: there are more than {}", page.rows.len());
        }
    });
}

/// Of each type: what its page gives, and what a walk over all gives.
fn assert_types_are_found(store: &Store, kinds: &[&str]) {
    let walked = store.read(|r| r.events_after(0, 10_000)).unwrap();
    for kind in kinds {
        let fitting: Vec<i64> =
            walked.iter().filter(|(_, it)| it.kind == *kind).map(|(seq, _)| *seq).collect();
        assert_eq!(all(store, &of(&[*kind]), window(3)).0, fitting, "{kind}");
    }
}

#[test]
fn a_type_is_found_again_when_its_events_of_the_newest_block_were_removed_and_others_came() {
    let (_folder, store) = store();
    fill(&store, &["a", "b"], 1200);
    let keep = Keep { since: None, max_events: Some(0), max_bytes: None, dead_since: None };
    let removed: Vec<i64> = (1..=1190).filter(|it| it % 2 == 0).chain(1191..=1200).collect();
    store.write_blocking(move |tx| tx.remove_events(&removed, &keep)).unwrap();
    let count = |tx: &mut Tx| statement("SELECT count(*) FROM event_kinds").number(tx);
    assert_eq!(
        store.write_blocking(count).unwrap(),
        Some(1190 / 64 + 1),
        "of `b` alone, nothing for nothing"
    );
    let put = |tx: &mut Tx, id: &str, kind: &str| {
        tx.insert_event(&Event { kind: kind.to_owned(), ..event(id, None) }).map(drop)
    };
    store.write_blocking(move |tx| put(tx, "later", "a")).unwrap();
    store.write_blocking(move |tx| put(tx, "latest", "b")).unwrap();
    assert_types_are_found(&store, &["a", "b"]);
}

#[test]
fn a_type_whose_first_event_of_a_block_was_taken_back_is_found_with_the_next_one() {
    let (_folder, store) = store();
    let put = |tx: &mut Tx, id: &str, kind: &str| {
        tx.insert_event(&Event { kind: kind.to_owned(), ..event(id, None) }).map(drop)
    };
    fill(&store, &["a"], 1100);
    let failed = move |tx: &mut Tx| {
        put(tx, "first", "b")?;
        Err::<(), _>(crate::error::Error::internal("taken back"))
    };
    store.write_blocking(failed).unwrap_err();
    store.write_blocking(move |tx| put(tx, "second", "b")).unwrap();
    let in_part = move |tx: &mut Tx| {
        let part = tx.part(|tx| {
            put(tx, "third", "c")?;
            Err::<(), _>(crate::error::Error::internal("taken back"))
        })?;
        assert!(part.is_err());
        put(tx, "fourth", "c")
    };
    store.write_blocking(in_part).unwrap();
    assert_types_are_found(&store, &["a", "b", "c"]);
}

#[test]
fn a_page_of_a_rare_type_that_fits_nothing_else_ends_early_too() {
    let (_folder, store) = store();
    let kinds: Vec<&str> = std::iter::once("rare").chain(std::iter::repeat_n("often", 63)).collect();
    fill(&store, &kinds, 64 * 1300);
    let nobody = EventFilter { source: Some("nobody".into()), ..of(&["rare"]) };
    let page = store.read(|r| r.event_page(&nobody, window(100))).unwrap();
    assert!(page.rows.is_empty() && page.next.is_some());
    let (found, pages) = all(&store, &nobody, window(100));
    assert!(found.is_empty() && (4..=6).contains(&pages), "{pages}");
    let (found, pages) = all(&store, &of(&["rare"]), window(1000));
    assert!(found.len() == 1300 && (4..=6).contains(&pages), "{} {pages}", found.len());
}

#[test]
fn blocks_whose_events_somebody_else_removed_are_passed_over_page_by_page() {
    let (_folder, store) = store();
    fill(&store, &["a"], 64 * 1500);
    let cut =
        |tx: &mut Tx| statement("DELETE FROM events WHERE seq BETWEEN 2 AND ?").bind(64_i64 * 1490).write(tx);
    store.write_blocking(cut).unwrap();
    let left: Vec<i64> = std::iter::once(1).chain(64 * 1490 + 1..=64 * 1500).collect();
    let (mut found, pages) = all(&store, &of(&["a"]), window(300));
    assert!(found == left && pages <= 8, "{} on {pages} pages", found.len());
    let backwards = EventWindow { newest_first: true, ..window(300) };
    (found, _) = all(&store, &of(&["a"]), backwards);
    found.reverse();
    assert_eq!(found, left);
}
