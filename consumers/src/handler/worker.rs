//! One worker: a thread that owns partitions and decides their commands.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use domain::Timestamp;
use schemas::{CATALOG, Lane};

use super::{
    REST, Surroundings,
    batch::{Batch, Owned},
    lanes::{Gathered, Lanes},
    load::{self, Ahead},
    partition::Partition,
    places::{self, Places, Reached},
    reply::Replier,
    sequence::Sequence,
    stopped, take,
    wish::Wish,
};
use crate::{
    faults,
    log::{
        Change, CommitError, Delivered, Tail, TransactionWriter, group_of_handler,
        native::Membership,
    },
    shutdown::Shutdown,
    telemetry::{self, stage},
};

/// How many records a batch may leave; one command may leave a thousand. More take longer than a
/// transaction may last.
const BATCH_RECORDS: usize = 10_000;

/// How often checkpoints are looked at while nothing is loaded anyway.
const COVER_EVERY: Duration = Duration::from_millis(500);

/// The pause where nothing of what the group gave us could be taken.
const NOTHING_TAKEN: Duration = Duration::from_secs(1);

/// Owns partitions until the shutdown, or until something unforeseen, and calls `turned` every so
/// often to show that it still does.
///
/// # Errors
/// What was unforeseen. The worker has then left the group and committed nothing half.
pub(super) fn run(
    around: &Surroundings,
    shutdown: &Shutdown,
    turned: &dyn Fn(),
) -> anyhow::Result<()> {
    let mut worker = Worker::join(around)?;
    while !shutdown.requested() {
        turned();
        worker.turn()?;
    }
    Ok(())
}

struct Worker<'a> {
    around: &'a Surroundings,
    lanes: Lanes,
    membership: Option<Membership>,
    tail: Tail,
    writer: TransactionWriter,
    replier: Replier,
    owned: Owned,
    reached: Reached,
    /// What is being loaded for the bulk commands that come next.
    ahead: Option<Ahead>,
    sequence: Sequence,
    /// Partitions that are ours by the group, but not taken yet.
    waiting: Vec<i32>,
    take_at: Instant,
    /// How many commands a batch may hold: fewer after an abort, so that whatever one of them
    /// makes impossible is soon alone.
    most: usize,
    covered_at: Instant,
    /// When the places in both lanes of all partitions were last committed; none where they are due.
    offsets_at: Option<Instant>,
    /// Until then nothing is decided, because a load or a commit has just failed.
    rest_until: Option<Instant>,
    paused: bool,
}

impl<'a> Worker<'a> {
    fn join(around: &'a Surroundings) -> anyhow::Result<Self> {
        let group = group_of_handler(CATALOG.name);
        let mut writer = TransactionWriter::new(around.kafka.clone());
        writer.connect().context("opening transactions")?;
        Ok(Self {
            around,
            lanes: Lanes::join(around)?,
            membership: None,
            tail: Tail::of(&around.kafka, &group)?,
            writer,
            replier: Replier::new(&around.kafka)?,
            owned: Owned::new(),
            reached: Reached::default(),
            ahead: None,
            sequence: Sequence::default(),
            waiting: Vec::new(),
            take_at: Instant::now(),
            most: around.batch_max,
            covered_at: Instant::now(),
            offsets_at: Some(Instant::now()),
            rest_until: None,
            paused: false,
        })
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        if !self.waiting.is_empty() && Instant::now() >= self.take_at {
            self.take()?;
        }
        if self.lanes.are_stranded() {
            bail!("its consumer has left the group and does not come back");
        }
        self.take_in();
        self.cover()?;
        if self.rest_until.is_some_and(|end| Instant::now() >= end) {
            self.rest_until = None;
            self.start()?;
        }
        match self.lanes.gather(self.around, self.most)? {
            Gathered::Wishes(wishes) => {
                self.look_ahead()?;
                if wishes.is_empty() { self.keep_places() } else { self.work(wishes) }
            }
            Gathered::Rebalanced(changes) => self.rebalanced(changes),
        }
    }

    /// Reads on in the bulk lane, so that what its commands need is loaded before their turn.
    fn look_ahead(&mut self) -> anyhow::Result<()> {
        if self.ahead.is_none() {
            let found = self.lanes.look_ahead(self.around, self.most)?;
            self.ahead = Some(found).filter(|found| !found.is_empty()).map(Ahead::of);
            self.take_in();
        }
        Ok(())
    }

