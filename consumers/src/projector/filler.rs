//! Fills a version of a projection that nobody reads yet. Reading, decoding and folding go on while
//! others write what was folded; the more MySQL is the slower of the two, the more is folded before
//! it is written, and what many records changed is written once.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use projections::{AnyProjection, Batch, Engine, EngineError, Filling, Logged, Version, version};
use tokio::{
    runtime::{Handle, Runtime},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Surroundings,
    pace::Pace,
    rest::Rest,
    surroundings,
    worker::{ANSWER, answered, extents},
};
use crate::{
    config::Config,
    faults,
    log::{Polled, Reader, group_of_projections},
    needed,
    shutdown::Shutdown,
    telemetry::RETRIES,
};

const WAIT: Duration = Duration::from_millis(100);
/// Transactions under way at a time, each of another partition.
const WRITERS: usize = 2;
/// So many bytes of changes are worth a transaction, while more is to be read.
const ENOUGH: usize = 16 << 20;
/// How long a partition may stand behind what was folded of it.
const LATEST: Duration = Duration::from_secs(2);
/// So many of a partition are not made more before they are written: as one transaction they would
/// take MySQL longer than [`ANSWER`] some day.
const MUCH: usize = 4 * ENOUGH;
/// Bytes of states that are kept, about; each takes some three times as much in memory.
const MOST: usize = 192 << 20;

/// What is to be filled.
pub struct Job {
    /// The projection.
    pub projection: &'static dyn AnyProjection,
    /// The version of it.
    pub version: i32,
    /// Records in a second, at most.
    pub throttle: Option<NonZeroU32>,
    /// The partitions; none for those that the group gives to this process.
    pub partitions: Option<Vec<i32>>,
}

/// Fills a version until the shutdown. What may pass is waited for.
///
/// # Errors
/// When the work cannot begin, or a record cannot be applied or a row not be written.
pub fn fill(config: &Config, job: &Job, shutdown: &Shutdown) -> anyhow::Result<()> {
    let Job { projection, version: number, .. } = *job;
    let runtime = Runtime::new()?;
    let read_models = runtime.block_on(needed::versions(config, &[], shutdown))?;
    let Some(read_models) = read_models else { return Ok(()) };
    let codec = runtime.block_on(needed::codec(config, projection.topics(), shutdown))?;
    let Some(codec) = codec else { return Ok(()) };
    let around = surroundings(config, codec, read_models, &runtime, shutdown)?;
    let engine = Engine::new(around.db.clone(), projection, number)?.with_points(faults::point);
    let engine = Arc::new(engine);
    while !shutdown.requested() {
        let Err(error) = Filler::run(&around, &engine, job, shutdown) else { continue };
        let versions = runtime.block_on(version::all(&around.db));
        let is_it =
            |known: &&Version| (known.projection, known.version) == (projection.name(), number);
        if versions.is_ok_and(|known| known.iter().find(is_it).is_some_and(|it| it.dropped)) {
            return Err(error.context("the version was dropped"));
        }
        if is_final(&error) {
            return Err(error);
        }
        metrics::counter!(RETRIES, "reason" => "filler").increment(1);
        tracing::warn!(error = format!("{error:#}"), "beginning anew at the checkpoints");
        shutdown.sleep(Duration::from_millis(500));
    }
    Ok(())
}

fn is_final(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(EngineError::Stop(_)) => true,
        Some(EngineError::Refused(why)) => !why.may_pass(),
        Some(EngineError::Db(error)) => !error.may_pass() && !error.is_lost_race(),
        Some(EngineError::Superseded) | None => false,
    }
}

struct Filler {
    runtime: Handle,
    reader: Reader,
    rest: Rest,
    engine: Arc<Engine>,
    owned: BTreeMap<i32, Filling>,
    /// Since when the partitions stand behind, at most.
    taken: BTreeMap<i32, Instant>,
    /// Oldest first. Of a partition there is one at most.
    writing: VecDeque<(i32, JoinHandle<Result<(), EngineError>>)>,
    pace: Pace,
    shutdown: Shutdown,
}

