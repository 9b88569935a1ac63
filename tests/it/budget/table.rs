//! `budgets.txt`: the budget of each workload, and below it the functions that made the most of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::profile::Profile;

/// So many functions are kept of each workload.
const KEPT: usize = 40;

const HEAD: &str = "\
# Instructions of one request, by workload; indented: the functions with the most of their own.
# Made by `UPDATE_BUDGETS=1 cargo test --release --test it budget`; see CONTRIBUTING.md.
";

/// What a workload may cost.
#[derive(Debug, PartialEq)]
pub struct Budget {
    pub instructions: u64,
    /// The compiler it was measured with.
    pub rustc: String,
    pub functions: Vec<(String, u64)>,
}

/// The budgets of all workloads.
#[derive(Debug, Default, PartialEq)]
pub struct Table(BTreeMap<String, Budget>);

impl Table {
    pub fn read(file: &Path) -> Self {
        Table::parse(&std::fs::read_to_string(file).unwrap_or_default())
    }

    pub fn write(&self, file: &Path) {
        std::fs::write(file, self.text()).unwrap();
    }

    pub fn budget(&self, workload: &str) -> Option<&Budget> {
        self.0.get(workload)
    }

    /// The same with another budget for a workload.
    pub fn with(mut self, workload: &str, counted: &Profile) -> Self {
        let functions = counted.top(KEPT).into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
        let budget = Budget { instructions: counted.total(), rustc: rustc(), functions };
        self.0.insert(workload.to_owned(), budget);
        self
    }

    fn parse(text: &str) -> Self {
        let mut table = Table::default();
        let mut last = None;
        for line in text.lines().filter(|it| !it.is_empty() && !it.starts_with('#')) {
            let row = |line: &str| {
                let (count, rest) = line.trim_start().split_once(' ')?;
                Some((rest.to_owned(), count.parse().ok()?))
            };
            if line.starts_with(' ') {
                let budget = last.as_ref().and_then(|it| table.0.get_mut(it));
                budget.unwrap().functions.extend(row(line));
                continue;
            }
            let mut words = line.splitn(3, ' ');
            let name = words.next().unwrap_or_default().to_owned();
            let instructions = words.next().and_then(|it| it.parse().ok()).unwrap();
            let rustc = words.next().unwrap_or_default().to_owned();
            table.0.insert(name.clone(), Budget { instructions, rustc, functions: Vec::new() });
            last = Some(name);
        }
        table
    }

    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, budget) in &self.0 {
            _ = writeln!(text, "\n{name} {} {}", budget.instructions, budget.rustc);
            for (function, count) in &budget.functions {
                _ = writeln!(text, "{count:>8} {function}");
            }
        }
        text
    }
}

/// The compiler of this build.
pub fn rustc() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let told = Command::new(rustc).arg("--version").output();
    told.map_or_else(
        |_| "rustc unknown".to_owned(),
        |it| String::from_utf8_lossy(&it.stdout).trim().to_owned(),
    )
}

#[test]
fn a_table_is_read_as_it_was_written() {
    let counted = Profile::of([("a::b".to_owned(), 300), ("<T as c>::d e".to_owned(), 50)]);
    let table = Table::default().with("one", &counted).with("two", &Profile::of([("f".to_owned(), 7)]));
    assert_eq!(Table::parse(&table.text()), table);
    assert_eq!(table.budget("one").unwrap().instructions, 350);
}
