//! One thread of the projector: polls, hands each partition's records to the engine, and starts
//! again from the checkpoints whenever it no longer knows where it stands.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use projections::{Batch, Checkpoint, Engine, EngineError, Extent, Logged, Share, Stop};
use tokio::{runtime::Handle, time::timeout};

use super::{Surroundings, progress::Progress, rest::Rest};
use crate::{
    faults,
    log::{Polled, Reader, group_of_projection},
    shutdown::Shutdown,
    telemetry::{PARTITION_STOPPED, RETRIES, VERSION_BREAKS},
};

/// Records taken in one poll, over all partitions.
const MOST: usize = 2000;
const WAIT: Duration = Duration::from_millis(100);
/// The least time between two transactions, unless the batch was a full one: under load a few
/// changes gather, and what a transaction costs is shared; after a rest the first is not delayed.
const PACE: Duration = Duration::from_millis(50);
/// How long MySQL may take over a batch; well below `max.poll.interval.ms`.
const ANSWER: Duration = Duration::from_secs(20);
/// Failures in a row after which the consumer itself is made anew.
const PATIENCE: u32 = 20;
/// Looks, over 6 s, before a partition is given up that seems to be ahead of its log.
const LOOKS: u32 = 6;

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
    let rest = Rest::new(&around.kafka, &group, around.ends.clone())?;
    let (engine, runtime) = (Arc::clone(engine), around.runtime.clone());
    let owned = BTreeMap::new();
    let (shutdown, failures, again) = (shutdown.clone(), 0, None);
    let mut worker =
        Worker { engine, runtime, shutdown, reader, owned, failures, again, progress, rest };
    while !worker.shutdown.requested() {
        worker.turn()?;
    }
    worker.progress.forget();
    Ok(())
}

struct Worker {
    engine: Arc<Engine>,
    runtime: Handle,
    shutdown: Shutdown,
    reader: Reader,
    owned: BTreeMap<i32, Standing>,
    failures: u32,
    /// When to take the partitions again, after a failure; until then nothing is read.
    again: Option<Instant>,
    progress: Progress,
    rest: Rest,
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

/// The partitions that are being read, and where they stand.
fn standing(owned: &BTreeMap<i32, Standing>) -> impl Iterator<Item = (i32, &Checkpoint)> {
    owned.iter().filter_map(|(partition, standing)| match standing {
        Standing::At(checkpoint) => Some((*partition, checkpoint)),
        Standing::Unknown | Standing::Stopped => None,
    })
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
            Ok(Polled::Records(records)) if records.is_empty() => {
                if self.again.is_none() {
                    self.attempt(Self::pass)?;
                }
            }
            Ok(Polled::Records(records)) => self.attempt(|worker| worker.apply(records))?,
            Err(error) => self.attempt(|_| Err(error))?,
        }
        self.progress.tell(&self.reader, standing(&self.owned));
        Ok(())
    }

    /// Moves the checkpoints over what holds no record.
    fn pass(&mut self) -> anyhow::Result<()> {
        let topics = self.engine.projection().topics();
        match self.rest.passable(topics, standing(&self.owned)) {
            Ok(passable) => {
                let moved = self.together(&passable)?;
                self.moved(moved);
            }
            // Nothing was touched, and it is looked at again in a second.
            Err(error) => tracing::debug!(error = format!("{error:#}"), "the end is not known"),
        }
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
        let looks_again = self.failures < LOOKS;
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
            match answered(&self.runtime, self.engine.take(*partition, &log)) {
                Ok(checkpoint) => {
                    let next = |topic: &str| checkpoint.next(topic);
                    from.extend(topics.iter().map(|t| ((t.name, *partition), next(t.name))));
                    *standing = Standing::At(checkpoint);
                }
                Err(EngineError::Refused(why)) if looks_again && why.may_pass() => {
                    return Err(why.into());
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
        let (began, full) = (Instant::now(), records.len() >= MOST);
        let batches = self.progress.split(records);
        match self.together(&batches) {
            Ok(moved) => self.moved(moved),
            Err(EngineError::Db(error)) => return Err(error.into()),
            // One of them cannot go on; which one shows when each is applied alone.
            Err(_) => self.one_by_one(batches)?,
        }
        faults::point("projector.after_mysql_commit");
        self.progress.applied(began.elapsed());
        if !full {
            self.shutdown.sleep(PACE.saturating_sub(began.elapsed()));
        }
        Ok(())
    }

    fn together(
        &self,
        batches: &BTreeMap<i32, Batch>,
    ) -> Result<Vec<(i32, Checkpoint)>, EngineError> {
        let share = |(partition, batch)| match self.owned.get(partition)? {
            Standing::At(believed) => Some(Share { partition: *partition, believed, batch }),
            // Nothing of it is read, so this is what was left in a queue.
            Standing::Unknown | Standing::Stopped => None,
        };
        let shares: Vec<Share<'_>> = batches.iter().filter_map(share).collect();
        answered(&self.runtime, self.engine.apply_together(&shares))
    }

    fn one_by_one(&mut self, batches: BTreeMap<i32, Batch>) -> anyhow::Result<()> {
        for (partition, mut batch) in batches {
            let Some(Standing::At(believed)) = self.owned.get(&partition) else { continue };
            match answered(&self.runtime, self.engine.apply(partition, believed, &batch)) {
                Ok(checkpoint) => self.moved([(partition, checkpoint)]),
                Err(EngineError::Stop(stop)) => {
                    batch.records.truncate(stop.place);
                    answered(&self.runtime, self.engine.apply(partition, believed, &batch))?;
                    self.count_break(&stop);
                    self.stop(partition, &stop);
                }
                Err(error) => return Err(error.into()),
            }
        }
        // The others go on from where they are; what was prefetched is read again.
        self.take()
    }

    fn moved(&mut self, to: impl IntoIterator<Item = (i32, Checkpoint)>) {
        let standing = |(partition, checkpoint)| (partition, Standing::At(checkpoint));
        self.owned.extend(to.into_iter().map(standing));
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

/// Waits for the engine, within bounds: who polls too late loses the partitions.
fn answered<T>(
    runtime: &Handle,
    step: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let step = runtime.block_on(async { timeout(ANSWER, step).await });
    step.unwrap_or(Err(EngineError::Db(projections::Error::Late)))
}
