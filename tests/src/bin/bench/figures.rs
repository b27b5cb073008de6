//! Medians, spreads and processor time.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use hdrhistogram::Histogram;
use tests::{Fleet, Role, Stack};

/// What repeated measuring of one thing gave.
#[derive(Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    /// What was not met in a repeat was met no times there.
    pub(crate) fn fill_up(&mut self, repeats: usize) {
        while self.0.len() < repeats {
            self.add(0.0);
        }
    }

    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Median, then smallest and largest.
    pub(crate) fn told(&self) -> String {
        let (Some(min), Some(max)) = (self.0.first(), self.0.last()) else { return String::new() };
        format!("{:>9.1}  ({min:.1} - {max:.1})", self.median())
    }
}

/// One line of the report: ours, the limit, and how many times the limit ours is.
pub(crate) fn line(what: &str, ours: &Figures, limit: &Figures) {
    let ratio = ours.median() / limit.median();
    println!("{what:<34}{:<30}{:<30}{ratio:>6.2}", ours.told(), limit.told());
}

/// One line of the report that has no limit of its own.
pub(crate) fn alone(what: &str, ours: &Figures) {
    println!("{what:<34}{}", ours.told());
}

/// The head of a table.
pub(crate) fn head(title: &str) {
    println!("\n{title:<34}{:<30}{:<30}{:>6}", "  median  (min - max)", "  raw limit", "ratio");
}

/// Latencies of one run.
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Histogram::new(3)?))
    }

    pub(crate) fn add(&mut self, took: Duration) -> Result<()> {
        Ok(self.0.record(u64::try_from(took.as_micros())?)?)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        usize::try_from(self.0.len()).unwrap_or(usize::MAX)
    }

    /// The latency in milliseconds below which `share` of all lie.
    pub(crate) fn at(&self, share: f64) -> f64 {
        Duration::from_micros(self.0.value_at_quantile(share)).as_secs_f64() * 1_000.0
    }
}

/// Processor time of every process so far, ours and the servers'.
pub(crate) fn processor_times(
    fleet: &mut Fleet,
    stack: &Stack,
) -> Result<BTreeMap<String, Duration>> {
    let mut times = stack.processor_times()?;
    for role in Role::ALL {
        // A case may do without a role.
        let Ok(process) = fleet.process(role) else { continue };
        if process.ended()?.is_none() {
            times.insert(role.binary().to_owned(), process.processor_time()?);
        }
    }
    Ok(times)
}

/// Tells what each process spent on an item since `before`.
pub(crate) fn tell_processor_time(
    before: &BTreeMap<String, Duration>,
    after: &BTreeMap<String, Duration>,
    items: usize,
) {
    let each = f64::from(u32::try_from(items.max(1)).unwrap_or(u32::MAX));
    let mut parts = Vec::new();
    for (name, time) in after {
        let spent = time.saturating_sub(before.get(name).copied().unwrap_or_default());
        parts.push(format!("{name} {:.0}", spent.as_secs_f64() * 1e6 / each));
    }
    println!("CPU per item, microseconds: {}", parts.join(", "));
}
