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
/// more, since arrivals are not even; and little where more was asked for already.
const LEEWAY: f64 = 1.25;
const LEEWAY_UNDER_PRESSURE: f64 = 0.25;
/// What may come in a second where nothing is known of before.
const UNKNOWN: f64 = 50.0;
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
    /// What may come in from then on, as a share of what is decided.
    leeway: f64,
    /// Decisions since the last turn, and in a second while it had an owner.
    decided: usize,
    rate: f64,
}

impl Backlog {
    /// A command stands at `offset`.
    pub(super) fn appended(&mut self, partition: i32, offset: i64, now: Instant) {
        let new = || Partition {
            undecided: BTreeMap::new(),
            decided_to: -1,
            waived: 0.0,
            heard: now,
            leeway: LEEWAY,
            decided: 0,
            rate: 0.0,
        };
        let partition = self.0.entry(partition).or_insert_with(new);
        if partition.undecided.is_empty() {
            partition.heard = now;
        }
        if offset > partition.decided_to {
            partition.undecided.insert(offset, now);
        }
    }

    /// The command at `offset` is decided, and therefore all before it, while `pressed` says that
    /// more is asked for than can be; true if the time that it took tells something about the load.
    pub(super) fn decided(
        &mut self,
        partition: i32,
        offset: i64,
        now: Instant,
        pressed: bool,
    ) -> bool {
        let Some(partition) = self.0.get_mut(&partition) else { return false };
        partition.waived = partition.allowance(now);
        let tells = partition.waived < 1.0;
        let left = partition.undecided.split_off(&(offset + 1));
        partition.worked_off(left, now);
        partition.leeway = if pressed { LEEWAY_UNDER_PRESSURE } else { LEEWAY };
        partition.decided_to = partition.decided_to.max(offset);
        tells
    }

    /// The command at `offset` counts no longer, whatever became of those before it.
    pub(super) fn answered(&mut self, partition: i32, offset: i64) {
        if let Some(partition) = self.0.get_mut(&partition) {
            partition.undecided.remove(&offset);
        }
    }

    /// How many are undecided beyond what is waived.
    pub(super) fn counted(&self, now: Instant) -> usize {
        let beyond = |partition: &Partition| {
            partition.undecided.len().saturating_sub(whole(partition.allowance(now)))
        };
        self.0.values().map(beyond).sum()
    }

    /// How many are undecided.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(|partition| partition.undecided.len()).sum()
    }

    /// `elapsed` went by since the last turn.
    pub(super) fn turn(&mut self, now: Instant, elapsed: Duration) {
        for partition in self.0.values_mut() {
            partition.undecided.retain(|_, since| now.saturating_duration_since(*since) < GIVEN_UP);
            if !partition.is_silent(now) {
                let rate = float(partition.decided) / elapsed.as_secs_f64().max(0.001);
                partition.rate += (rate - partition.rate) * 0.1;
            }
            partition.decided = 0;
        }
    }
}

impl Partition {
    fn is_silent(&self, now: Instant) -> bool {
        !self.undecided.is_empty() && now.saturating_duration_since(self.heard) > SILENCE
    }

    fn allowance(&self, now: Instant) -> f64 {
        if !self.is_silent(now) {
            return self.waived;
        }
        let silence = now.saturating_duration_since(self.heard).as_secs_f64();
        self.waived + self.leeway * self.rate.max(UNKNOWN) * silence
    }

    fn worked_off(&mut self, left: BTreeMap<i64, Instant>, now: Instant) {
        let count = mem::replace(&mut self.undecided, left).len();
        self.heard = now;
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
