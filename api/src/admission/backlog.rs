//! What is in the log and not decided yet, as far as this process put it there.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    time::{Duration, Instant},
};

/// How long a partition with undecided commands may be silent before it is taken for one without
/// an owner.
const SILENCE: Duration = Duration::from_millis(400);
/// What may come in meanwhile, as a share of what was decided in the same time before: a little
/// more, since arrivals are not even.
const LEEWAY: f64 = 1.25;
/// And so many, since a few in a row may go to one partition.
const BURST: f64 = 32.0;
/// What may come in a second where nothing is known of before.
const UNKNOWN: f64 = 50.0;
/// How many may wait for one owner of all that came lately ([`GIVEN_UP`]), however long it is away:
/// what its absence may cost in memory.
const MOST: f64 = 1024.0;
/// The share of an owner's decisions by which the backlog of its absence must shrink.
const WORKED_OFF: f64 = 0.25;
/// What is given up: it is decided all the same, and nobody was told.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// Undecided commands by partition.
#[derive(Debug, Default)]
pub(super) struct Backlog(HashMap<i32, Partition>);

#[derive(Debug)]
struct Partition {
    /// The offsets of undecided commands, and when they were appended.
    undecided: BTreeMap<i64, Instant>,
    /// The offset up to which all is decided.
    decided_to: i64,
    /// How many of them came while it had no owner. They count for nothing, or a hand-over would
    /// have commands refused that a moment later could all be decided.
    waived: f64,
    /// When it last decided something, or began to have something to decide.
    heard: Instant,
    /// Decisions in a second while it had an owner, and those that are not in it yet.
    rate: f64,
    decided: usize,
    since: Instant,
}

impl Backlog {
    /// A command stands at `offset`.
    pub(super) fn appended(&mut self, partition: i32, offset: i64, now: Instant) {
        let new = || Partition {
            undecided: BTreeMap::new(),
            decided_to: -1,
            waived: 0.0,
            heard: now,
            rate: 0.0,
            decided: 0,
            since: now,
        };
        let partition = self.0.entry(partition).or_insert_with(new);
        if partition.undecided.is_empty() {
            partition.heard = now;
        }
        if offset > partition.decided_to {
            partition.undecided.insert(offset, now);
        }
    }

    /// The command at `offset` is decided, and therefore all before it; true if the time that it
    /// took tells something about the load.
    pub(super) fn decided(&mut self, partition: i32, offset: i64, now: Instant) -> bool {
        let Some(partition) = self.0.get_mut(&partition) else { return false };
        let tells = partition.waived < 1.0 && !partition.was_absent(now);
        partition.is_heard_of(now);
        let left = partition.undecided.split_off(&(offset + 1));
        let count = mem::replace(&mut partition.undecided, left).len();
        partition.worked_off(count);
        partition.decided_to = partition.decided_to.max(offset);
        tells
    }

    /// The command at `offset` counts no longer, whatever became of those before it.
    pub(super) fn answered(&mut self, partition: i32, offset: i64, now: Instant) {
        let Some(partition) = self.0.get_mut(&partition) else { return };
        partition.is_heard_of(now);
        if partition.undecided.remove(&offset).is_some() {
            partition.worked_off(1);
        }
    }

    /// How many are undecided that somebody could decide, beyond what is waived.
    pub(super) fn counted(&self, now: Instant) -> usize {
        let there = self.0.values().filter(|partition| !partition.is_silent(now));
        there.map(|partition| partition.undecided.len() - whole(partition.waived)).sum()
    }

    /// Whether no more of a mall may wait for the owner of a partition, of whose commands `of_mall`
    /// do already; one of so many `malls` that has less than its share may double what others may.
    pub(super) fn is_full(
        &self,
        partition: i32,
        of_mall: usize,
        malls: usize,
        now: Instant,
    ) -> bool {
        let Some(partition) = self.0.get(&partition) else { return false };
        let most = partition.may_wait(now);
        let has_less = float(of_mall) < most / float(malls.max(1));
        let most = if has_less { 2.0 * most } else { most };
        partition.is_silent(now) && float(partition.undecided.len()) >= most
    }

    /// Whether a partition has undecided commands and nobody who decides them.
    pub(super) fn is_silent(&self, partition: i32, now: Instant) -> bool {
        self.0.get(&partition).is_some_and(|partition| partition.is_silent(now))
    }

    /// How many are undecided.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(|partition| partition.undecided.len()).sum()
    }

    /// Time goes by.
    pub(super) fn turn(&mut self, now: Instant) {
        for partition in self.0.values_mut() {
            partition.undecided.retain(|_, since| now.saturating_duration_since(*since) < GIVEN_UP);
            partition.waived = partition.waived.min(float(partition.undecided.len()));
            // Where something could be decided and nothing is, it may be that nobody is there.
            if partition.decided > 0 || partition.undecided.is_empty() {
                partition.count_decided(now);
            }
        }
    }
}

impl Partition {
    fn is_silent(&self, now: Instant) -> bool {
        !self.undecided.is_empty() && now.saturating_duration_since(self.heard) > SILENCE
    }

    fn count_decided(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        let rate = float(mem::take(&mut self.decided)) / elapsed.max(0.001);
        self.rate += (rate - self.rate) * elapsed.min(1.0);
        self.since = now;
    }

    fn may_wait(&self, now: Instant) -> f64 {
        let silence = now.saturating_duration_since(self.heard).as_secs_f64();
        (BURST + LEEWAY * self.rate.max(UNKNOWN) * silence).min(MOST)
    }

    /// Whether nothing was decided for so long that an owner is more likely to have been away than
    /// to be slow.
    fn was_absent(&self, now: Instant) -> bool {
        self.is_silent(now) && now.saturating_duration_since(self.heard) > 2 * SILENCE
    }

    /// Somebody decides here. What came once it was taken for ownerless is waived; not what came
    /// before, or a slow owner would have everything waived again and again.
    fn is_heard_of(&mut self, now: Instant) {
        if self.is_silent(now) {
            let since = self.heard + SILENCE;
            let came = self.undecided.values().filter(|appended| **appended > since).count();
            self.waived = (self.waived + float(came)).min(float(self.undecided.len()));
        }
        if self.was_absent(now) {
            self.since = now;
        }
        self.heard = now;
    }

    fn worked_off(&mut self, count: usize) {
        self.decided += count;
        let waived = self.waived - float(count) * WORKED_OFF;
        self.waived = waived.min(float(self.undecided.len())).max(0.0);
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
fn whole(count: f64) -> usize {
    count as usize
}

fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
