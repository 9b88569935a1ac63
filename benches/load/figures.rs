//! What was measured: figures by workload, part of it, and target, one for each round.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::drive::Drove;
use crate::rig::percentile;

/// The figures of one measurement, by name.
pub type Figures = BTreeMap<&'static str, f64>;

/// One measurement.
pub struct Row {
    pub workload: &'static str,
    pub part: &'static str,
    pub target: &'static str,
    pub round: usize,
    pub figures: Figures,
}

/// All measurements.
#[derive(Default)]
pub struct Results(Vec<Row>);

impl Results {
    /// Adds one, and tells it.
    pub fn add(&mut self, row: Row) {
        let told: Vec<String> =
            row.figures.iter().map(|(name, value)| format!("{name} {value:.1}")).collect();
        println!("{} {} {} {}: {}", row.workload, row.part, row.target, row.round, told.join(", "));
        self.0.push(row);
    }

    /// What the rounds gave for one figure.
    pub fn rounds(&self, workload: &str, part: &str, target: &str, figure: &str) -> Vec<f64> {
        let rows = self.0.iter().filter(|it| (it.workload, it.part, it.target) == (workload, part, target));
        rows.filter_map(|it| it.figures.get(figure).copied()).collect()
    }

    /// The parts of a workload, in the order in which they were measured.
    pub fn parts(&self, workload: &str) -> Vec<&'static str> {
        let mut parts = Vec::new();
        for row in self.0.iter().filter(|it| it.workload == workload) {
            if !parts.contains(&row.part) {
                parts.push(row.part);
            }
        }
        parts
    }

    /// Every measurement.
    pub fn to_json(&self) -> String {
        let rows: Vec<Value> = self.0.iter().map(|it| json!({ "workload": it.workload, "part": it.part, "target": it.target, "round": it.round, "figures": it.figures })).collect();
        format!("{:#}\n", Value::Array(rows))
    }
}

/// Requests a second, latencies in microseconds, and answers that were not 2xx.
pub fn of(drove: &Drove) -> Figures {
    let mut took: Vec<f64> = drove.samples.iter().map(|it| f64::from(it.took_us)).collect();
    let failed = drove.samples.iter().filter(|it| it.status / 100 != 2).count() as f64;
    let mut figures = Figures::from([
        ("rps", drove.samples.len() as f64 / drove.secs),
        ("failed", failed + drove.broken as f64),
        ("secs", drove.secs),
    ]);
    if !took.is_empty() {
        figures.insert("p50_us", percentile(&mut took, 0.5));
        figures.insert("p99_us", percentile(&mut took, 0.99));
    }
    figures
}
