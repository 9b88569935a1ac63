//! Every way to a page of clips gives what a walk over all gives, and none of them is such a walk.

use super::clip_parts::Plan;
use super::testing::{clip, index_all, recording, store};
use super::{ClipFilter, ClipSort, Store};
use crate::model::clip::{Clip, ProcessingStatus};
use crate::model::page::Window;
use crate::model::time::Timestamp;

const SORTS: [&str; 8] =
    ["-created_at", "created_at", "-recorded_at", "recorded_at", "-title", "title", "-duration", "duration"];

/// So many that some filters let too many through to be ordered afterwards.
const COUNT: i64 = 5_000;

/// One clip every eight hours, some recorded long before.
fn filled() -> (tempfile::TempDir, Store, Vec<Clip>) {
    let (folder, store) = store();
    let at = |id: i64| Timestamp(1_700_000_000_000_000 + id * 28_800_000_000);
    let all: Vec<Clip> = (1..=COUNT)
        .map(|id| Clip {
            title: format!(
                "{} night{}{}",
                if id % 3 == 0 { "Tripled" } else { "triple" },
                id % 60,
                if id % 2 == 0 { " Übertrag" } else { "" }
            ),
            game_name: Some(if id % 500 == 0 { "rare" } else { "wide" }.into()),
            recording_id: (id % 700 == 0).then(|| "r".into()),
            tags: if id % 400 == 0 { vec!["wide".into(), "rare".into()] } else { vec!["wide".into()] },
            duration: (id % 11 != 0).then_some((id * 7919 % 1000) as f64),
            recorded_at: (id % 7 == 0).then(|| at(id * 31 % id)),
            processed: id % 4 == 0,
            processing_status: match id % 4 {
                0 => ProcessingStatus::Completed,
                1 if id % 100 == 1 => ProcessingStatus::Failed,
                _ => ProcessingStatus::Pending,
            },
            created_at: at(id),
            ..clip(id, "")
        })
        .collect();
    let given = all.clone();
    store
        .write_blocking(move |tx| {
            tx.insert_recording(&recording("r", 1), None)?;
            given.iter().try_for_each(|it| tx.insert_clip(it))
        })
        .unwrap();
    index_all(&store);
    (folder, store, all)
}

fn filters() -> Vec<ClipFilter> {
    let none = ClipFilter::default;
    let game = |it: &str| ClipFilter { game_name: Some(it.into()), ..none() };
    let time = |from: i64, to: i64| ClipFilter {
        from: Some(Timestamp(1_700_000_000_000_000 + from * 28_800_000_000)),
        to: Some(Timestamp(1_700_000_000_000_000 + to * 28_800_000_000)),
        ..none()
    };
    let words = |it: &str| ClipFilter { q: Some(it.into()), ..none() };
    let tagged = |it: &[&str]| ClipFilter { tags: it.iter().map(|it| (*it).into()).collect(), ..none() };
    vec![
        none(),
        words("ubert"),
        game("rare"),
        game("wide"),
        tagged(&["rare"]),
        tagged(&["wide"]),
        tagged(&["wide", "rare"]),
        tagged(&["nowhere"]),
        time(1_000, 1_005),
        time(500, 4_700),
        ClipFilter { to: None, ..time(100, 0) },
        ClipFilter { status: Some(ProcessingStatus::Failed), ..none() },
        ClipFilter { status: Some(ProcessingStatus::Pending), ..game("wide") },
        ClipFilter { processed: Some(false), tags: vec!["wide".into()], ..time(500, 4_700) },
        ClipFilter { recording_id: Some("r".into()), ..game("wide") },
        words("triple"),
        words("tri"),
        words("night"),
        words("triple night7"),
        words("nowhere"),
        ClipFilter { q: Some("tripl".into()), ..game("rare") },
        ClipFilter { q: Some("tripl".into()), ..game("wide") },
        ClipFilter { q: Some("night".into()), status: Some(ProcessingStatus::Failed), ..tagged(&["wide"]) },
    ]
}

fn holds(filter: &ClipFilter, it: &Clip) -> bool {
    let moment = it.recorded_at.unwrap_or(it.created_at);
    let words = filter.q.as_deref().unwrap_or_default().split_whitespace();
    let title = it.title.to_lowercase().replace('ü', "u");
    filter.game_name.as_ref().is_none_or(|wanted| it.game_name.as_ref() == Some(wanted))
        && filter.processed.is_none_or(|wanted| it.processed == wanted)
        && filter.status.is_none_or(|wanted| it.processing_status == wanted)
        && filter.tags.iter().all(|wanted| it.tags.contains(wanted))
        && filter.recording_id.as_ref().is_none_or(|wanted| it.recording_id.as_ref() == Some(wanted))
        && filter.from.is_none_or(|from| moment >= from)
        && filter.to.is_none_or(|to| moment <= to)
        && words.into_iter().all(|word| title.split(' ').any(|of| of.starts_with(word)))
}

/// The ids of all that fit, in order.
fn walked(all: &[Clip], filter: &ClipFilter, name: &str) -> Vec<i64> {
    let mut found: Vec<&Clip> = all.iter().filter(|it| holds(filter, it)).collect();
    found.sort_by(|a, b| {
        let by = match name.trim_start_matches('-') {
            "recorded_at" => a.recorded_at.cmp(&b.recorded_at),
            "title" => a.title.cmp(&b.title),
            "duration" => a.duration.partial_cmp(&b.duration).unwrap(),
            _ => std::cmp::Ordering::Equal,
        };
        by.then(a.id.cmp(&b.id))
    });
    if name.starts_with('-') {
        found.reverse();
    }
    found.into_iter().map(|it| it.id).collect()
}

