//! How far the index has come, for people and for lag tools.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use domain::Timestamp;
use projections::search::{PROJECTION, Written};
use schemas::CATALOG;

use super::following::Following;
use crate::{
    lag::{Lag, now, seconds_between},
    log::{Ends, Reader},
    telemetry::{
        APPLIED, BATCH_RECORDS, DOCUMENTS, LAG_RECORDS, LAG_SECONDS, PROJECTION_AGE, SEARCH_REFUSED,
    },
};

const EVERY: Duration = Duration::from_secs(1);

/// What is told about the index.
pub(super) struct Progress {
    version: String,
    ends: Ends,
    told: Instant,
    lag: Lag,
    /// Where each partition was last known to stand, if it was: its next offset, and when the record
    /// before it was appended. The log grows on while MySQL or OpenSearch is away.
    stood: BTreeMap<i32, Option<(i64, Timestamp)>>,
}

impl Progress {
    pub(super) fn new(version: i32, ends: Ends) -> Self {
        Self {
            version: version.to_string(),
            ends,
            told: Instant::now(),
            lag: Lag::default(),
            stood: BTreeMap::new(),
        }
    }

    /// Changes, appended at those times, are in the index and behind its checkpoint.
    pub(super) fn applied(&self, appended: &[Timestamp]) {
        metrics::counter!(APPLIED, "projection" => PROJECTION).increment(appended.len() as u64);
        let (now, age) = (now(), metrics::histogram!(PROJECTION_AGE, "projection" => PROJECTION));
        for &appended in appended {
            age.record(seconds_between(appended, now));
        }
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
        let topic = CATALOG.events.name;
        let mut applied = BTreeMap::new();
        for &partition in partitions {
            self.stood.entry(partition).or_default();
        }
        for (&partition, following) in owned {
            let next = following.at().next(topic);
            applied.insert((topic, partition), next);
            self.stood.insert(partition, Some((next, following.at().appended)));
        }
        for (partition, stood) in self.stood.clone() {
            if let Some((next, appended)) = stood {
                let behind = self.ends.behind(topic, partition, next).unwrap_or_default();
                self.gauges(partition, behind, appended);
            } else {
                let age = self.lag.seconds_unknown(partition);
                self.gauge(LAG_SECONDS, partition).set(age);
            }
        }
        if !applied.is_empty() {
            reader.report(&applied);
        }
    }

    fn gauges(&mut self, partition: i32, behind: i64, appended: Timestamp) {
        let age = self.lag.seconds(partition, behind, appended);
        let behind = f64::from(i32::try_from(behind).unwrap_or(i32::MAX));
        self.gauge(LAG_RECORDS, partition).set(behind);
        self.gauge(LAG_SECONDS, partition).set(age);
    }

    /// Tells of no partition any more.
    pub(super) fn forget(&mut self) {
        self.stood.clear();
        for partition in self.lag.forget() {
            self.gauge(LAG_RECORDS, partition).set(0);
            self.gauge(LAG_SECONDS, partition).set(0);
        }
    }

    fn gauge(&self, metric: &'static str, partition: i32) -> metrics::Gauge {
        let (version, partition) = (self.version.clone(), partition.to_string());
        metrics::gauge!(metric,
            "projection" => PROJECTION, "version" => version, "partition" => partition)
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
