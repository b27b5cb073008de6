//! The indexer's loop. A change waits in memory until the read model covers it, then its product's
//! document is written whole, and only then does the checkpoint pass it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use projections::{
    EngineError, Extent, Tables,
    search::{self, Change, Moved, PROJECTION, Reached, Read, TOPICS, Versioned, Written},
};
use schemas::CATALOG;
use tokio::time::{error::Elapsed, timeout_at};

use super::{
    Surroundings,
    following::{Following, Step},
    progress::{self, Progress},
    versions,
};
use crate::{
    failures::{Failures, is_outage},
    faults, lag,
    log::{Polled, Reader, group_of_projections},
    shutdown::Shutdown,
    telemetry::{self, PARTITION_STOPPED, RETRIES},
};

/// Records taken in one poll, and changes written at once, over all partitions.
const MOST: usize = 2000;
const WAIT: Duration = Duration::from_millis(100);
/// The read model is not asked more often than this whether it covers what waits.
const PACE: Duration = Duration::from_millis(100);
/// Documents that follow a brand's name, written between two batches.
const SLICE: u32 = 250;
/// How long MySQL and OpenSearch may take over everything between two polls; well below
/// `max.poll.interval.ms`.
const ANSWER: Duration = Duration::from_secs(20);

/// Feeds a version of the index until the shutdown, or until it is dropped.
pub(super) fn run(around: &Surroundings, version: i32, shutdown: &Shutdown) -> anyhow::Result<()> {
    let group = group_of_projections([(PROJECTION, version)]);
    let reader = Reader::subscribe(&around.kafka, &group, TOPICS, around.decoder.clone())?;
    let Some(tables) = prepare(around, version, &reader)? else { return Ok(()) };
    let mut worker = Worker {
        around,
        version,
        reader,
        tables,
        partitions: vec![],
        owned: BTreeMap::new(),
        failures: Failures::default(),
        due: Instant::now(),
        deadline: Instant::now() + ANSWER,
        again: None,
        rewound: None,
        fans_out: true,
        dropped: false,
        progress: Progress::new(version, around.ends.clone()),
    };
    while !shutdown.requested() && !worker.dropped {
        worker.turn()?;
    }
    // Nothing more is told of a version that is let go.
    worker.own(vec![]);
    Ok(())
}

/// Which read models the version is made of; none where it is gone.
fn prepare(around: &Surroundings, version: i32, reader: &Reader) -> anyhow::Result<Option<Tables>> {
    let events = CATALOG.events.name;
    let topic_id = reader.topic_ids()?.remove(events).with_context(|| events.to_owned())?;
    let prepared = versions::prepare(around, version, &topic_id);
    Ok(around.runtime.block_on(prepared)?.map(|source| source.tables()))
}

struct Worker<'a> {
    around: &'a Surroundings,
    /// The index version that is written.
    version: i32,
    reader: Reader,
    tables: Tables,
    /// What the group has assigned; `owned` is what of it is followed.
    partitions: Vec<i32>,
    owned: BTreeMap<i32, Following>,
    failures: Failures,
    /// When to write next.
    due: Instant,
    /// When the group is to be served again.
    deadline: Instant,
    /// When to take the partitions again, after a failure; until then nothing is read.
    again: Option<Instant>,
    /// The ends of the log that the read models are to pass before anything is written, where they
    /// have gone back behind what the index shows.
    rewound: Option<BTreeMap<i32, i64>>,
    /// Whether there may be fan-outs of the partitions that are not done.
    fans_out: bool,
    /// Whether the version was dropped: there is nothing to feed any more.
    dropped: bool,
    progress: Progress,
}

