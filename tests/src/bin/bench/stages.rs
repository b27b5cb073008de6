//! Where the time of a command goes, by the metrics of who had it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use tests::{Fleet, Role};

/// What is looked at: the metric, the label that tells its series apart, and who has it.
const METRICS: [(&str, &str, Role); 5] = [
    ("jangbu_http_request_seconds", "route", Role::Api),
    ("jangbu_stage_seconds", "stage", Role::Api),
    ("jangbu_command_waited_seconds", "lane", Role::Handler),
    ("jangbu_stage_seconds", "stage", Role::Handler),
    ("jangbu_batch_records", "stage", Role::Handler),
];

/// Sum and count of each series so far.
pub(crate) struct Stages(BTreeMap<(usize, String), (f64, f64)>);

impl Stages {
    pub(crate) async fn read(fleet: &Fleet) -> Result<Self> {
        let mut all = BTreeMap::<_, (f64, f64)>::new();
        for (at, (metric, label, role)) in METRICS.iter().enumerate() {
            // The api has them where it answers.
            let own = format!("{}/metrics", fleet.base());
            let address = fleet.metrics(*role).unwrap_or(&own);
            let text = reqwest::get(address).await?.error_for_status()?.text().await?;
            for line in text.lines() {
                let Some((name, rest)) = line.split_once('{') else { continue };
                let Some(series) = labelled(rest, label) else { continue };
                let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
                let value = value.with_context(|| line.to_owned())?;
                let entry = all.entry((at, series.to_owned()));
                match name.strip_prefix(metric) {
                    Some("_sum") => entry.or_default().0 += value,
                    Some("_count") => entry.or_default().1 += value,
                    _ => {}
                }
            }
        }
        Ok(Self(all))
    }

    /// The mean of each series since `before`, a line for each metric.
    pub(crate) fn since(&self, before: &Self) -> Vec<String> {
        let mut lines = vec![];
        for (at, (metric, _, role)) in METRICS.iter().enumerate() {
            let (unit, times) =
                if metric.ends_with("_seconds") { (" ms", 1_000.0) } else { ("", 1.0) };
            let mut parts = vec![];
            for ((_, series), (sum, count)) in self.0.iter().filter(|((of, _), _)| *of == at) {
                let was = before.0.get(&(at, series.clone())).copied().unwrap_or_default();
                let (sum, count) = (sum - was.0, count - was.1);
                if count > 0.0 {
                    parts.push(format!("{series} {:.2}{unit} x {count:.0}", sum / count * times));
                }
            }
            lines.push(format!("{}, {metric}, mean x count: {}", role.binary(), parts.join(", ")));
        }
        lines
    }
}

fn labelled<'l>(labels: &'l str, label: &str) -> Option<&'l str> {
    labels.split_once(&format!("{label}=\""))?.1.split('"').next()
}
