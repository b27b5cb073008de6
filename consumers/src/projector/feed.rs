//! One projection among those that a worker feeds: where it stands, and what of a batch is for it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::Timestamp;
use projections::{Batch, Checkpoint, Engine, Logged, Part, Share, Stop};

use crate::{
    lag::{self, LagGauges},
    log::Ends,
    telemetry::{BATCH_RECORDS, PARTITION_STOPPED, RETRIES, STAGE_SECONDS, VERSION_BREAKS},
};

/// How long a partition waits that MySQL refuses to take.
const REST: Duration = Duration::from_secs(5);

/// A projection and its partitions.
pub(super) struct Feed {
    pub(super) engine: Arc<Engine>,
    owned: BTreeMap<i32, Standing>,
    lag: LagGauges,
}

/// Where a partition stands.
enum Standing {
    /// The checkpoint is to be read.
    Unknown,
    /// Applied up to here; the reader goes on from there, or from before it.
    At(Checkpoint),
    /// MySQL refuses what is to be written. It is tried again then; the others go on meanwhile.
    Resting(Instant),
    /// A record cannot be applied. It is not read any further until it is assigned anew: only a
    /// person can tell whether the log or this build is at fault.
    Stopped,
}

/// What of a poll is for one projection, by partition.
#[derive(Default)]
pub(super) struct Batches<'a> {
    of: BTreeMap<i32, Batch<'a>>,
}

impl Feed {
    pub(super) fn new(engine: &Arc<Engine>, ends: Ends) -> Self {
        let (projection, version) = (engine.projection(), engine.version());
        let lag = LagGauges::of(projection.name(), version, projection.topics(), ends);
        Self { engine: Arc::clone(engine), owned: BTreeMap::new(), lag }
    }

    /// These partitions are owned from now on.
    pub(super) fn own(&mut self, partitions: &[i32]) {
        // The worker before may have ended without letting go.
        for partition in self.owned.keys().chain(partitions) {
            self.stopped(*partition).set(0);
        }
        self.lag.forget();
        self.owned = partitions.iter().map(|partition| (*partition, Standing::Unknown)).collect();
    }

    /// Whether the partition is fed at all.
    pub(super) fn goes_on(&self, partition: i32) -> bool {
        match self.owned.get(&partition) {
            Some(Standing::Unknown | Standing::At(_)) => true,
            Some(Standing::Resting(until)) => Instant::now() >= *until,
            Some(Standing::Stopped) | None => false,
        }
    }

    /// Whether a partition has rested long enough.
    pub(super) fn is_due(&self) -> bool {
        let now = Instant::now();
        self.owned.values().any(|at| matches!(at, Standing::Resting(until) if now >= *until))
    }

    /// Leaves the partition alone for a while.
    pub(super) fn rest(&mut self, partition: i32, why: &dyn std::error::Error) {
        let (projection, version) = (self.engine.projection().name(), self.engine.version());
        metrics::counter!(RETRIES, "reason" => "projection").increment(1);
        tracing::error!(projection, version, partition, %why, "the partition waits");
        self.owned.insert(partition, Standing::Resting(Instant::now() + REST));
    }

    /// Somebody else has moved the partition: where it stands is to be read.
    pub(super) fn superseded(&mut self, partition: i32) {
        let projection = self.engine.projection().name();
        metrics::counter!(RETRIES, "reason" => "superseded").increment(1);
        tracing::debug!(projection, partition, "somebody else has moved it");
        self.owned.insert(partition, Standing::Unknown);
    }

    /// Nothing is known of where it stands any more.
    pub(super) fn forget_standing(&mut self) {
        for standing in self.owned.values_mut() {
            if matches!(standing, Standing::At(_)) {
                *standing = Standing::Unknown;
            }
        }
    }

    /// The partitions that are fed, and where they stand.
    pub(super) fn standing(&self) -> impl Iterator<Item = (i32, &Checkpoint)> {
        self.owned.iter().filter_map(|(partition, standing)| match standing {
            Standing::At(checkpoint) => Some((*partition, checkpoint)),
            Standing::Unknown | Standing::Resting(_) | Standing::Stopped => None,
        })
    }

    /// Where the partition stands, if it is fed.
    pub(super) fn at(&self, partition: i32) -> Option<Checkpoint> {
        self.standing().find(|(at, _)| *at == partition).map(|(_, checkpoint)| checkpoint.clone())
    }

