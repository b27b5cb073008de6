//! Medians, spreads and processor time.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tests::{Fleet, Role, Stack};

/// What repeated measuring of one thing gave.
#[derive(Default)]
pub(crate) struct Figures(Vec<f64>);

/// The middle one of several figures, the smallest and the largest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Figures {
    /// What was measured once.
    pub(crate) fn once(figure: f64) -> Self {
        Self(vec![figure])
    }

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

    /// Nothing where a repeat had no figure.
    pub(crate) fn spread(&self) -> Option<Spread> {
        let (&min, &max) = (self.0.first()?, self.0.last()?);
        let median = self.0[self.0.len() / 2];
        self.0.iter().all(|figure| figure.is_finite()).then_some(Spread { median, min, max })
    }
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

/// The p50 and the p99 of one thing, in milliseconds.
#[derive(Default)]
pub(crate) struct Pair(pub(crate) [Figures; 2]);

impl Pair {
    pub(crate) fn add(&mut self, latencies: &Latencies) {
        let [p50, p99] = &mut self.0;
        p50.add(latencies.at(0.5));
        p99.add(latencies.at(0.99));
    }
}

/// Processor time of every process so far, ours and the servers'.
pub(crate) type Times = BTreeMap<String, Duration>;

/// Reads it.
pub(crate) fn processor_times(fleet: &mut Fleet, stack: &Stack) -> Result<Times> {
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

/// What each process spent on an item since `before`.
pub(crate) fn spent(before: &Times, after: &Times, items: usize) -> String {
    let each = f64::from(u32::try_from(items.max(1)).unwrap_or(u32::MAX));
    let mut parts = Vec::new();
    for (name, time) in after {
        let spent = time.saturating_sub(before.get(name).copied().unwrap_or_default());
        parts.push(format!("{name} {:.0}", spent.as_secs_f64() * 1e6 / each));
    }
    format!("processor time per item, microseconds: {}", parts.join(", "))
}

/// The most memory that each of our processes has had.
pub(crate) fn memory(fleet: &mut Fleet) -> Result<String> {
    let mut parts = vec![];
    for role in Role::ALL {
        let Ok(process) = fleet.process(role) else { continue };
        parts.push(format!("{} {}", role.binary(), process.memory_peak()? >> 20));
    }
    Ok(format!("memory at most, MiB: {}", parts.join(", ")))
}
