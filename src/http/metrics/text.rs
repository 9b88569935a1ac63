//! Families of metrics, put together and written.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use crate::error::{Error, Result};
use crate::model::tally::Times;

/// Families that are being put together.
#[derive(Default)]
pub(super) struct Families(Vec<MetricFamily>);

/// One family.
pub(super) struct Family {
    kind: MetricType,
    family: MetricFamily,
    metrics: Vec<Metric>,
}

/// The names of some labels and their values.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Families {
    pub(super) fn add(&mut self, family: Family) {
        let Family { mut family, metrics, .. } = family;
        // A family without a metric is not told at all.
        if !metrics.is_empty() {
            family.set_metric(metrics);
            self.0.push(family);
        }
    }

    pub(super) fn text(self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.0, &mut text).map_err(Error::internal)?;
        Ok(text)
    }
}

impl Family {
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Family::new(name, help, MetricType::COUNTER)
    }

    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Family::new(name, help, MetricType::GAUGE)
    }

    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Family::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Family { kind, family, metrics: Vec::new() }
    }

    /// One value of a counter or gauge.
    pub(super) fn value(&mut self, labels: Labels, value: f64) {
        let mut metric = labelled(labels);
        match self.kind {
            MetricType::COUNTER => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            _ => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.metrics.push(metric);
    }

    /// One histogram.
    pub(super) fn times(&mut self, labels: Labels, times: &Times) {
        let buckets = times.below.iter().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(times.count);
        histogram.set_sample_sum(times.sum_s);
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        self.metrics.push(metric);
    }
}

fn labelled(labels: Labels) -> Metric {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    let mut metric = Metric::default();
    metric.set_label(pairs.collect());
    metric
}
