//! The page of a run: machine, tables, goals.

use std::path::Path;

use super::figures::Results;
use super::goals::{self, Verdict};
use super::options::Options;
use super::targets::Target;
use crate::rig::spread;

/// What stands before and behind the block of a page that is replaced.
const MARKS: (&str, &str) = ("<!-- load: begin -->", "<!-- load: end -->");

/// A workload as the page tells it.
struct Told {
    workload: &'static str,
    title: &'static str,
    /// Heading, figure, digits.
    columns: &'static [(&'static str, &'static str, usize)],
}

const CLOSED: &[(&str, &str, usize)] = &[
    ("req/s", "rps", 0),
    ("CPU us a request", "cpu_us", 1),
    ("p50 us", "p50_us", 0),
    ("p99 us", "p99_us", 0),
    ("failed", "failed", 0),
];

const TOLD: &[Told] = &[
    Told { workload: "W1", title: "GET of one clip, no hooks", columns: CLOSED },
    Told {
        workload: "W2",
        title: "W1 with a hook before the request (method, path, a header, a counter) and one after it (sets a header)",
        columns: CLOSED,
    },
    Told {
        workload: "W3",
        title: "POST of a clip whose hook adds a tag and metadata; committed before the answer",
        columns: CLOSED,
    },
    Told {
        workload: "W4",
        title: "Start and end of a recording, with a hook each that stores an event; a request is a start or an end",
        columns: CLOSED,
    },
    Told {
        workload: "W5",
        title: "500 GETs a second, alone and beside POSTs on 8 connections whose hook computes for 1 ms",
        columns: &[
            ("p50 us", "p50_us", 0),
            ("p99 us", "p99_us", 0),
            ("POSTs/s", "posts", 0),
            ("failed", "failed", 0),
        ],
    },
    Told {
        workload: "W6",
        title: "GETs at once whose hook sleeps 1 s, until all are answered; the plugin asks for `limits.in_flight: 2000`",
        columns: &[("s", "secs", 3), ("failed", "failed", 0)],
    },
    Told {
        workload: "W7",
        title: "Start with new plugins that hardly do anything, over a database that has its tables: from the command to the first answer; memory 2 s later",
        columns: &[
            ("first answer ms", "first_ms", 0),
            ("resident MiB", "rss_mib", 1),
            ("proportional MiB", "pss_mib", 1),
        ],
    },
    Told {
        workload: "overload",
        title: "POSTs whose hook computes for 1 ms: closed loop, then ten times as many in an open loop for 10 s",
        columns: &[
            ("offered/s", "offered", 0),
            ("answered 2xx/s", "rps", 0),
            ("p50 us", "p50_us", 0),
            ("p99 us", "p99_us", 0),
            ("refused/s", "refused", 0),
            ("refusal p99 ms", "refused_p99_ms", 1),
            ("refusal worst ms", "refused_max_ms", 1),
            ("other answers", "wrong", 0),
            ("admin worst ms", "admin_max_ms", 1),
            ("admin failed", "admin_failed", 0),
        ],
    },
];

/// The whole page in markdown.
pub fn page(machine: &str, options: &Options, targets: &[Box<dyn Target>], results: &Results) -> String {
    let (rounds, seconds) = (options.rounds, options.each.as_secs_f64());
    let mut page = format!(
        "{machine}\n{} connections, {seconds} s each, medians [least..most] of {rounds} interleaved rounds.\n\n",
        options.connections
    );
    for target in targets {
        page += &format!("- `{}`: {}\n", target.name(), target.about());
    }
    page += &verdicts(&goals::verdicts(results));
    for told in TOLD.iter().filter(|it| options.workloads.contains(&it.workload)) {
        page += &table(told, targets, results);
    }
    page
}

fn verdicts(verdicts: &[Verdict]) -> String {
    let mut text = String::from("\n| goal | | is | |\n|---|---|---|---|\n");
    for it in verdicts {
        let holds = if it.holds { "holds" } else { "**missed**" };
        text += &format!("| {} | {} | {} | {holds} |\n", it.workload, it.text, shown(it));
    }
    text
}

/// The median, and of several rounds the least and the most.
fn shown(it: &Verdict) -> String {
    let (least, most) = it.rounds.iter().fold((f64::MAX, f64::MIN), |(a, b), it| (a.min(*it), b.max(*it)));
    match it.rounds.len() {
        1 => short(it.is),
        _ => format!("{} [{}..{}]", short(it.is), short(least), short(most)),
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value {
        it if it >= 100.0 => format!("{it:.0}"),
        it if it >= 10.0 => format!("{it:.1}"),
        it => format!("{it:.2}"),
    }
}

fn table(told: &Told, targets: &[Box<dyn Target>], results: &Results) -> String {
    let parts = results.parts(told.workload);
    let is_divided = parts.len() > 1;
    let headings: Vec<&str> = told.columns.iter().map(|it| it.0).collect();
    let part = if is_divided { " | " } else { "" };
    let mut text =
        format!("\n**{}** {}.\n\n| {part}| {} |\n|---", told.workload, told.title, headings.join(" | "));
    text += &"|---".repeat(told.columns.len() + usize::from(is_divided));
    text += "|\n";
    for target in targets {
        for part in &parts {
            let cell = |(_, figure, digits): &(&str, &str, usize)| {
                let rounds = results.rounds(told.workload, part, target.name(), figure);
                if rounds.is_empty() { String::new() } else { spread(rounds, *digits) }
            };
            let cells: Vec<String> = told.columns.iter().map(cell).collect();
            if cells.iter().all(String::is_empty) {
                continue;
            }
            let part = if is_divided { format!("{part} | ") } else { String::new() };
            text += &format!("| {} | {part}{} |\n", target.name(), cells.join(" | "));
        }
    }
    text
}

/// Replaces the block between the marks of a page.
pub fn replace(path: &Path, page: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let (head, rest) =
        text.split_once(MARKS.0).unwrap_or_else(|| panic!("{} has no {}", path.display(), MARKS.0));
    let (_, tail) =
        rest.split_once(MARKS.1).unwrap_or_else(|| panic!("{} has no {}", path.display(), MARKS.1));
    std::fs::write(path, format!("{head}{}\n{page}{}{tail}", MARKS.0, MARKS.1)).unwrap();
}