    /// The next offset of each topic that is to be applied.
    pub(super) fn next(&self) -> impl Iterator<Item = ((&'static str, i32), i64)> {
        let topics = self.engine.projection().topics();
        self.standing().flat_map(move |(partition, at)| {
            topics.iter().map(move |topic| ((topic.name, partition), at.next(topic.name)))
        })
    }

    /// What of `records` it has not applied. Another projection may stand further back, and have
    /// them read again.
    pub(super) fn batches<'a>(&self, records: &'a [Logged]) -> Batches<'a> {
        let mut batches = Batches::default();
        let reads = |topic: &str| self.engine.projection().topics().iter().any(|t| t.name == topic);
        for logged in records {
            let Some(Standing::At(at)) = self.owned.get(&logged.partition) else { continue };
            if reads(&logged.topic) && logged.offset >= at.next(&logged.topic) {
                batches.of.entry(logged.partition).or_default().records.push(logged);
            }
        }
        batches
    }

    /// What it may pass over, because there is no record up to these offsets.
    pub(super) fn passing(&self, to: &BTreeMap<(&'static str, i32), i64>) -> Batches<'static> {
        let mut batches = Batches::default();
        for ((topic, partition), next) in self.next() {
            let end = to.get(&(topic, partition)).filter(|end| **end > next);
            if let Some(end) = end {
                let batch: &mut Batch<'_> = batches.of.entry(partition).or_default();
                batch.next.insert(topic.to_owned(), *end);
            }
        }
        batches
    }

    /// Its part of a transaction.
    pub(super) fn part<'a>(&'a self, batches: &'a Batches<'a>) -> Part<'a> {
        let share = |(partition, batch)| match self.owned.get(partition)? {
            Standing::At(believed) => Some(Share { partition: *partition, believed, batch }),
            Standing::Unknown | Standing::Resting(_) | Standing::Stopped => None,
        };
        Part { engine: &self.engine, shares: batches.of.iter().filter_map(share).collect() }
    }

    /// Notes where partitions stand.
    pub(super) fn moved(&mut self, to: impl IntoIterator<Item = (i32, Checkpoint)>) {
        let standing = |(partition, checkpoint)| (partition, Standing::At(checkpoint));
        self.owned.extend(to.into_iter().map(standing));
    }

    /// Feeds the partition no more.
    pub(super) fn stop(&mut self, partition: i32, why: &dyn std::error::Error) {
        let (projection, version) = (self.engine.projection().name(), self.engine.version());
        tracing::error!(projection, version, partition, %why, "the partition is stopped");
        self.stopped(partition).set(1);
        self.owned.insert(partition, Standing::Stopped);
    }

    fn stopped(&self, partition: i32) -> metrics::Gauge {
        let (projection, version) = (self.engine.projection().name(), self.engine.version());
        let (version, partition) = (version.to_string(), partition.to_string());
        metrics::gauge!(PARTITION_STOPPED,
            "projection" => projection, "version" => version, "partition" => partition)
    }

    pub(super) fn count_break(&self, stop: &Stop) {
        let kind = match stop.fault {
            projections::Fault::Gap { .. } => "gap",
            projections::Fault::Doubled { .. } => "doubled",
            projections::Fault::Unknown(_) => return,
        };
        let projection = self.engine.projection().name();
        metrics::counter!(VERSION_BREAKS, "projection" => projection, "kind" => kind).increment(1);
    }

    /// Tells of records, appended at those times, that were applied, which took so long.
    pub(super) fn applied(&self, appended: &[Timestamp], took: Duration) {
        if appended.is_empty() {
            return;
        }
        let name = self.engine.projection().name();
        lag::applied(name, appended);
        let size = f64::from(u32::try_from(appended.len()).unwrap_or(u32::MAX));
        metrics::histogram!(BATCH_RECORDS, "stage" => "project", "projection" => name).record(size);
        metrics::histogram!(STAGE_SECONDS, "stage" => "project", "projection" => name).record(took);
    }

    /// Tells how far its partitions have come.
    pub(super) fn tell(&mut self) {
        let standing = self.owned.iter().map(|(partition, standing)| match standing {
            Standing::At(checkpoint) => (*partition, Some(checkpoint)),
            Standing::Unknown | Standing::Resting(_) | Standing::Stopped => (*partition, None),
        });
        self.lag.tell(standing);
    }
}

impl<'a> Batches<'a> {
    /// Each partition's by itself.
    pub(super) fn apart(self) -> impl Iterator<Item = (i32, Batch<'a>)> {
        self.of.into_iter()
    }

    /// When its records were appended.
    pub(super) fn appended(&self) -> Vec<Timestamp> {
        self.of.values().flat_map(|batch| &batch.records).map(|logged| logged.appended).collect()
    }
}
