//! Who must run before whom, and why a plugin cannot start: pure functions of what plugins declare.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use semver::{Version, VersionReq};

use crate::hooks::chain::dependency_cycle;
use crate::model::call::Outcome;

use super::manifest::{Dependency, Manifest};
use super::problem::LoadFault;

/// Where a plugin stands while others look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It runs.
    Running,
    /// It is about to be started.
    Waiting,
    /// It does not run; the reason, as a clause ("is disabled").
    Down(&'static str),
}

/// One plugin, as the others see it.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it declares; none when that cannot be read.
    pub manifest: Option<Arc<Manifest>>,
    /// Where it stands.
    pub standing: Standing,
}

/// All plugins by name.
pub type Nodes = BTreeMap<Arc<str>, Node>;

/// Whether a plugin can be started now.
#[derive(Debug)]
pub enum Verdict {
    /// Everything it needs runs.
    Ready,
    /// Something it needs is about to be started.
    Later,
    /// It cannot run.
    Never(Box<LoadFault>),
}

/// The plugins `name` comes after: what it needs, and who offers what it requires.
pub fn needs(name: &str, nodes: &Nodes) -> BTreeSet<Arc<str>> {
    let Some(manifest) = nodes.get(name).and_then(|it| it.manifest.as_ref()) else { return BTreeSet::new() };
    let direct = manifest.dependencies.iter().filter_map(|it| nodes.get_key_value(it.name.as_str()));
    let offered = manifest.requires.iter().flat_map(|wanted| providers(wanted, name, nodes));
    direct.map(|(name, _)| Arc::clone(name)).chain(offered).filter(|it| **it != *name).collect()
}

/// Whether `name` can be started, given where everybody stands.
pub fn judge(name: &str, nodes: &Nodes) -> Verdict {
    let Some(manifest) = nodes.get(name).and_then(|it| it.manifest.as_ref()) else { return Verdict::Ready };
    let mut later = false;
    for wanted in &manifest.dependencies {
        let Some(other) = nodes.get(wanted.name.as_str()) else {
            if wanted.optional {
                continue;
            }
            return never(
                format!("it depends on `{}`, and there is no such plugin", wanted.name),
                format!(
                    "Put the folder `{0}` into a plugin directory, or make the dependency optional: {{ name: {0}, optional: true }}.",
                    wanted.name
                ),
            );
        };
        let fits = other.manifest.as_ref().is_none_or(|it| fits(wanted, it));
        match &other.standing {
            Standing::Down(_) if wanted.optional => {}
            Standing::Down(why) => {
                let hint = format!(
                    "Start `{}` first; GET /api/v1/plugins/{}/status tells its state.",
                    wanted.name, wanted.name
                );
                return never(format!("it depends on `{}`, which {why}", wanted.name), hint);
            }
            _ if !fits => {
                let version = other.manifest.as_ref().and_then(|it| it.version.as_ref());
                let has = version.map_or_else(|| "no version".to_owned(), ToString::to_string);
                let hint = match version {
                    Some(_) => format!("Update `{}`, or widen the range in plugin.yaml.", wanted.name),
                    None => format!(
                        "Say `version: \"1.0.0\"` in the plugin.yaml of `{0}`, or depend on `{0}` without a range.",
                        wanted.name
                    ),
                };
                return never(
                    format!("it depends on `{} {}`, and that plugin has {has}", wanted.name, wanted.version),
                    hint,
                );
            }
            Standing::Waiting => later = true,
            Standing::Running => {}
        }
    }
    for wanted in &manifest.requires {
        let offers: Vec<Arc<str>> = providers(wanted, name, nodes).collect();
        let stands =
            |it: &Arc<str>, what: &Standing| nodes.get(it).is_some_and(|node| node.standing == *what);
        if offers.iter().any(|it| stands(it, &Standing::Running)) {
            continue;
        }
        if !offers.iter().any(|it| stands(it, &Standing::Waiting)) {
            return never(
                format!("it requires `{wanted}`, which no running plugin provides"),
                format!("Enable a plugin with `provides: [{wanted}]`."),
            );
        }
        later = true;
    }
    // Of two that wait, the first by name runs.
    let stands_in_the_way = |other: &str, node: &Node| match node.standing {
        Standing::Running => true,
        Standing::Waiting => other < name,
        Standing::Down(_) => false,
    };
    let rival = nodes.iter().find(|(other, node)| {
        ***other != *name && stands_in_the_way(other, node) && conflict(name, other, nodes)
    });
    if let Some((other, _)) = rival {
        return never(
            format!("it conflicts with `{other}`, and that one runs"),
            format!("Disable one of `{name}` and `{other}`."),
        );
    }
    if later { Verdict::Later } else { Verdict::Ready }
}

