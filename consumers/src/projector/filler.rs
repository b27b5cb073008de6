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
use projections::{AnyProjection, Batch, Engine, EngineError, Filling, Logged};
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
/// Bytes of states that are kept, about; each takes some three times as much in memory.
const MOST: usize = 192 << 20;

/// Fills a version until the shutdown. What may pass is waited for.
///
/// # Errors
/// When the work cannot begin, or a record cannot be applied or a row not be written.
pub fn fill(
    config: &Config,
    projection: &'static dyn AnyProjection,
    version: i32,
    throttle: Option<NonZeroU32>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let read_models = runtime.block_on(needed::versions(config, &[], shutdown))?;
    let Some(read_models) = read_models else { return Ok(()) };
    let codec = runtime.block_on(needed::codec(config, projection.topics(), shutdown))?;
    let Some(codec) = codec else { return Ok(()) };
    let around = surroundings(config, codec, read_models, &runtime, shutdown)?;
    let engine = Engine::new(around.db.clone(), projection, version)?.with_points(faults::point);
    let engine = Arc::new(engine);
    while !shutdown.requested() {
        let Err(error) = Filler::run(&around, &engine, throttle, shutdown) else { continue };
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
        Some(EngineError::Db(error)) => !error.may_pass() && !error.is_outage(),
        Some(EngineError::Superseded) | None => false,
    }
}

struct Filler {
    runtime: Handle,
    reader: Reader,
    rest: Rest,
    engine: Arc<Engine>,
    owned: BTreeMap<i32, Filling>,
    /// Oldest first. Of a partition there is one at most.
    writing: VecDeque<(i32, JoinHandle<Result<(), EngineError>>)>,
    pace: Pace,
    shutdown: Shutdown,
}

impl Filler {
    fn run(
        around: &Surroundings,
        engine: &Arc<Engine>,
        throttle: Option<NonZeroU32>,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let (projection, version) = (engine.projection(), engine.version());
        let group = group_of_projections([(projection.name(), version)]);
        let (kafka, decoder) = (&around.kafka, around.decoder.clone());
        let mut filler = Self {
            runtime: around.runtime.clone(),
            reader: Reader::subscribe(kafka, &group, projection.topics(), decoder)?,
            rest: Rest::new(kafka, &group, around.ends.clone())?,
            engine: Arc::clone(engine),
            owned: BTreeMap::new(),
            writing: VecDeque::new(),
            pace: Pace::new(throttle),
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
            // What is being written ends by itself, and holds the next owner to its checkpoint.
            Polled::Revoked => self.drop_all(),
            Polled::Records(records) if records.is_empty() => {
                self.pass()?;
                self.write(0)?;
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

    fn drop_all(&mut self) {
        self.owned.clear();
        self.writing.clear();
    }

    fn take(&mut self, partitions: &[i32]) -> anyhow::Result<()> {
        self.drop_all();
        let (ids, topics) = (self.reader.topic_ids()?, self.engine.projection().topics());
        for &partition in partitions {
            let log = extents(&self.reader, topics, &ids, partition)?;
            let at = answered(&self.runtime, self.engine.take(partition, &log))?;
            self.owned.insert(partition, Filling::from(&self.engine, partition, at));
        }
        self.reader.start(&self.next())
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
        for ((topic, partition), end) in self.rest.passable(&self.next())? {
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
        while self.writing.len() < WRITERS && self.waiting() >= enough {
            let is_free = |at: &i32| self.writing.iter().all(|(partition, _)| partition != at);
            let free =
                self.owned.iter_mut().filter(|(at, filling)| is_free(at) && filling.is_behind());
            let Some((&at, filling)) = free.max_by_key(|(_, filling)| filling.waiting()) else {
                break;
            };
            let filled = filling.take();
            let writing = self.runtime.spawn(async move { filled.write().await });
            self.writing.push_back((at, writing));
        }
        while self.size() > MOST && !self.writing.is_empty() {
            self.written()?;
        }
        Ok(())
    }

    /// Waits for the oldest transaction.
    fn written(&mut self) -> anyhow::Result<()> {
        let Some((partition, writing)) = self.writing.pop_front() else { return Ok(()) };
        let written = self.runtime.block_on(async { timeout(ANSWER, writing).await });
        written.context("MySQL takes too long over a transaction")???;
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

    fn size(&self) -> usize {
        self.owned.values().map(Filling::size).sum()
    }
}