    fn take_in(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            match ahead.turn(self.around, &mut self.owned) {
                Ok(wishes) => self.lanes.hold(wishes),
                Err(ahead) => self.ahead = Some(ahead),
            }
        }
    }

    /// Takes what the group gave us. While that does not succeed, the group is served in between.
    fn take(&mut self) -> anyhow::Result<()> {
        let (patience, again) = if self.owned.is_empty() {
            (Duration::from_secs(10), Duration::ZERO)
        } else {
            (Duration::from_secs(2), Duration::from_secs(5))
        };
        let taken = take::take(self.around, &self.tail, &self.waiting, &mut self.reached, patience);
        self.take_at = Instant::now() + again;
        match taken {
            Ok(taken) if taken.is_empty() => {
                self.take_at = Instant::now() + again.max(NOTHING_TAKEN);
                Ok(())
            }
            Ok(taken) => {
                metrics::counter!(telemetry::TAKEOVERS).increment(taken.len() as u64);
                self.waiting.retain(|partition| !taken.contains_key(partition));
                if taken.values().any(Partition::has_gone_back) {
                    self.offsets_at = None;
                }
                self.owned.extend(taken);
                self.start()
            }
            Err(error) => {
                self.take_at = Instant::now() + again.max(NOTHING_TAKEN);
                metrics::counter!(telemetry::RETRIES, "reason" => "take").increment(1);
                tracing::warn!(error = format!("{error:#}"), "partitions not taken yet");
                Ok(())
            }
        }
    }

    /// Reads on exactly where the last committed decision ended, or nowhere while commands rest.
    fn start(&mut self) -> anyhow::Result<()> {
        self.ahead = None;
        self.lanes.start(&self.owned, self.paused || self.rest_until.is_some())
    }

    fn rebalanced(&mut self, changes: Vec<Change>) -> anyhow::Result<()> {
        for change in changes {
            (0..CATALOG.commands.partitions).for_each(|at| stopped(at).set(0));
            self.owned.clear();
            self.ahead = None;
            self.paused = false;
            self.rest_until = None;
            self.take_at = Instant::now();
            match change {
                Change::Assigned(partitions, Some(membership)) => {
                    let generation = membership.generation;
                    tracing::info!(?partitions, generation, "partitions assigned");
                    self.membership = Some(membership);
                    self.waiting = partitions;
                    // After an outage the old one may reach nobody, and would first lose what it tells.
                    self.replier = Replier::new(&self.around.kafka)?;
                }
                Change::Assigned(_, None) => bail!("assigned partitions without a generation"),
                Change::Revoked => {
                    tracing::info!("partitions revoked");
                    self.membership = None;
                    self.waiting.clear();
                }
            }
        }
        metrics::gauge!(telemetry::PARTITIONS_OWNED, "topic" => CATALOG.commands.name)
            .set(u32::try_from(self.waiting.len()).unwrap_or_default());
        Ok(())
    }

    fn work(&mut self, wishes: Vec<Wish>) -> anyhow::Result<()> {
        faults::point("handler.after_poll");
        let polled = Instant::now();
        let at = now();
        observe_wait(&wishes, at);
        let asked = wishes.len();
        let bulk = wishes.iter().filter(|wish| wish.lane == Lane::Bulk).count();
        let next = |lane, partition| Some(self.owned.get(&partition)?.next_command(lane));
        let (wishes, again) = self.sequence.follow(wishes, next);
        let found = wishes.len();
        let ready = load::ready(self.around, &mut self.owned, wishes);
        stage("load", polled);
        let blocked = ready.len() < found;
        if !ready.is_empty() {
            self.decide(&ready, at)?;
        }
        if blocked {
            // Should it have been too much for MySQL, less is asked of it next.
            self.most = (found / 2).max(1);
            self.rest_until = Some(Instant::now() + REST);
        } else {
            self.lanes.took(asked - bulk, bulk, polled.elapsed());
        }
        if blocked || again { self.start() } else { Ok(()) }
    }

    /// Commits every place again now and then, even one that nothing moves: the coordinator
    /// forgets what a group committed long ago of a topic that it does not subscribe to, as the
    /// bulk lane (`offsets.retention.minutes`).
    fn keep_places(&mut self) -> anyhow::Result<()> {
        if self.places_are_due() && !self.owned.is_empty() && self.rest_until.is_none() {
            self.pass_markers();
            self.decide(&[], now())?;
        }
        Ok(())
    }

    /// Moves idle places over offsets that hold no command, such as the markers of somebody's
    /// transactions: once the log is cut behind those, such a place would lie outside it.
    fn pass_markers(&mut self) {
        for (at, owned) in &mut self.owned {
            for lane in Lane::ALL {
                match take::beyond_markers(&self.tail, lane, *at, owned.next_command(lane)) {
                    Ok(next) => owned.advance(lane, next),
                    Err(error) => {
                        tracing::debug!(error = format!("{error:#}"), "the end is not known");
                        return;
                    }
                }
            }
        }
    }

    fn places_are_due(&self) -> bool {
        self.offsets_at.is_none_or(|at| at.elapsed() >= self.around.offsets_every)
    }

    fn decide(&mut self, wishes: &[Wish], at: Timestamp) -> anyhow::Result<()> {
        let begun = Instant::now();
        let membership = self.membership.as_ref().context("no partition is owned")?;
        let keeps_places = self.places_are_due();
        let places = if keeps_places { places::all(&self.owned) } else { Places::new() };
        let mut batch = Batch::new(self.around.decoder.codec(), &mut self.owned, at);
        let mut decided = 0;
        while decided < wishes.len() && batch.records.len() < BATCH_RECORDS {
            batch.decide(&wishes[decided])?;
            decided += 1;
        }
        let (wishes, rest) = wishes.split_at(decided);
        let offsets = places::after(places, wishes)?;
        stage("decide", begun);
        metrics::histogram!(telemetry::BATCH_RECORDS, "stage" => "handler")
            .record(u32::try_from(wishes.len()).unwrap_or(u32::MAX));
        let committing = Instant::now();
        let committed = self.writer.commit(&batch.records, &offsets, membership);
        stage("commit", committing);
        count(&committed);
        match committed {
            Ok(delivered) => {
                faults::point("handler.after_commit");
                if wishes.len() >= self.most {
                    self.most = (self.most * 2).min(self.around.batch_max);
                }
                if keeps_places {
                    self.offsets_at = Some(Instant::now());
                }
                let replies = batch.settle(&delivered);
                self.advance(wishes);
                faults::point("handler.before_outcome");
                self.replier.tell(self.around.decoder.codec(), &replies);
                faults::point("handler.after_outcome");
                // What was left out is read again.
                if rest.is_empty() { Ok(()) } else { self.start() }
            }
            Err(error @ CommitError::Aborted(_)) => {
                tracing::warn!(%error, "deciding the batch again");
                if !wishes.is_empty() {
                    self.most = (wishes.len() / 2).max(1);
                }
                self.rest_until = Some(Instant::now() + REST);
                self.start()
            }
            Err(error @ CommitError::Unknown(_)) => {
                tracing::warn!(%error, "taking the partitions anew");
                batch.count_letters();
                self.waiting.extend(std::mem::take(&mut self.owned).into_keys());
                self.take_at = Instant::now();
                self.start().context("letting partitions go")
            }
        }
    }

    fn advance(&mut self, wishes: &[Wish]) {
        for wish in wishes {
            if let Some(owned) = self.owned.get_mut(&wish.partition) {
                owned.advance(wish.lane, wish.offset + 1);
                self.reached.note(wish.lane, wish.partition, wish.offset + 1);
            }
        }
    }

    /// Looks at the checkpoints every so often, forgets what they cover, and stops taking commands
    /// while too much is not covered: memory stays bounded however long MySQL is away.
    ///
    /// Nothing is forgotten while something is loaded: it would be too old when it came.
    fn cover(&mut self) -> anyhow::Result<()> {
        if self.covered_at.elapsed() < COVER_EVERY {
            return Ok(());
        }
        self.covered_at = Instant::now();
        if self.ahead.is_none() {
            load::cover(self.around, &mut self.owned);
        }
        let pinned: usize = self.owned.values().map(Partition::pinned).sum();
        let cached: usize = self.owned.values().map(Partition::cached).sum();
        set_gauge(telemetry::CACHE_PINNED, pinned);
        set_gauge(telemetry::CACHE_ENTRIES, cached);
        let most = self.around.cache_max;
        let pause = if self.paused { pinned > most / 2 } else { pinned > most };
        if pause != self.paused {
            tracing::warn!(pinned, paused = pause, "the snapshot projection sets the pace");
            self.paused = pause;
            return self.start();
        }
        Ok(())
    }
}

/// How long the first command of each lane and partition has waited.
fn observe_wait(wishes: &[Wish], at: Timestamp) {
    let mut seen = BTreeSet::new();
    for wish in wishes.iter().filter(|wish| seen.insert((wish.lane, wish.partition))) {
        let waited = u32::try_from(at.0 - wish.appended.0).unwrap_or_default();
        metrics::histogram!(telemetry::COMMAND_WAITED, "lane" => wish.lane.as_str())
            .record(f64::from(waited) / 1000.0);
    }
    for lane in Lane::ALL {
        let taken = wishes.iter().filter(|wish| wish.lane == lane).count();
        metrics::counter!(telemetry::COMMANDS, "lane" => lane.as_str()).increment(taken as u64);
    }
}

fn count(committed: &Result<Delivered, CommitError>) {
    let result = match committed {
        Ok(_) => "committed",
        Err(CommitError::Aborted(_)) => "aborted",
        Err(CommitError::Unknown(_)) => "unknown",
    };
    metrics::counter!(telemetry::TRANSACTIONS, "result" => result).increment(1);
}

fn set_gauge(name: &'static str, value: usize) {
    metrics::gauge!(name).set(u32::try_from(value).unwrap_or(u32::MAX));
}

fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_millis())
}
