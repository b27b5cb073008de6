//! One thread of the projector: polls, hands the records to the engines of its projections, all in
//! one transaction, and starts again from the checkpoints whenever it no longer knows where it
//! stands.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use projections::{Engine, EngineError, Extent, Logged, Moved, Part, apply_as_one};
use schemas::Topic;
use tokio::{runtime::Handle, time::timeout};

use super::{
    Set, Surroundings,
    feed::{Batches, Feed},
    pace::Pace,
    rest::Rest,
};
use crate::{
    failures::Failures,
    faults,
    log::{Polled, Reader, group_of_projections},
    shutdown::Shutdown,
    telemetry::RETRIES,
};

const WAIT: Duration = Duration::from_millis(100);
/// How long MySQL may take over a batch; well below `max.poll.interval.ms`.
pub(super) const ANSWER: Duration = Duration::from_secs(20);
/// How often everybody else is told how far it has come.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Feeds `engines`, which is what `set` means, until the shutdown, or until it means something else.
pub(super) fn run(
    around: &Surroundings,
    set: &Set,
    engines: &[Arc<Engine>],
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let group = group_of_projections(engines.iter().map(|e| (e.projection().name(), e.version())));
    let topics = topics(engines);
    let mut worker = Worker {
        runtime: around.runtime.clone(),
        shutdown: shutdown.clone(),
        reader: Reader::subscribe(&around.kafka, &group, &topics, around.decoder.clone())?,
        rest: Rest::new(&around.kafka, &group, around.ends.clone())?,
        feeds: engines.iter().map(|engine| Feed::new(engine, around.ends.clone())).collect(),
        topics,
        owned: vec![],
        pace: Pace::new(set.throttle()),
        failures: Failures::default(),
        again: None,
        told: Instant::now(),
    };
    while !worker.shutdown.requested() && around.is_up_to_date(set, engines) {
        worker.turn()?;
    }
    worker.own(vec![]);
    Ok(())
}

/// The topics that any of them reads; the first of each decides on ownership, and is the same.
fn topics(engines: &[Arc<Engine>]) -> Vec<Topic> {
    let mut topics: Vec<Topic> = vec![];
    for topic in engines.iter().flat_map(|engine| engine.projection().topics()) {
        if topics.iter().all(|known| known.name != topic.name) {
            topics.push(*topic);
        }
    }
    topics
}

struct Worker {
    runtime: Handle,
    shutdown: Shutdown,
    reader: Reader,
    rest: Rest,
    feeds: Vec<Feed>,
    topics: Vec<Topic>,
    owned: Vec<i32>,
    pace: Pace,
    failures: Failures,
    /// When to take the partitions again, after a failure; until then nothing is read.
    again: Option<Instant>,
    told: Instant,
}

impl Worker {
    fn turn(&mut self) -> anyhow::Result<()> {
        if self.again.is_some_and(|at| Instant::now() >= at) {
            self.again = None;
            self.attempt(Self::take)?;
        }
        if self.again.is_none() && self.feeds.iter().any(Feed::is_due) {
            self.attempt(Self::take)?;
        }
        match self.reader.poll(self.pace.most, WAIT) {
            Ok(Polled::Assigned(partitions)) => {
                self.own(partitions);
                self.attempt(Self::take)?;
            }
            Ok(Polled::Revoked) => self.own(vec![]),
            Ok(Polled::Records(records)) if records.is_empty() => {
                if self.again.is_none() {
                    self.attempt(Self::pass)?;
                }
            }
            Ok(Polled::Records(records)) => self.attempt(|worker| worker.apply(&records))?,
            Err(error) => self.attempt(|_| Err(error))?,
        }
        self.tell();
        Ok(())
    }

    fn own(&mut self, partitions: Vec<i32>) {
        self.feeds.iter_mut().for_each(|feed| feed.own(&partitions));
        self.owned = partitions;
        self.again = None;
    }

