//! One thread of the projector: polls, hands each partition's records to the engine, and starts
//! again from the checkpoints whenever it no longer knows where it stands.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use projections::{Batch, Checkpoint, Engine, EngineError, Extent, Logged, Stop};
use tokio::{runtime::Handle, task::JoinSet, time::timeout};

use super::{Surroundings, progress::Progress};
use crate::{
    faults,
    log::{Polled, Reader, group_of_projection},
    shutdown::Shutdown,
    telemetry::{PARTITION_STOPPED, RETRIES, VERSION_BREAKS},
};

/// Records taken in one poll, over all partitions.
const MOST: usize = 2000;
const WAIT: Duration = Duration::from_millis(100);
/// How long MySQL may take over a batch; well below `max.poll.interval.ms`.
const ANSWER: Duration = Duration::from_secs(20);
/// Failures in a row after which the consumer itself is made anew.
const PATIENCE: u32 = 20;

/// Feeds one projection until the shutdown.
pub(super) fn run(
    around: &Surroundings,
    engine: &Arc<Engine>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let projection = engine.projection();
    let group = group_of_projection(projection.name(), engine.version());
    let decoder = around.decoder.clone();
    let reader = Reader::subscribe(&around.kafka, &group, projection.topics(), decoder)?;
    let progress = Progress::new(projection, around.ends.clone());
    let (engine, runtime) = (Arc::clone(engine), around.runtime.clone());
    let owned = BTreeMap::new();
    let mut worker = Worker { engine, runtime, reader, owned, failures: 0, again: None, progress };
    while !shutdown.requested() {
        worker.turn()?;
    }
    worker.progress.forget();
    Ok(())
}

struct Worker {
    engine: Arc<Engine>,
    runtime: Handle,
    reader: Reader,
    owned: BTreeMap<i32, Standing>,
    failures: u32,
    /// When to take the partitions again, after a failure; until then nothing is read.
    again: Option<Instant>,
    progress: Progress,
}

/// Where a partition stands.
enum Standing {
    /// The checkpoint is to be read.
    Unknown,
    /// Applied up to here; the reader goes on from there.
    At(Checkpoint),
    /// A record cannot be applied. It is not read any further until it is assigned anew: only a
    /// person can tell whether the log or this build is at fault.
    Stopped,
}

impl Worker {
    fn turn(&mut self) -> anyhow::Result<()> {
        if self.again.is_some_and(|at| Instant::now() >= at) {
            self.again = None;
            self.attempt(Self::take)?;
        }
        match self.reader.poll(MOST, WAIT) {
            Ok(Polled::Assigned(partitions)) => {
                self.own(&partitions);
                self.attempt(Self::take)?;
            }
            Ok(Polled::Revoked) => self.own(&[]),
            Ok(Polled::Records(records)) if records.is_empty() => {}
            Ok(Polled::Records(records)) => self.attempt(|worker| worker.apply(records))?,
            Err(error) => self.attempt(|_| Err(error))?,
        }
        let at = self.owned.iter().filter_map(|(partition, standing)| match standing {
            Standing::At(checkpoint) => Some((*partition, checkpoint)),
            Standing::Unknown | Standing::Stopped => None,
        });
        self.progress.tell(&self.reader, at);
        Ok(())
    }

    fn own(&mut self, partitions: &[i32]) {
        for partition in self.owned.keys() {
            self.stopped(*partition).set(0);
        }
        self.progress.forget();
        self.owned = partitions.iter().map(|partition| (*partition, Standing::Unknown)).collect();
        self.again = None;
    }

    /// Does `step`. After a failure nothing is known any more, not even whether a commit took
    /// place: reading stops, and after a pause the checkpoints say where to go on. Meanwhile the
    /// group is kept alive by polling.
    fn attempt(
        &mut self,
        step: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Err(error) = step(self) else {
            self.failures = 0;
            return Ok(());
        };
        self.failures += 1;
        metrics::counter!(RETRIES, "reason" => "projection").increment(1);
        let (projection, error) = (self.engine.projection().name(), error.context("projecting"));
        tracing::warn!(projection, failures = self.failures, error = format!("{error:#}"));
        if self.failures >= PATIENCE {
            return Err(error);
        }
        self.reader.start(&BTreeMap::new())?;
        self.again = Some(Instant::now() + Duration::from_millis(100 << self.failures.min(5)));
        Ok(())
    }