/// Whether a plugin with this manifest has a version that does.
pub fn fits(wanted: &Dependency, manifest: &Manifest) -> bool {
    let none = Version::new(0, 0, 0);
    wanted.version == VersionReq::STAR || wanted.version.matches(manifest.version.as_ref().unwrap_or(&none))
}

/// The plugins other than `but` that offer `wanted`.
pub fn providers<'a>(wanted: &'a str, but: &'a str, nodes: &'a Nodes) -> impl Iterator<Item = Arc<str>> + 'a {
    nodes
        .iter()
        .filter(move |(name, node)| {
            ***name != *but
                && node.manifest.as_ref().is_some_and(|it| it.provides.iter().any(|offer| offer == wanted))
        })
        .map(|(name, _)| Arc::clone(name))
}

/// When nothing waiting can go on: the cycle among the waiting ones that are needed and not optional.
pub fn cycle(nodes: &Nodes) -> Option<Vec<String>> {
    let waiting = nodes.iter().filter(|(_, node)| node.standing == Standing::Waiting);
    let graph: BTreeMap<String, Vec<String>> = waiting
        .filter_map(|(name, node)| {
            let manifest = node.manifest.as_ref()?;
            let needed = manifest.dependencies.iter().filter(|it| !it.optional).map(|it| it.name.clone());
            let offered =
                manifest.requires.iter().flat_map(|it| providers(it, name, nodes)).map(|it| it.to_string());
            Some((name.to_string(), needed.chain(offered).collect()))
        })
        .collect();
    dependency_cycle(&graph)
}

/// The fault of everybody on a cycle.
pub fn cycle_fault(cycle: &[String]) -> LoadFault {
    LoadFault::of_folder(
        Outcome::Skipped,
        format!("its dependencies go in a circle: {}", cycle.join(" -> ")),
        "Take one of these dependencies away, or make it optional.",
    )
}

/// Runs `act` for every name once all it needs (of the names) are done, side by side where it can; the results
/// come in the order of the ends.
pub async fn in_order<F, T>(
    mut open: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    act: impl Fn(Arc<str>) -> F,
) -> Vec<(Arc<str>, T)>
where
    F: Future<Output = T>,
{
    let mut unfinished: BTreeSet<Arc<str>> = open.keys().cloned().collect();
    let mut running = FuturesUnordered::new();
    let mut results = Vec::new();
    loop {
        let is_free = |needs: &BTreeSet<Arc<str>>| needs.is_disjoint(&unfinished);
        let mut free: Vec<Arc<str>> =
            open.iter().filter(|(_, needs)| is_free(needs)).map(|(name, _)| Arc::clone(name)).collect();
        if free.is_empty() && running.is_empty() {
            // A circle of optional wishes: whoever comes first goes first.
            free.extend(open.keys().next().cloned());
        }
        for name in free {
            open.remove(&name);
            let done = act(Arc::clone(&name));
            running.push(async move { (name, done.await) });
        }
        match running.next().await {
            Some((name, result)) => {
                unfinished.remove(&name);
                results.push((name, result));
            }
            None => return results,
        }
    }
}

/// The same names the other way round: who is needed waits for those who need it.
pub fn reversed(open: &BTreeMap<Arc<str>, BTreeSet<Arc<str>>>) -> BTreeMap<Arc<str>, BTreeSet<Arc<str>>> {
    let mut reversed: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> =
        open.keys().map(|name| (Arc::clone(name), BTreeSet::new())).collect();
    for (name, needs) in open {
        for needed in needs {
            if let Some(waits) = reversed.get_mut(needed) {
                waits.insert(Arc::clone(name));
            }
        }
    }
    reversed
}

fn never(message: String, hint: String) -> Verdict {
    Verdict::Never(Box::new(LoadFault::of_folder(Outcome::Skipped, message, hint)))
}

