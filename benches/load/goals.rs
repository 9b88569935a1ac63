//! What is wanted of the product, as ratios within one run.

use super::figures::Results;
use crate::rig::percentile;

/// With what a figure of ours is compared.
enum Against {
    /// The same figure of a peer.
    Peer(&'static str),
    /// The same figure of ours in another workload.
    Workload(&'static str),
    /// The same figure of ours in another part of the workload.
    Part(&'static str),
    /// Nothing: the figure itself is the goal.
    Nothing,
}

struct Goal {
    workload: &'static str,
    part: &'static str,
    figure: &'static str,
    against: Against,
    bound: f64,
    /// Whether less is better.
    at_most: bool,
    /// What it says, with `{}` for the bound.
    text: &'static str,
}

/// What became of a goal.
pub struct Verdict {
    pub workload: &'static str,
    pub text: String,
    /// The median of the rounds.
    pub is: f64,
    /// What it is in each round.
    pub rounds: Vec<f64>,
    pub holds: bool,
}

const fn at_least(workload: &'static str, against: Against, bound: f64, text: &'static str) -> Goal {
    Goal { workload, part: "all", figure: "rps", against, bound, at_most: false, text }
}

const fn at_most(
    workload: &'static str,
    part: &'static str,
    figure: &'static str,
    against: Against,
    bound: f64,
    text: &'static str,
) -> Goal {
    Goal { workload, part, figure, against, bound, at_most: true, text }
}

use Against::{Nothing, Part, Peer, Workload};

const GOALS: &[Goal] = &[
    at_least("W1", Peer("nginx"), 0.6, "req/s at least {} of nginx's"),
    at_least("W1", Peer("pocketbase"), 6.0, "req/s at least {} times PocketBase's"),
    at_least("W1", Peer("python"), 20.0, "req/s at least {} times the Python reference's"),
    at_least("W2", Workload("W1"), 0.6, "req/s at least {} of W1's"),
    at_least("W2", Peer("nginx"), 0.45, "req/s at least {} of nginx's"),
    at_least("W2", Peer("prototype"), 0.7, "req/s at least {} of the prototype's"),
    at_least("W2", Peer("pocketbase"), 10.0, "req/s at least {} times PocketBase's"),
    at_least("W3", Peer("pocketbase"), 5.0, "req/s at least {} times PocketBase's"),
    at_least("W3", Peer("python"), 15.0, "req/s at least {} times the Python reference's"),
    at_least("W3", Peer("prototype"), 0.45, "req/s at least {} of the prototype's"),
    at_least("W4", Peer("pocketbase"), 8.0, "req/s at least {} times PocketBase's"),
    at_least("W4", Peer("python"), 20.0, "req/s at least {} times the Python reference's"),
    at_least("W4", Peer("prototype"), 0.4, "req/s at least {} of the prototype's"),
    at_most("W5", "beside", "p50_us", Part("idle"), 1.5, "p50 at most {} times that of an idle server"),
    at_most("W5", "beside", "p99_us", Part("idle"), 2.5, "p99 at most {} times that of an idle server"),
    at_most("W6", "200", "secs", Nothing, 1.05, "200 waits within {} s"),
    at_most("W6", "2 000", "secs", Nothing, 1.3, "2 000 waits within {} s"),
    at_most(
        "W7",
        "100",
        "first_ms",
        Peer("pocketbase"),
        3.0,
        "first answer with 100 plugins within {} times PocketBase's time",
    ),
    at_most("W7", "0", "rss_mib", Nothing, 40.0, "resident without plugins at most {} MiB"),
    at_most("W7", "10", "rss_mib", Nothing, 44.0, "resident with 10 plugins at most {} MiB"),
    at_most("W7", "100", "rss_mib", Nothing, 80.0, "resident with 100 plugins at most {} MiB"),
    at_most(
        "overload",
        "at ten times it",
        "p99_us",
        Part("at capacity"),
        2.0,
        "p99 of what is admitted at most {} times that at capacity",
    ),
    at_most(
        "overload",
        "at ten times it",
        "refused_max_ms",
        Nothing,
        50.0,
        "the slowest refusal within {} ms",
    ),
    at_most(
        "overload",
        "at ten times it",
        "wrong",
        Nothing,
        0.0,
        "{} answers that are neither 2xx nor 503 with Retry-After",
    ),
    at_most(
        "overload",
        "at ten times it",
        "admin_max_ms",
        Nothing,
        1000.0,
        "the slowest answer to an admin meanwhile within {} ms",
    ),
    at_most(
        "overload",
        "5 s later",
        "p99_us",
        Part("at capacity"),
        1.5,
        "p99 5 s later at most {} times that before",
    ),
];

/// What became of the goals for which there are figures.
pub fn verdicts(results: &Results) -> Vec<Verdict> {
    GOALS.iter().filter_map(|goal| verdict(goal, results)).collect()
}

fn verdict(goal: &Goal, results: &Results) -> Option<Verdict> {
    let of = |workload, part, target| results.rounds(workload, part, target, goal.figure);
    let ours = of(goal.workload, goal.part, "panotti");
    let theirs = match goal.against {
        Peer(peer) => of(goal.workload, goal.part, peer),
        Workload(other) => of(other, goal.part, "panotti"),
        Part(part) => of(goal.workload, part, "panotti"),
        Nothing => vec![1.0; ours.len()],
    };
    // Of the same round: there the machine was the same to both.
    let rounds: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    if rounds.is_empty() {
        return None;
    }
    let is = percentile(&mut rounds.clone(), 0.5);
    let holds = if goal.at_most { is <= goal.bound } else { is >= goal.bound };
    let text = goal.text.replace("{}", &goal.bound.to_string());
    Some(Verdict { workload: goal.workload, text, is, rounds, holds })
}