    /// Reads the checkpoints of all partitions that may go on, and goes where they point.
    fn take(&mut self) -> anyhow::Result<()> {
        let topics = self.engine.projection().topics();
        let ids = self.reader.topic_ids()?;
        let mut from = BTreeMap::new();
        let mut refused = vec![];
        for (partition, standing) in &mut self.owned {
            if matches!(standing, Standing::Stopped) {
                continue;
            }
            let mut log = BTreeMap::new();
            for topic in topics {
                let topic_id = ids.get(topic.name).cloned().unwrap_or_default();
                let (start, end) = self.reader.bounds(topic.name, *partition)?;
                log.insert(topic.name.to_owned(), Extent { topic_id, start, end });
            }
            match self.runtime.block_on(self.engine.take(*partition, &log)) {
                Ok(checkpoint) => {
                    let next = |topic: &str| checkpoint.next(topic);
                    from.extend(topics.iter().map(|t| ((t.name, *partition), next(t.name))));
                    *standing = Standing::At(checkpoint);
                }
                Err(EngineError::Refused(why)) => refused.push((*partition, why)),
                Err(error) => return Err(error.into()),
            }
        }
        for (partition, why) in refused {
            self.stop(partition, &why);
        }
        self.reader.start(&from)
    }

    fn apply(&mut self, records: Vec<Logged>) -> anyhow::Result<()> {
        faults::point("projector.after_poll");
        let began = Instant::now();
        let mut applied = JoinSet::new();
        for (partition, records) in self.progress.split(records) {
            let Some(Standing::At(believed)) = self.owned.get(&partition) else { continue };
            let (engine, believed) = (Arc::clone(&self.engine), believed.clone());
            let step = async move {
                let step = step(&engine, partition, believed, records);
                (partition, timeout(ANSWER, step).await)
            };
            applied.spawn_on(step, &self.runtime);
        }
        let (mut stops, mut failure) = (vec![], None);
        while let Some(joined) = self.runtime.block_on(applied.join_next()) {
            match joined? {
                (partition, Ok(Ok(Applied { checkpoint, stop }))) => {
                    self.owned.insert(partition, Standing::At(checkpoint));
                    stops.extend(stop.map(|stop| (partition, stop)));
                }
                (_, Ok(Err(error))) => failure = Some(anyhow::Error::from(error)),
                (_, Err(late)) => failure = Some(late.into()),
            }
        }
        faults::point("projector.after_mysql_commit");
        if failure.is_none() {
            self.progress.applied(began.elapsed());
        }
        for (partition, stop) in &stops {
            self.count_break(stop);
            self.stop(*partition, stop);
        }
        match failure {
            Some(error) => Err(error),
            None if stops.is_empty() => Ok(()),
            // The others go on, from where they are; what was prefetched is read again.
            None => self.take(),
        }
    }

    fn stop(&mut self, partition: i32, why: &dyn std::error::Error) {
        let (projection, version) = (self.engine.projection().name(), self.engine.version());
        tracing::error!(projection, version, partition, %why, "the partition is stopped");
        self.stopped(partition).set(1);
        self.owned.insert(partition, Standing::Stopped);
    }

    fn stopped(&self, partition: i32) -> metrics::Gauge {
        let projection = self.engine.projection().name();
        metrics::gauge!(PARTITION_STOPPED,
            "projection" => projection, "partition" => partition.to_string())
    }

    fn count_break(&self, stop: &Stop) {
        let kind = match stop.fault {
            projections::Fault::Gap { .. } => "gap",
            projections::Fault::Doubled { .. } => "doubled",
            projections::Fault::Unknown(_) => return,
        };
        let projection = self.engine.projection().name();
        metrics::counter!(VERSION_BREAKS, "projection" => projection, "kind" => kind).increment(1);
    }
}

struct Applied {
    checkpoint: Checkpoint,
    stop: Option<Box<Stop>>,
}

/// Applies `records`, or, where one of them cannot be, all those before it.
async fn step(
    engine: &Engine,
    partition: i32,
    believed: Checkpoint,
    records: Vec<Logged>,
) -> Result<Applied, EngineError> {
    let mut batch = Batch { records, next: BTreeMap::new() };
    match engine.apply(partition, &believed, &batch).await {
        Ok(checkpoint) => Ok(Applied { checkpoint, stop: None }),
        Err(EngineError::Stop(stop)) => {
            batch.records.truncate(stop.place);
            let checkpoint = engine.apply(partition, &believed, &batch).await?;
            Ok(Applied { checkpoint, stop: Some(stop) })
        }
        Err(error) => Err(error),
    }
}