/// Whether one of two plugins declares that it does not run beside the other, or beside what that offers.
fn conflict(one: &str, other: &str, nodes: &Nodes) -> bool {
    let manifest = |name: &str| nodes.get(name).and_then(|it| it.manifest.as_ref());
    let rejects = |one: &str, other: &str| {
        let offers = manifest(other).map(|it| it.provides.as_slice()).unwrap_or_default();
        manifest(one).is_some_and(|it| it.conflicts.iter().any(|it| it == other || offers.contains(it)))
    };
    rejects(one, other) || rejects(other, one)
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    fn node(needs: &[&str], standing: Standing) -> Node {
        let dependencies = needs.iter().map(|it| {
            let (name, version) = it.split_once(' ').unwrap_or((*it, "*"));
            let optional = name.ends_with('?');
            let version = VersionReq::parse(version).unwrap();
            Dependency { name: name.trim_end_matches('?').to_owned(), version, optional }
        });
        let manifest = Manifest {
            dependencies: dependencies.collect(),
            version: Some(Version::new(1, 0, 0)),
            ..Manifest::default()
        };
        Node { manifest: Some(Arc::new(manifest)), standing }
    }

    fn nodes(of: Vec<(&str, Node)>) -> Nodes {
        of.into_iter().map(|(name, node)| (name.into(), node)).collect()
    }

    fn hint(name: &str, nodes: &Nodes) -> String {
        match judge(name, nodes) {
            Verdict::Never(fault) => fault.script.hint.unwrap(),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn fault(name: &str, nodes: &Nodes) -> String {
        match judge(name, nodes) {
            Verdict::Never(fault) => fault.to_string(),
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn missing_disabled_and_too_old_dependencies_are_named() {
        let nodes = nodes(vec![
            ("a", node(&["nobody"], Standing::Waiting)),
            ("b", node(&["off"], Standing::Waiting)),
            ("c", node(&["on >=2.0"], Standing::Waiting)),
            ("d", node(&["on >=1", "off?", "nobody?"], Standing::Waiting)),
            ("e", node(&["d"], Standing::Waiting)),
            ("f", node(&["bare >=1.0"], Standing::Waiting)),
            ("bare", Node { manifest: Some(Arc::default()), standing: Standing::Running }),
            ("off", node(&[], Standing::Down("is disabled"))),
            ("on", node(&[], Standing::Running)),
        ]);
        assert!(fault("a", &nodes).contains("`nobody`, and there is no such plugin"));
        assert!(fault("b", &nodes).contains("`off`, which is disabled"));
        assert!(fault("c", &nodes).contains("`on >=2.0`, and that plugin has 1.0.0"));
        assert!(fault("f", &nodes).contains("that plugin has no version"));
        assert!(hint("f", &nodes).starts_with("Say `version: \"1.0.0\"` in the plugin.yaml of `bare`"));
        assert!(matches!(judge("d", &nodes), Verdict::Ready));
        assert!(matches!(judge("e", &nodes), Verdict::Later));
        assert_eq!(cycle(&nodes), None);
    }

    #[test]
    fn a_circle_is_named_in_order() {
        let nodes = nodes(vec![
            ("a", node(&["b"], Standing::Waiting)),
            ("b", node(&["a"], Standing::Waiting)),
            ("c", node(&["d?"], Standing::Waiting)),
            ("d", node(&["c?"], Standing::Waiting)),
        ]);
        let cycle = cycle(&nodes).unwrap();
        assert_eq!(cycle, ["a", "b", "a"]);
        assert!(cycle_fault(&cycle).to_string().contains("a -> b -> a"));
    }

    #[test]
    fn offers_are_required_and_conflicts_are_refused() {
        let offer = |standing| {
            let manifest = Manifest { provides: vec!["mailer".into()], ..Manifest::default() };
            Node { manifest: Some(Arc::new(manifest)), standing }
        };
        let needy = Manifest { requires: vec!["mailer".into()], ..Manifest::default() };
        let hostile = Manifest { conflicts: vec!["mailer".into()], ..Manifest::default() };
        let of = |manifest| Node { manifest: Some(Arc::new(manifest)), standing: Standing::Waiting };
        let mut all = nodes(vec![("needy", of(needy)), ("hostile", of(hostile))]);
        assert!(fault("needy", &all).contains("requires `mailer`"));
        all.insert("smtp".into(), offer(Standing::Running));
        assert!(matches!(judge("needy", &all), Verdict::Ready));
        assert!(fault("hostile", &all).contains("conflicts with `smtp`"));
        assert!(needs("needy", &all).contains("smtp"));
    }

    #[tokio::test]
    async fn what_is_needed_is_done_before_and_undone_after() {
        let needs = BTreeMap::from([
            ("a".into(), BTreeSet::from(["c".into()])),
            ("b".into(), BTreeSet::from(["a".into(), "elsewhere".into()])),
            ("c".into(), BTreeSet::new()),
        ]);
        let log = Mutex::new(Vec::new());
        let act = |name: Arc<str>| {
            log.lock().push(name);
            std::future::ready(())
        };
        in_order(needs.clone(), act).await;
        in_order(reversed(&needs), act).await;
        let told: Vec<String> = log.lock().iter().map(|it| it.to_string()).collect();
        assert_eq!(told, ["c", "a", "b", "b", "a", "c"]);
    }
}