impl Worker<'_> {
    fn turn(&mut self) -> anyhow::Result<()> {
        self.deadline = Instant::now() + ANSWER;
        if self.again.is_some_and(|at| Instant::now() >= at) {
            self.again = None;
            self.attempt(Self::take)?;
        }
        let (writes, waiting) = (self.may_write(), self.is_waiting());
        let wait = match (self.fans_out && writes, waiting && writes) {
            (true, _) => Duration::ZERO,
            (false, true) => self.due.duration_since(Instant::now()).min(WAIT),
            (false, false) => WAIT,
        };
        match self.reader.poll(MOST, wait) {
            Ok(Polled::Assigned(partitions)) => {
                self.own(partitions);
                self.attempt(Self::take)?;
            }
            Ok(Polled::Revoked) => self.own(vec![]),
            // After a failure nothing is known of what came before it.
            Ok(Polled::Records(_)) if self.again.is_some() => {}
            Ok(Polled::Records(records)) => {
                for logged in &records {
                    if let Some(following) = self.owned.get_mut(&logged.partition) {
                        following.push(logged);
                    }
                }
            }
            Err(error) => self.attempt(|_| Err(error))?,
        }
        if self.rewound.is_some() && self.again.is_none() && Instant::now() >= self.due {
            self.attempt(Self::catch_up)?;
            self.due = Instant::now() + PACE;
        }
        if self.may_write() && self.is_waiting() && Instant::now() >= self.due {
            self.attempt(Self::index)?;
            self.due = Instant::now() + PACE;
        }
        if self.fans_out && self.may_write() {
            self.attempt(Self::fan_out)?;
        }
        self.progress.tell(&self.reader, &self.partitions, &self.owned);
        Ok(())
    }

    fn may_write(&self) -> bool {
        self.again.is_none() && self.rewound.is_none()
    }

    fn is_waiting(&self) -> bool {
        self.owned.values().any(Following::is_waiting)
    }

    fn own(&mut self, partitions: Vec<i32>) {
        // The worker before may have ended without letting go.
        for partition in self.partitions.iter().chain(&partitions) {
            stopped(self.version, *partition).set(0);
        }
        self.partitions = partitions;
        self.owned.clear();
        self.again = None;
        self.progress.forget();
    }

    /// Does `step`. After a failure nothing is known any more: reading stops, and after a pause
    /// the checkpoints say where to go on. Meanwhile the group is kept alive by polling.
    fn attempt(
        &mut self,
        step: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Err(error) = step(self) else { return Ok(()) };
        if !is_outage(&error) && self.is_dropped() {
            self.dropped = true;
            return Ok(());
        }
        let pause = self.failures.count(&error);
        let failures = self.failures.in_a_row();
        metrics::counter!(RETRIES, "reason" => "index").increment(1);
        tracing::warn!(failures, error = format!("{error:#}"), "indexing");
        let Some(pause) = pause else { return Err(error) };
        self.reader.start(&BTreeMap::new())?;
        self.again = Some(Instant::now() + pause);
        Ok(())
    }

    fn is_dropped(&self) -> bool {
        let kept = self.answer(search::is_kept(&self.around.db, self.version));
        matches!(kept, Ok(Ok(false)))
    }

    /// Reads the checkpoints of all partitions, and goes where they point.
    fn take(&mut self) -> anyhow::Result<()> {
        let topic = CATALOG.events.name;
        let topic_id = self.reader.topic_ids()?.remove(topic).unwrap_or_default();
        self.owned.clear();
        self.fans_out = true;
        for &partition in &self.partitions {
            let (start, end) = self.reader.bounds(topic, partition)?;
            let extent = Extent { topic_id: topic_id.clone(), start, end };
            let log = BTreeMap::from([(topic.to_owned(), extent)]);
            let taken = search::take(&self.around.db, self.version, partition, &log);
            match self.answer(taken).context("mysql")? {
                Ok(checkpoint) => drop(self.owned.insert(partition, Following::from(checkpoint))),
                Err(EngineError::Refused(why)) if self.failures.looks_again() && why.may_pass() => {
                    return Err(why.into());
                }
                Err(EngineError::Refused(why)) => {
                    tracing::error!(partition, %why, "the partition is stopped");
                    stopped(self.version, partition).set(1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.look_back()?;
        self.go()
    }

    /// Documents that are newer than the read models say that a backup of these was restored. The
    /// sum of checkpoints that a document is versioned by then comes by the same numbers on another
    /// way, and a document read on it could be refused for one that has seen less. Once the read
    /// models have passed what the log holds now, theirs is the greatest version again.
    fn look_back(&mut self) -> anyhow::Result<()> {
        let newest = self.answer(self.around.search.newest(self.version));
        let newest = newest.context("opensearch")??;
        let reached = self.reached()?.version;
        if newest <= reached {
            self.rewound = None;
            return Ok(());
        }
        let end = |at| Ok((at, self.reader.bounds(CATALOG.events.name, at)?.1));
        let ends = (0..CATALOG.events.partitions).map(end).collect::<anyhow::Result<_>>()?;
        tracing::warn!(
            newest,
            reached,
            ?ends,
            "the read models have gone back behind the index, \
            as a restored backup does: it is written again once they have caught up"
        );
        self.rewound = Some(ends);
        Ok(())
    }

    fn reached(&self) -> anyhow::Result<Reached> {
        let reached = search::reached(&self.around.db, &self.tables);
        Ok(self.answer(reached).context("mysql")??)
    }

    fn catch_up(&mut self) -> anyhow::Result<()> {
        let next = self.reached()?.next;
        // The last transaction's marker stands behind the last record, and no checkpoint passes it.
        let passed = |(at, end): (&i32, &i64)| next.get(at).is_some_and(|next| next + 1 >= *end);
        if self.rewound.as_ref().is_none_or(|ends| ends.iter().all(passed)) {
            tracing::info!("the read models have caught up: the index is written again");
            self.rewound = None;
        }
        self.failures = Failures::default();
        self.hold()
    }

    /// Reads no further where very much waits already, and further again where it does not.
    fn hold(&mut self) -> anyhow::Result<()> {
        let changed = self.owned.values_mut().map(Following::hold).filter(|&changed| changed);
        if changed.count() > 0 { self.go() } else { Ok(()) }
    }

    fn answer<T>(&self, answer: impl Future<Output = T>) -> Result<T, Elapsed> {
        self.around.runtime.block_on(async { timeout_at(self.deadline.into(), answer).await })
    }

    /// Reads on, but not in partitions that are held.
    fn go(&self) -> anyhow::Result<()> {
        let read = self.owned.iter().filter(|(_, following)| !following.is_held());
        let from = read.map(|(&at, following)| ((CATALOG.events.name, at), following.next()));
        self.reader.start(&from.collect())
    }

    /// Writes the documents of the changes that the read model covers, and passes those changes.
    fn index(&mut self) -> anyhow::Result<()> {
        faults::point("indexer.after_poll");
        let waiting = self.owned.values().filter(|following| following.is_waiting()).count();
        let most = MOST / waiting.max(1);
        let changes = self.owned.iter().filter(|(_, following)| following.is_waiting());
        let changes = changes.map(|(&at, following)| (at, following.changes(most))).collect();
        let Read { next, documents } = self.read(&changes)?;
        let steps = next.into_iter().filter_map(|(partition, next)| {
            self.owned.get(&partition)?.step(partition, next, most)
        });
        let steps: Vec<Step> = steps.collect();
        if !steps.is_empty() {
            self.write(&documents)?;
            self.pass(steps)?;
        }
        self.failures = Failures::default();
        self.hold()
    }

    /// What the read models cover by now, and the documents of the changes below that.
    fn read(&self, changes: &BTreeMap<i32, Vec<Change>>) -> anyhow::Result<Read> {
        let begun = Instant::now();
        let reads = search::documents(&self.around.db, &self.tables, changes);
        let read = self.answer(reads).context("mysql")??;
        telemetry::stage("index_read", begun);
        Ok(read)
    }

    /// Writes a slice of the documents that follow a brand's name.
    fn fan_out(&mut self) -> anyhow::Result<()> {
        let (db, version) = (&self.around.db, self.version);
        let open = search::open(db, version, self.owned.keys().copied());
        let open = self.answer(open).context("mysql")??;
        self.fans_out = !open.is_empty();
        if open.is_empty() {
            return Ok(());
        }
        let slice = search::slice(db, &self.tables, open, SLICE);
        let slice = self.answer(slice).context("mysql")??;
        self.write(&slice.documents)?;
        faults::point("indexer.fan_out");
        self.answer(search::pass(db, version, slice)).context("mysql")??;
        self.failures = Failures::default();
        Ok(())
    }

    fn write(&self, documents: &[Versioned]) -> anyhow::Result<()> {
        faults::point("indexer.before_bulk");
        let begun = Instant::now();
        let bulk = self.around.search.bulk(self.version, documents);
        let bulk = self.answer(bulk).context("opensearch")??;
        telemetry::stage("index_bulk", begun);
        progress::sent(&bulk.written, bulk.retried);
        for (versioned, written) in documents.iter().zip(&bulk.written) {
            if let Written::Refused(why) = written {
                let product = versioned.document.id;
                tracing::error!(%product, why, "a document is refused, and left out of the index");
            }
        }
        faults::point("indexer.after_bulk");
        Ok(())
    }

    fn pass(&mut self, steps: Vec<Step>) -> anyhow::Result<()> {
        let begun = Instant::now();
        let (moves, appended): (Vec<_>, Vec<_>) =
            steps.into_iter().map(|step| (step.step, step.appended)).unzip();
        self.fans_out |= moves.iter().any(|step| !step.renamed.is_empty());
        let (db, version, told) = (self.around.db.clone(), self.version, moves.clone());
        // On a task of its own: dropped halfway, a transaction could stay open in the pool.
        let advance = async move { search::advance(&db, version, &told).await };
        let moved = self.around.runtime.spawn(advance);
        let moved = self.answer(moved).context("mysql")???;
        telemetry::stage("index_checkpoint", begun);
        faults::point("indexer.after_checkpoint");
        for ((step, appended), moved) in moves.into_iter().zip(appended).zip(moved) {
            anyhow::ensure!(moved == Moved::Yes, "another indexer has moved the checkpoint");
            if let Some(following) = self.owned.get_mut(&step.partition) {
                following.moved(step.to);
                lag::applied(PROJECTION, &appended);
            }
        }
        Ok(())
    }
}

fn stopped(version: i32, partition: i32) -> metrics::Gauge {
    let (version, partition) = (version.to_string(), partition.to_string());
    metrics::gauge!(PARTITION_STOPPED,
        "projection" => PROJECTION, "version" => version, "partition" => partition)
}