impl Filler {
    fn run(
        around: &Surroundings,
        engine: &Arc<Engine>,
        job: &Job,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let (projection, version) = (engine.projection(), engine.version());
        let group = group_of_projections([(projection.name(), version)]);
        let (kafka, decoder) = (&around.kafka, around.decoder.clone());
        let topics = projection.topics();
        let reader = match &job.partitions {
            Some(partitions) => Reader::of(kafka, &group, topics, decoder, partitions)?,
            None => Reader::subscribe(kafka, &group, topics, decoder)?,
        };
        let mut filler = Self {
            runtime: around.runtime.clone(),
            reader,
            rest: Rest::new(kafka, &group, around.ends.clone())?,
            engine: Arc::clone(engine),
            owned: BTreeMap::new(),
            taken: BTreeMap::new(),
            writing: VecDeque::new(),
            pace: Pace::new(job.throttle),
            shutdown: shutdown.clone(),
        };
        while !shutdown.requested() {
            filler.turn()?;
        }
        filler.settle()
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        match self.reader.poll(self.pace.most, WAIT)? {
            Polled::Assigned(partitions) => self.take(&partitions)?,
            // What is being written ends by itself.
            Polled::Revoked => self.owned.clear(),
            Polled::Records(records) if records.is_empty() => {
                self.write(0)?;
                self.pass()?;
            }
            Polled::Records(records) => {
                faults::point("projector.after_poll");
                self.fold(&records)?;
                // Who is to go gently writes little at a time.
                self.write(if self.pace.is_throttled() { 0 } else { ENOUGH })?;
                if self.pace.is_throttled() {
                    self.shutdown.sleep(self.pace.pause(records.len(), began.elapsed()));
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, partitions: &[i32]) -> anyhow::Result<()> {
        self.owned.clear();
        // Checkpoints that these still move would be read too early.
        while let Some((_, writing)) = self.writing.pop_front() {
            let _ = self.runtime.block_on(async { timeout(ANSWER, writing).await });
        }
        for &partition in partitions {
            self.take_one(partition)?;
        }
        self.reader.start(&self.next())
    }

    fn take_one(&mut self, partition: i32) -> anyhow::Result<()> {
        let (ids, topics) = (self.reader.topic_ids()?, self.engine.projection().topics());
        let log = extents(&self.reader, topics, &ids, partition)?;
        let at = answered(&self.runtime, self.engine.take(partition, &log))?;
        self.owned.insert(partition, Filling::from(&self.engine, partition, at));
        self.taken.insert(partition, Instant::now());
        Ok(())
    }

    fn next(&self) -> BTreeMap<(&'static str, i32), i64> {
        let topics = self.engine.projection().topics();
        let of = |(&partition, filling): (&i32, &Filling)| {
            let at = filling.at().clone();
            topics.iter().map(move |topic| ((topic.name, partition), at.next(topic.name)))
        };
        self.owned.iter().flat_map(of).collect()
    }

    fn fold(&mut self, records: &[Logged]) -> anyhow::Result<()> {
        let mut batches: BTreeMap<i32, Batch<'_>> = BTreeMap::new();
        for logged in records {
            batches.entry(logged.partition).or_default().records.push(logged);
        }
        for (partition, batch) in batches {
            let Some(filling) = self.owned.get_mut(&partition) else { continue };
            answered(&self.runtime, filling.fold(&batch))?;
        }
        Ok(())
    }

    /// Moves over what holds no record.
    fn pass(&mut self) -> anyhow::Result<()> {
        let passable = match self.rest.passable(&self.next()) {
            Ok(passable) => passable,
            // Nothing was touched, and it is looked at again in a second.
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "the end is not known");
                return Ok(());
            }
        };
        for ((topic, partition), end) in passable {
            let Some(filling) = self.owned.get_mut(&partition) else { continue };
            let next = BTreeMap::from([(topic.to_owned(), end)]);
            answered(&self.runtime, filling.fold(&Batch { records: vec![], next }))?;
        }
        Ok(())
    }

    /// Begins to write where `enough` bytes have changed, in the partition with the most of them,
    /// and keeps what is in memory within its bound.
    fn write(&mut self, enough: usize) -> anyhow::Result<()> {
        while self.writing.front().is_some_and(|(_, writing)| writing.is_finished()) {
            self.written()?;
        }
        while self.writing.len() < WRITERS
            && let Some(partition) = self.due(enough)
            && let Some(filling) = self.owned.get_mut(&partition)
        {
            let filled = filling.take();
            self.taken.insert(partition, Instant::now());
            let writing = self.runtime.spawn(async move { filled.write().await });
            self.writing.push_back((partition, writing));
        }
        while !self.writing.is_empty() && (self.size() > MOST || self.largest() > MUCH) {
            self.written()?;
        }
        Ok(())
    }

    /// The partition to be written next: that with the most changes, where there are `enough` in all
    /// or its checkpoint has not moved for long. Few changes are late some day, and a partition
    /// without any has a checkpoint to move all the same.
    fn due(&self, enough: usize) -> Option<i32> {
        let is_free = |at: &i32| self.writing.iter().all(|(partition, _)| partition != at);
        let is_much = self.waiting() >= enough;
        let is_late = |at: &i32| self.taken.get(at).is_none_or(|at| at.elapsed() >= LATEST);
        let due = self
            .owned
            .iter()
            .filter(|(at, filling)| is_free(at) && filling.is_behind() && (is_much || is_late(at)));
        due.max_by_key(|(_, filling)| filling.waiting()).map(|(at, _)| *at)
    }

    /// Waits for the oldest transaction.
    fn written(&mut self) -> anyhow::Result<()> {
        let Some((partition, writing)) = self.writing.pop_front() else { return Ok(()) };
        let written = self.runtime.block_on(async { timeout(ANSWER, writing).await });
        match written.context("MySQL takes too long over a transaction")?? {
            // Another has it, or had it a moment ago.
            Err(EngineError::Superseded) if self.owned.contains_key(&partition) => {
                metrics::counter!(RETRIES, "reason" => "superseded").increment(1);
                self.take_one(partition)?;
                return self.reader.start(&self.next());
            }
            Err(EngineError::Superseded) => return Ok(()),
            written => written?,
        }
        faults::point("projector.after_mysql_commit");
        if self.size() > MOST / 2
            && let Some(filling) = self.owned.get_mut(&partition)
        {
            filling.forget();
        }
        Ok(())
    }

    /// Waits for all that is being written.
    fn settle(&mut self) -> anyhow::Result<()> {
        while !self.writing.is_empty() {
            self.written()?;
        }
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.owned.values().map(Filling::waiting).sum()
    }

    /// What waits of the partition with the most.
    fn largest(&self) -> usize {
        self.owned.values().map(Filling::waiting).max().unwrap_or_default()
    }

    fn size(&self) -> usize {
        self.owned.values().map(Filling::size).sum()
    }
}
