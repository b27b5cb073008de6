//! How far a projection has come, for people and for lag tools.

use std::{collections::BTreeMap, time::Duration};

use domain::Timestamp;
use projections::{AnyProjection, Checkpoint};
use schemas::Topic;

use crate::{
    lag::{Lag, now, seconds_between},
    log::Ends,
    telemetry::{APPLIED, BATCH_RECORDS, LAG_RECORDS, LAG_SECONDS, PROJECTION_AGE, STAGE_SECONDS},
};

/// What is told about one projection.
pub(super) struct Progress {
    projection: &'static dyn AnyProjection,
    ends: Ends,
    lag: Lag,
    /// Where each partition was last known to stand, if it was. The log grows on while MySQL is away.
    stood: BTreeMap<i32, Option<Checkpoint>>,
}

impl Progress {
    pub(super) fn new(projection: &'static dyn AnyProjection, ends: Ends) -> Self {
        Self { projection, ends, lag: Lag::default(), stood: BTreeMap::new() }
    }

    /// Records, appended at those times, have been applied, which took so long.
    pub(super) fn applied(&self, appended: &[Timestamp], took: Duration) {
        if appended.is_empty() {
            return;
        }
        let (name, now) = (self.projection.name(), now());
        metrics::counter!(APPLIED, "projection" => name).increment(appended.len() as u64);
        let size = f64::from(u32::try_from(appended.len()).unwrap_or(u32::MAX));
        metrics::histogram!(BATCH_RECORDS, "stage" => "project", "projection" => name).record(size);
        metrics::histogram!(STAGE_SECONDS, "stage" => "project", "projection" => name).record(took);
        let age = metrics::histogram!(PROJECTION_AGE, "projection" => name);
        for appended in appended {
            age.record(seconds_between(*appended, now));
        }
    }

    /// Tells how far the partitions have come, those too of which that is not known.
    pub(super) fn tell<'a>(&mut self, at: impl Iterator<Item = (i32, Option<&'a Checkpoint>)>) {
        for (partition, checkpoint) in at {
            let stood = self.stood.entry(partition).or_default();
            *stood = checkpoint.cloned().or(stood.take());
        }
        for (partition, checkpoint) in std::mem::take(&mut self.stood) {
            if let Some(checkpoint) = &checkpoint {
                let behind = |topic: &Topic| {
                    self.ends.behind(topic.name, partition, checkpoint.next(topic.name))
                };
                let behind = self.projection.topics().iter().filter_map(behind).sum();
                self.gauges(partition, behind, checkpoint.appended);
            } else {
                let age = self.lag.seconds_unknown(partition);
                self.gauge(LAG_SECONDS, partition).set(age);
            }
            self.stood.insert(partition, checkpoint);
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
        let projection = self.projection.name();
        metrics::gauge!(metric, "projection" => projection, "partition" => partition.to_string())
    }
}
