//! How far a projection has come, for people and for lag tools.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use domain::Timestamp;
use projections::{AnyProjection, Batch, Checkpoint, Logged};

use super::now;
use crate::{
    log::{Ends, Reader},
    telemetry::{APPLIED, BATCH_RECORDS, LAG_RECORDS, LAG_SECONDS, PROJECTION_AGE, STAGE_SECONDS},
};

const EVERY: Duration = Duration::from_secs(1);

/// What is told about one projection.
pub(super) struct Progress {
    projection: &'static dyn AnyProjection,
    ends: Ends,
    told: Instant,
    /// When each partition was last seen with nothing left to apply.
    level: BTreeMap<i32, Timestamp>,
    /// The records of the batch that is being applied: how many, and when they were appended.
    applying: Vec<Timestamp>,
}

impl Progress {
    pub(super) fn new(projection: &'static dyn AnyProjection, ends: Ends) -> Self {
        let (told, level) = (Instant::now(), BTreeMap::new());
        Self { projection, ends, told, level, applying: vec![] }
    }

    /// Splits a poll's records by partition.
    pub(super) fn split(&mut self, records: Vec<Logged>) -> BTreeMap<i32, Batch> {
        self.applying = records.iter().map(|logged| logged.appended).collect();
        let mut split: BTreeMap<i32, Batch> = BTreeMap::new();
        for logged in records {
            split.entry(logged.partition).or_default().records.push(logged);
        }
        split
    }

    /// What was split has been applied, which took so long.
    pub(super) fn applied(&mut self, took: Duration) {
        let (name, now) = (self.projection.name(), now());
        metrics::counter!(APPLIED, "projection" => name).increment(self.applying.len() as u64);
        let size = f64::from(u32::try_from(self.applying.len()).unwrap_or(u32::MAX));
        metrics::histogram!(BATCH_RECORDS, "stage" => "project", "projection" => name).record(size);
        metrics::histogram!(STAGE_SECONDS, "stage" => "project", "projection" => name).record(took);
        let age = metrics::histogram!(PROJECTION_AGE, "projection" => name);
        for appended in self.applying.drain(..) {
            age.record(seconds(appended, now));
        }
    }

    /// Tells, now and then, how far the partitions have come.
    pub(super) fn tell<'a>(
        &mut self,
        reader: &Reader,
        at: impl Iterator<Item = (i32, &'a Checkpoint)>,
    ) {
        if self.told.elapsed() < EVERY {
            return;
        }
        self.told = Instant::now();
        let mut applied = BTreeMap::new();
        for (partition, checkpoint) in at {
            let mut behind = 0;
            for topic in self.projection.topics() {
                let next = checkpoint.next(topic.name);
                applied.insert((topic.name, partition), next);
                behind += self.ends.behind(topic.name, partition, next).unwrap_or_default();
            }
            self.lag(partition, behind, checkpoint.appended);
        }
        if !applied.is_empty() {
            reader.report(&applied);
        }
    }

    fn lag(&mut self, partition: i32, behind: i64, appended: Timestamp) {
        let (now, level) = (now(), self.level.entry(partition).or_default());
        if behind == 0 {
            *level = now;
        }
        // What is not applied was appended after the last record applied, and after the partition
        // was last level with the log.
        let age = if behind == 0 { 0.0 } else { seconds(appended.max(*level), now) };
        let behind = f64::from(i32::try_from(behind).unwrap_or(i32::MAX));
        self.gauge(LAG_RECORDS, partition).set(behind);
        self.gauge(LAG_SECONDS, partition).set(age);
    }

    /// Tells of no partition any more.
    pub(super) fn forget(&mut self) {
        for partition in std::mem::take(&mut self.level).into_keys() {
            self.gauge(LAG_RECORDS, partition).set(0);
            self.gauge(LAG_SECONDS, partition).set(0);
        }
    }

    fn gauge(&self, metric: &'static str, partition: i32) -> metrics::Gauge {
        let projection = self.projection.name();
        metrics::gauge!(metric, "projection" => projection, "partition" => partition.to_string())
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    let millis = to.0.saturating_sub(from.0).max(0);
    Duration::from_millis(millis.unsigned_abs()).as_secs_f64()
}
