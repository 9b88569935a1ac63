//! Whether a count is within its budget, and what grew if it is not.

use std::fmt::Write;

use super::profile::Profile;
use super::table::{Budget, Table, rustc};

/// A regression is more than this.
const MOST: f64 = 1.10;
/// So much less is an improvement that the next regression must not eat up unseen.
const LEAST: f64 = 0.85;
/// So many functions are told that grew.
const TOLD: usize = 10;

/// # Errors
/// What to tell whoever made the change.
pub fn judge(workload: &str, table: &Table, counted: &Profile) -> Result<(), String> {
    let again = format!("cargo test --release --test it budget::{workload} -- --nocapture");
    let keep = format!("UPDATE_BUDGETS=1 {again}");
    let Some(budget) = table.budget(workload) else {
        return Err(format!(
            "{workload} has no budget yet; this makes what it costs now the budget:\n  {keep}"
        ));
    };
    let ratio = counted.total() as f64 / budget.instructions as f64;
    let mut text = format!(
        "{workload}: {} instructions a request, its budget is {} (x {ratio:.3}).\n",
        counted.total(),
        budget.instructions
    );
    if ratio > MOST {
        _ = writeln!(text, "That is more than x {MOST}. What grew most since the budget was set:");
        text += &told(counted, budget, |now, then| now.saturating_sub(then), '+');
    } else if ratio < LEAST {
        _ = writeln!(
            text,
            "That is less than x {LEAST}: lower the budget. What shrank most since it was set:"
        );
        text += &told(counted, budget, |now, then| then.saturating_sub(now), '-');
    } else {
        return Ok(());
    }
    let compiler = rustc();
    if compiler != budget.rustc {
        _ = writeln!(
            text,
            "The budget was set with {}, this is {compiler}: that changes counts.",
            budget.rustc
        );
    }
    _ = writeln!(
        text,
        "again:        {again}\nwhole profile: scripts/profile {workload}\nif it is right: {keep}"
    );
    Err(text)
}

/// The functions that changed most; one that was not among the kept ones had nothing.
fn told(counted: &Profile, budget: &Budget, change: impl Fn(u64, u64) -> u64, sign: char) -> String {
    let then = Profile::of(budget.functions.iter().cloned());
    let mut names: Vec<&str> = counted.top(usize::MAX).into_iter().map(|it| it.0).collect();
    names.extend(budget.functions.iter().map(|it| &*it.0).filter(|it| counted.own(it) == 0));
    let mut changes: Vec<(u64, &str)> =
        names.into_iter().map(|it| (change(counted.own(it), then.own(it)), it)).collect();
    changes.sort_by(|a, b| b.cmp(a));
    let lines = changes.into_iter().take(TOLD).filter(|it| it.0 > 0);
    lines.fold(String::new(), |mut text, (by, name)| {
        _ = writeln!(text, "  {sign}{by:<8} {name} ({} -> {})", then.own(name), counted.own(name));
        text
    })
}

#[test]
fn more_than_the_budget_is_told_with_what_grew_and_much_less_asks_for_a_lower_one() {
    let was = [("log".to_owned(), 500), ("json".to_owned(), 400), ("sql".to_owned(), 100)];
    let table = Table::default().with("read", &Profile::of(was));
    let count = |log, json| {
        Profile::of([("log".to_owned(), log), ("json".to_owned(), json), ("sql".to_owned(), 100)])
    };
    assert_eq!(judge("read", &table, &count(590, 400)), Ok(()));
    assert_eq!(judge("read", &table, &count(500, 260)), Ok(()));
    let more = judge("read", &table, &count(560, 450)).unwrap_err();
    for wanted in [
        "read: 1110 instructions",
        "budget is 1000 (x 1.110)",
        "+60       log (500 -> 560)\n  +50       json (400 -> 450)",
        "--test it budget::read",
        "scripts/profile read",
    ] {
        assert!(more.contains(wanted), "{wanted}: {more}");
    }
    assert!(!more.contains("sql") && !more.contains("was set with"), "{more}");
    let less = judge("read", &table, &count(300, 400)).unwrap_err();
    assert!(less.contains("lower the budget") && less.contains("-200      log (500 -> 300)"), "{less}");
    assert!(judge("write", &table, &count(1, 1)).unwrap_err().contains("UPDATE_BUDGETS=1"));
}