    /// Moves the checkpoints over what holds no record.
    fn pass(&mut self) -> anyhow::Result<()> {
        match self.rest.passable(&self.next()) {
            Ok(passable) if passable.is_empty() => Ok(()),
            Ok(passable) => {
                let batches: Vec<_> = self.feeds.iter().map(|f| f.passing(&passable)).collect();
                match self.as_one(&batches) {
                    Ok(moved) => self.moved(moved),
                    Err(EngineError::Superseded) => {
                        self.feeds.iter_mut().for_each(Feed::forget_standing);
                        self.take()?;
                    }
                    Err(error) => return Err(error.into()),
                }
                Ok(())
            }
            // Nothing was touched, and it is looked at again in a second.
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "the end is not known");
                Ok(())
            }
        }
    }

    /// Does `step`. After a failure nothing is known any more, not even whether a commit took
    /// place: reading stops, and after a pause the checkpoints say where to go on. Meanwhile the
    /// group is kept alive by polling.
    fn attempt(
        &mut self,
        step: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Err(error) = step(self) else {
            self.failures = Failures::default();
            return Ok(());
        };
        let pause = self.failures.count(&error);
        let failures = self.failures.in_a_row();
        metrics::counter!(RETRIES, "reason" => "projection").increment(1);
        tracing::warn!(failures, error = format!("{error:#}"), "projecting");
        let Some(pause) = pause else { return Err(error) };
        self.feeds.iter_mut().for_each(Feed::forget_standing);
        self.pace.shrink();
        self.reader.start(&BTreeMap::new())?;
        self.again = Some(Instant::now() + pause);
        Ok(())
    }

    /// Reads the checkpoints of all partitions that may go on, and goes where they point.
    fn take(&mut self) -> anyhow::Result<()> {
        let ids = self.reader.topic_ids()?;
        let looks_again = self.failures.looks_again();
        for partition in &self.owned {
            let extents = || extents(&self.reader, &self.topics, &ids, *partition);
            let mut log = extents()?;
            for feed in self.feeds.iter_mut().filter(|feed| feed.goes_on(*partition)) {
                let mut taken = answered(&self.runtime, feed.engine.take(*partition, &log));
                if matches!(&taken, Err(EngineError::Refused(why)) if why.may_pass()) {
                    // Another that feeds it too may have moved it past the end known before.
                    log = extents()?;
                    taken = answered(&self.runtime, feed.engine.take(*partition, &log));
                }
                match taken {
                    Ok(checkpoint) => feed.moved([(*partition, checkpoint)]),
                    Err(EngineError::Refused(why)) if looks_again && why.may_pass() => {
                        return Err(why.into());
                    }
                    Err(EngineError::Refused(why)) => feed.stop(*partition, &why),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        self.reader.start(&self.next())
    }

    /// Where to read on: where that stands which is furthest behind.
    fn next(&self) -> BTreeMap<(&'static str, i32), i64> {
        let mut next: BTreeMap<_, i64> = BTreeMap::new();
        for (place, at) in self.feeds.iter().flat_map(Feed::next) {
            next.entry(place).and_modify(|least| *least = at.min(*least)).or_insert(at);
        }
        next
    }

    fn apply(&mut self, records: &[Logged]) -> anyhow::Result<()> {
        faults::point("projector.after_poll");
        let began = Instant::now();
        let batches: Vec<_> = self.feeds.iter().map(|feed| feed.batches(records)).collect();
        let appended: Vec<_> = batches.iter().map(Batches::appended).collect();
        match self.as_one(&batches) {
            Ok(moved) => {
                self.moved(moved);
                self.pace.grow();
            }
            Err(error) if error.is_outage() => return Err(error.into()),
            // One of them cannot go on; which one shows when each is applied alone.
            Err(_) => self.one_by_one(batches)?,
        }
        faults::point("projector.after_mysql_commit");
        for (feed, appended) in self.feeds.iter().zip(appended) {
            feed.applied(&appended, began.elapsed());
        }
        self.shutdown.sleep(self.pace.pause(records.len(), began.elapsed()));
        Ok(())
    }

    fn as_one(&self, batches: &[Batches<'_>]) -> Result<Vec<Moved>, EngineError> {
        let parts = self.feeds.iter().zip(batches).map(|(feed, batches)| feed.part(batches));
        let parts: Vec<Part<'_>> = parts.collect();
        answered(&self.runtime, apply_as_one(&parts))
    }

    fn moved(&mut self, moved: Vec<Moved>) {
        self.feeds.iter_mut().zip(moved).for_each(|(feed, moved)| feed.moved(moved));
    }

    fn one_by_one(&mut self, batches: Vec<Batches<'_>>) -> anyhow::Result<()> {
        for (feed, batches) in self.feeds.iter_mut().zip(batches) {
            for (partition, mut batch) in batches.apart() {
                let Some(believed) = feed.at(partition) else { continue };
                let mut applied =
                    answered(&self.runtime, feed.engine.apply(partition, &believed, &batch));
                let mut stopped = None;
                // Before a record that cannot be read there may be one that cannot follow.
                while let Err(EngineError::Stop(stop)) = applied {
                    batch.records.truncate(stop.place);
                    let before = feed.engine.apply(partition, &believed, &batch);
                    applied = answered(&self.runtime, before);
                    stopped = Some(stop);
                }
                match applied {
                    Ok(checkpoint) => {
                        feed.moved([(partition, checkpoint)]);
                        if let Some(stop) = stopped {
                            feed.count_break(&stop);
                            feed.stop(partition, &stop);
                        }
                    }
                    // Another feeds it too, such as one of another build whose set is another:
                    // one of the two wins each batch, and both go on.
                    Err(EngineError::Superseded) => feed.superseded(partition),
                    // Each of the others would wait in vain for a MySQL that has gone away meanwhile,
                    // and so long nobody would be told how far it has come.
                    Err(error) if error.is_outage() => return Err(error.into()),
                    Err(EngineError::Db(error)) => feed.rest(partition, &error),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        // The others go on from where they are; what was prefetched is read again.
        self.take()
    }

    fn tell(&mut self) {
        if self.told.elapsed() < TELL_EVERY {
            return;
        }
        self.told = Instant::now();
        self.feeds.iter_mut().for_each(Feed::tell);
        let next = self.next();
        if !next.is_empty() {
            self.reader.report(&next);
        }
    }
}

/// The partition of each topic as the broker has it now.
pub(super) fn extents(
    reader: &Reader,
    topics: &[Topic],
    ids: &BTreeMap<&str, String>,
    partition: i32,
) -> anyhow::Result<BTreeMap<String, Extent>> {
    let extent = |topic: &Topic| {
        let topic_id = ids.get(topic.name).cloned().unwrap_or_default();
        let (start, end) = reader.bounds(topic.name, partition)?;
        Ok((topic.name.to_owned(), Extent { topic_id, start, end }))
    };
    topics.iter().map(extent).collect()
}

/// Waits for the engine, within bounds: who polls too late loses the partitions.
pub(super) fn answered<T>(
    runtime: &Handle,
    step: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let step = runtime.block_on(async { timeout(ANSWER, step).await });
    step.unwrap_or(Err(EngineError::Db(projections::Error::Late)))
}