#[test]
fn every_filter_in_every_order_gives_what_a_walk_over_all_gives() {
    let (_folder, store, all) = filled();
    for filter in filters() {
        for name in SORTS {
            let (expected, sort) = (walked(&all, &filter, name), ClipSort::from_name(name).unwrap());
            for offset in [0, 40] {
                let window = Window { offset, limit: 25 };
                let page = store.read(|r| r.list_clips(&filter, sort, window)).unwrap();
                let ids: Vec<i64> = page.items.iter().map(|it| it.id).collect();
                let shown: Vec<i64> = expected.iter().skip(offset as usize).take(25).copied().collect();
                assert_eq!(ids, shown, "{filter:?} {name} {offset}");
                assert_eq!((page.total, page.total_is_more), (expected.len() as i64, false), "{filter:?}");
            }
            if !sort.is_by_id() || expected.len() < 30 {
                continue;
            }
            let after = ClipFilter { after: Some(expected[24]), ..filter.clone() };
            let page = store.read(|r| r.list_clips(&after, sort, Window { offset: 25, limit: 5 })).unwrap();
            let ids: Vec<i64> = page.items.iter().map(|it| it.id).collect();
            assert_eq!(ids, expected[25..30], "{filter:?} {name} behind {}", expected[24]);
            assert_eq!((page.total, page.page), (expected.len() as i64, 6), "all are counted");
        }
    }
}

#[test]
fn no_page_and_no_total_walks_over_all_clips() {
    let (_folder, store, _) = filled();
    for filter in filters() {
        for (name, is_wide) in SORTS.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            let sort = ClipSort::from_name(name).unwrap();
            let steps = |reader: &mut super::Reader| {
                let Some(mut parts) = reader.clip_parts(&filter)? else { return Ok(Vec::new()) };
                if is_wide {
                    parts.iter_mut().for_each(|it| it.size = 1_000_000);
                }
                let page = Plan::of_list(&parts, sort).page(sort, None, Window::default());
                let mut steps = page.explained(reader);
                if parts.len() > 1 {
                    steps.extend(Plan::of_count(&parts).count(100).explained(reader));
                }
                Ok(steps)
            };
            let steps = store.read(steps).unwrap();
            let scans = steps.iter().filter(|it| it.as_str() == "SCAN clips").count();
            // Without a filter the newest are simply the last.
            let allowed = usize::from(filter == ClipFilter::default() && sort.is_by_id());
            assert_eq!(scans, allowed, "{filter:?} {name} {is_wide}: {steps:#?}");
            let sorted = steps.iter().filter(|it| it.contains("TEMP B-TREE")).count();
            // The rows of one page, and few others, are put into order; a long time has another way.
            let is_time = filter.from.is_some();
            // So many words begin like this one that the index gathers all their clips.
            let is_gathered = filter.q.as_deref() == Some("night");
            let few = if sort.is_by_id() { 0 } else { 1 + usize::from(!is_wide || is_gathered) };
            assert!(is_time || sorted <= few, "{filter:?} {name} {is_wide}: {steps:#?}");
        }
    }
}

#[test]
fn a_short_beginning_of_more_words_than_can_be_told_finds_them_all() {
    let (_folder, store) = store();
    let all: Vec<Clip> = (1..=200).map(|id| clip(id, &format!("clip{id}x Überzahl"))).collect();
    store.write_blocking(move |tx| all.iter().try_for_each(|it| tx.insert_clip(it))).unwrap();
    index_all(&store);
    for (q, count) in
        [("clip", 200), ("c", 200), ("CLIP1", 111), ("clip19", 11), ("Überz", 200), ("uberza clip7", 11)]
    {
        let filter = ClipFilter { q: Some(q.into()), ..ClipFilter::default() };
        for name in SORTS {
            let sort = ClipSort::from_name(name).unwrap();
            let page = store.read(|r| r.list_clips(&filter, sort, Window { offset: 0, limit: 500 })).unwrap();
            assert_eq!((page.total, page.items.len()), (count, count as usize), "{q} {name}");
        }
    }
}

#[test]
fn tags_follow_changes_and_deletes() {
    let (_folder, store) = store();
    let tagged = |tags: &[&str]| Clip { tags: tags.iter().map(|it| (*it).into()).collect(), ..clip(1, "x") };
    let (first, second) = (tagged(&["a", "b", "a"]), tagged(&["b", "c"]));
    let total = |tag: &str| {
        let filter = ClipFilter { tags: vec![tag.into()], ..ClipFilter::default() };
        let page = store.read(|r| r.list_clips(&filter, ClipSort::default(), Window::default())).unwrap();
        assert_eq!(page.total, page.items.len() as i64);
        page.total
    };
    store.write_blocking(move |tx| tx.insert_clip(&first)).unwrap();
    assert_eq!((total("a"), total("b"), total("c")), (1, 1, 0));
    store.write_blocking(move |tx| tx.update_clip(&second).map(drop)).unwrap();
    assert_eq!((total("a"), total("b"), total("c")), (0, 1, 1));
    store.write_blocking(|tx| tx.delete_clip(1)).unwrap();
    assert_eq!((total("a"), total("b"), total("c")), (0, 0, 0));
}
