//! How far the index has come, for people and for lag tools.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use projections::search::{PROJECTION, TOPICS, Written};
use schemas::CATALOG;

use super::following::Following;
use crate::{
    lag::LagGauges,
    log::{Ends, Reader},
    telemetry::{BATCH_RECORDS, DOCUMENTS, SEARCH_REFUSED},
};

const EVERY: Duration = Duration::from_secs(1);

/// What is told about the index.
pub(super) struct Progress {
    lag: LagGauges,
    told: Instant,
}

impl Progress {
    pub(super) fn new(version: i32, ends: Ends) -> Self {
        Self { lag: LagGauges::of(PROJECTION, version, TOPICS, ends), told: Instant::now() }
    }

    /// Tells, now and then, how far the partitions have come, those too that are not in `owned`.
    pub(super) fn tell(
        &mut self,
        reader: &Reader,
        partitions: &[i32],
        owned: &BTreeMap<i32, Following>,
    ) {
        if self.told.elapsed() < EVERY {
            return;
        }
        self.told = Instant::now();
        self.lag.tell(partitions.iter().map(|at| (*at, owned.get(at).map(Following::at))));
        let topic = CATALOG.events.name;
        let applied =
            owned.iter().map(|(&at, following)| ((topic, at), following.at().next(topic)));
        let applied: BTreeMap<_, _> = applied.collect();
        if !applied.is_empty() {
            reader.report(&applied);
        }
    }

    /// Tells of no partition any more.
    pub(super) fn forget(&mut self) {
        self.lag.forget();
    }
}

/// Documents went to the engine.
pub(super) fn sent(written: &[Written], retried: usize) {
    let size = f64::from(u32::try_from(written.len()).unwrap_or(u32::MAX));
    metrics::histogram!(BATCH_RECORDS, "stage" => "index").record(size);
    let count = |result: &'static str, many: usize| {
        metrics::counter!(DOCUMENTS, "result" => result).increment(many as u64);
    };
    count("written", written.iter().filter(|one| **one == Written::Indexed).count());
    count("newer", written.iter().filter(|one| **one == Written::Newer).count());
    count("retried", retried);
    let refused = written.iter().filter(|one| matches!(one, Written::Refused(_))).count();
    metrics::counter!(SEARCH_REFUSED).increment(refused as u64);
}
