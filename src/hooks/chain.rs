//! The order in which handlers are asked: a pure function of what they declared.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// What a handler declared about its place.
#[derive(Debug, Clone, Default)]
pub struct Place<'a> {
    /// The plugin.
    pub plugin: &'a str,
    /// Plugins it depends on: they come first.
    pub dependencies: Vec<&'a str>,
    /// Plugins that must come before it.
    pub after: Vec<&'a str>,
    /// Plugins that must come after it.
    pub before: Vec<&'a str>,
    /// Higher comes earlier.
    pub priority: i32,
}

/// The order of some places, and what stood in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Indexes into the places.
    pub sequence: Vec<usize>,
    /// For each place in the sequence: why it stands there.
    pub why: Vec<String>,
    /// Plugins whose before/after wishes contradict each other; the wishes among them are ignored.
    pub cycle: Vec<String>,
}

/// Dependencies, then before/after, then priority, then name, then the order of registration.
///
/// Wishes that contradict each other (or a dependency) are dropped and named.
pub fn order(places: &[Place<'_>]) -> Order {
    let needs = edges(places, true);
    if let Some(sequence) = sort(places, &needs) {
        let why = reasons(places, &sequence);
        return Order { sequence, why, cycle: Vec::new() };
    }
    let kept = edges(places, false);
    let cycle = find_cycle(places, &needs);
    let sequence = sort(places, &kept).unwrap_or_else(|| (0..places.len()).collect());
    let why = reasons(places, &sequence);
    Order { sequence, why, cycle }
}

/// A cycle among named things that need one another, in the order it is walked; none if there is none.
pub fn dependency_cycle(needs: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    if let Some((name, _)) = needs.iter().find(|(name, wanted)| wanted.contains(name)) {
        return Some(vec![name.clone(), name.clone()]);
    }
    let names: Vec<&str> = needs.keys().map(String::as_str).collect();
    let places: Vec<Place<'_>> = needs
        .iter()
        .map(|(name, wanted)| Place {
            plugin: name,
            dependencies: wanted.iter().map(String::as_str).filter(|it| names.contains(it)).collect(),
            ..Place::default()
        })
        .collect();
    let needs = edges(&places, true);
    match sort(&places, &needs) {
        Some(_) => None,
        None => Some(find_cycle(&places, &needs)),
    }
}

/// For each place, the places that must come before it.
fn edges(places: &[Place<'_>], wishes: bool) -> Vec<BTreeSet<usize>> {
    let mut of_plugin: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        of_plugin.entry(place.plugin).or_default().push(index);
    }
    let find = |name: &str| of_plugin.get(name).cloned().unwrap_or_default();
    let mut needs = vec![BTreeSet::new(); places.len()];
    for (index, place) in places.iter().enumerate() {
        let after = if wishes { place.after.as_slice() } else { &[] };
        for name in place.dependencies.iter().chain(after) {
            needs[index].extend(find(name).into_iter().filter(|it| places[*it].plugin != place.plugin));
        }
        for name in place.before.iter().filter(|_| wishes) {
            for other in find(name).into_iter().filter(|it| places[*it].plugin != place.plugin) {
                needs[other].insert(index);
            }
        }
    }
    needs
}

/// Kahn's algorithm, taking the best of those that are free; none when there is a cycle.
fn sort(places: &[Place<'_>], needs: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    let rank = |index: usize| Reverse((Reverse(places[index].priority), places[index].plugin, index));
    let mut open: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut free: BinaryHeap<_> = (0..places.len()).filter(|it| open[*it] == 0).map(rank).collect();
    let mut sequence = Vec::with_capacity(places.len());
    while let Some(Reverse((_, _, index))) = free.pop() {
        sequence.push(index);
        for (other, wanted) in needs.iter().enumerate() {
            if wanted.contains(&index) {
                open[other] -= 1;
                if open[other] == 0 {
                    free.push(rank(other));
                }
            }
        }
    }
    (sequence.len() == places.len()).then_some(sequence)
}

/// Walks the needs until a place comes again.
fn find_cycle(places: &[Place<'_>], needs: &[BTreeSet<usize>]) -> Vec<String> {
    for start in 0..places.len() {
        let mut path = vec![start];
        let mut seen = BTreeSet::from([start]);
        if walk(start, needs, &mut path, &mut seen) {
            return path.into_iter().map(|it| places[it].plugin.to_owned()).collect();
        }
    }
    Vec::new()
}

/// Depth first; leaves the cycle, first place repeated at its end, in `path`.
fn walk(at: usize, needs: &[BTreeSet<usize>], path: &mut Vec<usize>, seen: &mut BTreeSet<usize>) -> bool {
    for next in &needs[at] {
        if let Some(from) = path.iter().position(|it| it == next) {
            path.drain(..from);
            path.push(*next);
            return true;
        }
        if seen.insert(*next) {
            path.push(*next);
            if walk(*next, needs, path, seen) {
                return true;
            }
            path.pop();
        }
    }
    false
}

fn reasons(places: &[Place<'_>], sequence: &[usize]) -> Vec<String> {
    let present: BTreeSet<&str> = places.iter().map(|it| it.plugin).collect();
    let listed = |names: &[&str]| -> String {
        let names: Vec<&str> = names.iter().copied().filter(|it| present.contains(it)).collect();
        names.join(", ")
    };
    sequence
        .iter()
        .map(|index| {
            let place = &places[*index];
            let mut parts = Vec::new();
            for (word, names) in
                [("depends on", &place.dependencies), ("after", &place.after), ("before", &place.before)]
            {
                let names = listed(names);
                if !names.is_empty() {
                    parts.push(format!("{word} {names}"));
                }
            }
            parts.push(format!("priority {}", place.priority));
            parts.push(format!("name {}", place.plugin));
            parts.join("; ")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place<'a>(plugin: &'a str, priority: i32) -> Place<'a> {
        Place { plugin, priority, ..Place::default() }
    }

    fn names(places: &[Place<'_>]) -> Vec<String> {
        order(places).sequence.into_iter().map(|it| places[it].plugin.to_owned()).collect()
    }

    #[test]
    fn dependencies_beat_wishes_beat_priority_beats_name() {
        let mut places = vec![place("c", 0), place("b", 0), place("a", 0), place("z", 9)];
        assert_eq!(names(&places), ["z", "a", "b", "c"]);
        places[3].after = vec!["b"];
        assert_eq!(names(&places), ["a", "b", "z", "c"]);
        places[2].dependencies = vec!["c"];
        assert_eq!(names(&places), ["b", "z", "c", "a"]);
    }

    #[test]
    fn contradicting_wishes_are_named_and_dropped() {
        let mut places = vec![place("a", 0), place("b", 5)];
        places[0].before = vec!["b"];
        places[1].before = vec!["a"];
        let order = order(&places);
        assert_eq!(order.sequence, [1, 0]);
        assert_eq!(order.cycle.len(), 3);
        assert_eq!(order.cycle.first(), order.cycle.last());
    }

    #[test]
    fn a_cycle_of_dependencies_is_named_in_order() {
        let needs = BTreeMap::from([
            ("a".to_owned(), vec!["b".to_owned()]),
            ("b".to_owned(), vec!["c".to_owned(), "missing".to_owned()]),
            ("c".to_owned(), vec!["a".to_owned()]),
            ("d".to_owned(), vec!["a".to_owned()]),
        ]);
        assert_eq!(dependency_cycle(&needs).unwrap(), ["a", "b", "c", "a"]);
        assert_eq!(dependency_cycle(&BTreeMap::from([("a".to_owned(), vec![])])), None);
        let itself = BTreeMap::from([("a".to_owned(), vec!["a".to_owned()])]);
        assert_eq!(dependency_cycle(&itself).unwrap(), ["a", "a"]);
    }

    proptest! {
        #[test]
        fn the_order_depends_on_what_is_declared_and_not_on_when(
            priorities in prop::collection::vec(-2..3i32, 1..8),
            wishes in prop::collection::vec((0..8usize, 0..8usize), 0..6),
            turn in 0..8usize,
        ) {
            let names: Vec<String> = (0..priorities.len()).map(|it| format!("p{it}")).collect();
            let mut places: Vec<Place<'_>> =
                names.iter().zip(&priorities).map(|(name, priority)| place(name, *priority)).collect();
            // Wishes lead from lower to higher numbers only, so that they cannot contradict.
            for (a, b) in wishes {
                let (a, b) = (a % names.len(), b % names.len());
                if a < b { places[b].after.push(&names[a]); }
            }
            let first = self::names(&places);
            let by = turn % places.len();
            places.rotate_left(by);
            prop_assert_eq!(&first, &self::names(&places));
            for place in &places {
                let at = |name: &str| first.iter().position(|it| it == name);
                for earlier in &place.after {
                    prop_assert!(at(earlier) < at(place.plugin));
                }
            }
        }
    }
}
