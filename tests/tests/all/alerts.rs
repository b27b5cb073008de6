//! What the alert rules name is there: metrics in the sources, sections in the runbook.

use std::{collections::BTreeSet, fs};

use anyhow::{Result, ensure};
use tests::stack::root;

pub(crate) fn alerts_name_what_there_is() -> Result<()> {
    let read = |path: &str| fs::read_to_string(root().join(path));
    let rules = read("deploy/observability/alerts.yaml")?;
    let names = read("consumers/src/telemetry/names.rs")?;
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let metrics: BTreeSet<&str> =
        rules.split(|c| !is_name(c)).filter(|word| word.starts_with("jangbu_")).collect();
    ensure!(metrics.len() > 4, "only {metrics:?} were found");
    for metric in metrics {
        let metric = metric.trim_end_matches("_bucket");
        ensure!(names.contains(&format!("\"{metric}\"")), "there is no metric {metric}");
    }
    let page = read("docs/reliability.md")?;
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let anchors: Vec<String> =
        headings.map(|heading| heading.to_lowercase().replace(' ', "-")).collect();
    for line in rules.lines().filter(|line| line.contains("runbook:")) {
        let anchor = line.rsplit('#').next().unwrap_or_default();
        ensure!(anchors.iter().any(|known| known == anchor), "there is no section {anchor}");
    }
    Ok(())
}
