//! The two lanes that commands come by, and how much of each goes into one transaction.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use schemas::{CATALOG, Lane};

use super::{Surroundings, batch::Owned, held::Held, wish::Wish};
use crate::{
    log::{
        Change, Member, Ownership, READING, Silence, group_of_handler, is_stranded, native,
        passing, read_on, whole_millis,
    },
    telemetry::BULK_REST,
};

/// How much of one lane may be in memory for a batch, in bytes.
const BATCH_BYTES: usize = 16 << 20;

/// Whoever sent a command by the interactive lane within this time will soon send the next.
const LATELY: Duration = Duration::from_secs(5);

/// How long whoever waits may wait for a transaction that holds bulk commands: where they take
/// longer, the next one holds fewer, though never fewer than these. Even one bulk command costs a
/// transaction, so with fewer still an import would only take longer.
const FOR_BULK: Duration = Duration::from_millis(60);
const LEAST: usize = 10;

/// For how many times what it took nothing more is taken of the bulk lane while interactive
/// commands come: that is the share of the machine that they, and whatever follows the log, keep.
/// In hundredths, and as long as it must be for one in a hundred transactions to be a slow one of
/// theirs: it grows by 100 with such a one and shrinks by 1 with each other. What a slow one waits for
/// is all who follow the bulk transactions on the same processors, so only those who wait can tell.
/// What they wait behind a bulk transaction itself is kept rare by the least rest.
const REST: RangeInclusive<u32> = 400..=1600;
const LONGEST_REST: Duration = Duration::from_millis(500);

/// How long the thread sleeps in the interactive lane while both are empty: so long may a bulk
/// command lie unseen, where bulk commands came lately and where not.
const BULK_SEEN_IN: Duration = Duration::from_millis(1);
const BULK_FOUND_IN: Duration = Duration::from_millis(20);

/// Reads both lanes of the partitions that this worker owns.
///
/// Only the interactive lane is subscribed, since two subscriptions can end up with two owners.
/// Each lane has a consumer of its own: what librdkafka has fetched is served in the order in
/// which it came, so in one queue an import would stand before whoever waits.
pub(super) struct Lanes {
    member: Member,
    bulk: BaseConsumer,
    /// Bulk commands that wait for their turn; what they need was asked for.
    held: Held,
    share: Share,
    interactive_at: Option<Instant>,
    bulk_at: Option<Instant>,
    silence: Silence,
    bulk_silence: Silence,
}

/// What was gathered.
pub(super) enum Gathered {
    /// Commands: the interactive ones first, each lane in the order of its log.
    Wishes(Vec<Wish>),
    /// Others own now what was read.
    Rebalanced(Vec<Change>),
}

impl Lanes {
    /// Joins the group of the handlers.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub(super) fn join(around: &Surroundings) -> anyhow::Result<Self> {
        let group = group_of_handler(CATALOG.name);
        let member: Member =
            around.kafka.member(&group).create_with_context(Ownership::default())?;
        member.subscribe(&[CATALOG.commands.name])?;
        // librdkafka assigns nothing to a consumer without a group; this one never joins it.
        let bulk = around.kafka.consumer().set("group.id", &group).create()?;
        let share = Share::new(around.bulk_share, around.bulk_max, around.slow);
        Ok(Self {
            member,
            bulk,
            held: Held::default(),
            share,
            interactive_at: None,
            bulk_at: None,
            silence: Silence::default(),
            bulk_silence: Silence::default(),
        })
    }

    /// Reads on exactly where the last committed decision of each lane ended; nothing comes while
    /// it is to `hold`.
    ///
    /// # Errors
    /// When librdkafka refuses the assignment.
    pub(super) fn start(&mut self, owned: &Owned, hold: bool) -> anyhow::Result<()> {
        self.held.clear();
        let from = |lane| if hold { Ok(TopicPartitionList::new()) } else { positions(owned, lane) };
        read_on(&self.member, &from(Lane::Interactive)?).context("assigning partitions")?;
        self.bulk.assign(&from(Lane::Bulk)?).context("assigning partitions of the bulk lane")
    }

    /// Whether the group is left for good: see [`is_stranded`].
    pub(super) fn are_stranded(&self) -> bool {
        is_stranded(&self.member, CATALOG.commands.name)
    }

    /// Takes the commands that are there: while one batch is committed, the next one gathers. Of the
    /// bulk lane, only what is held.
    ///
    /// # Errors
    /// When the position is outside the log, or the registry does not answer.
    pub(super) fn gather(
        &mut self,
        around: &Surroundings,
        most: usize,
    ) -> anyhow::Result<Gathered> {
        let bootstrap = &around.kafka.bootstrap;
        self.silence.break_with(|| native::show_brokers(self.member.client(), bootstrap));
        let mut batch = Filling { around, wishes: vec![], bytes: 0 };
        // However many wait interactively, an import goes on.
        let interactive_most = most.saturating_sub(LEAST).max(1);
        let patience = self.patience();
        loop {
            let wait =
                if batch.wishes.is_empty() { whole_millis(patience) } else { Duration::ZERO };
            let message = self.member.poll(wait);
            let changes = self.member.context().changes();
            if !changes.is_empty() {
                drop(message);
                self.bulk.unassign()?;
                self.held.clear();
                return Ok(Gathered::Rebalanced(changes));
            }
            if !batch.take(Lane::Interactive, &self.silence, message)?
                || !batch.has_room(interactive_most)
            {
                break;
            }
        }
        let mut wishes = batch.wishes;
        if !wishes.is_empty() {
            self.interactive_at = Some(Instant::now());
        }
        let share = self.share.now(self.is_busy(), Instant::now());
        wishes.extend(self.held.take(share.min(most.saturating_sub(wishes.len()))));
        Ok(Gathered::Wishes(wishes))
    }

    /// Reads on in the bulk lane as far as the next batch may go: `most` commands, and while
    /// somebody waits a share of every partition, since each turn is one partition's.
    ///
    /// # Errors
    /// When the position is outside the log, or the registry does not answer.
    pub(super) fn look_ahead(
        &mut self,
        around: &Surroundings,
        most: usize,
    ) -> anyhow::Result<Vec<Wish>> {
        let bootstrap = &around.kafka.bootstrap;
        self.bulk_silence.break_with(|| native::show_brokers(self.bulk.client(), bootstrap));
        let turns = usize::try_from(CATALOG.commands.partitions).unwrap_or(1);
        let share = if self.is_busy() { self.share.now * turns } else { self.share.alone };
        let room = share.min(most).saturating_sub(self.held.len());
        let mut batch = Filling { around, wishes: vec![], bytes: self.held.bytes() };
        while batch.has_room(room)
            && batch.take(Lane::Bulk, &self.bulk_silence, self.bulk.poll(Duration::ZERO))?
        {}
        if !batch.wishes.is_empty() {
            self.bulk_at = Some(Instant::now());
        }
        Ok(batch.wishes)
    }

    /// Holds what was read ahead until its turn comes.
    pub(super) fn hold(&mut self, wishes: Vec<Wish>) {
        self.held.extend(wishes);
    }

    /// Whether somebody waits for his commands, here and now.
    fn is_busy(&self) -> bool {
        self.interactive_at.is_some_and(|at| at.elapsed() < LATELY)
    }

    /// How long the thread may sleep in the interactive lane before it looks at the other.
    fn patience(&self) -> Duration {
        let rest = self.share.rests_until.filter(|_| self.is_busy());
        let rest = rest.map(|end| end.saturating_duration_since(Instant::now()));
        let is_coming = self.held.len() > 0 || self.bulk_at.is_some_and(|at| at.elapsed() < LATELY);
        match rest {
            Some(rest) if !rest.is_zero() => rest.min(BULK_FOUND_IN),
            _ if is_coming => BULK_SEEN_IN,
            _ => BULK_FOUND_IN,
        }
    }

    /// Notes how long it took to decide and commit a batch with so many commands of each lane.
    pub(super) fn took(&mut self, interactive: usize, bulk: usize, time: Duration) {
        self.share.took([interactive, bulk], time, Instant::now());
        metrics::gauge!(BULK_REST).set(f64::from(self.share.rest) / 100.0);
    }
}

/// How many bulk commands a transaction may hold, and when: whoever sends an interactive command
/// while it is open waits for all of it.
///
/// While interactive commands come, bulk transactions are small: it is not only the transaction
/// that whoever comes next waits for, but also all that follows it, the index first, which keeps
/// the processors busy for several times as long.
struct Share {
    now: usize,
    most: usize,
    alone: usize,
    /// Longer than this, a transaction that somebody waits for is slow.
    slow: Duration,
    rest: u32,
    rests_until: Option<Instant>,
}

impl Share {
    /// At most `most` while interactive commands come, and `alone` while none do.
    fn new(most: usize, alone: usize, slow: Duration) -> Self {
        let most = most.max(LEAST);
        let rest = u32::midpoint(*REST.start(), *REST.end());
        Self { now: most, most, alone: alone.max(most), slow, rest, rests_until: None }
    }

    fn now(&self, is_busy: bool, at: Instant) -> usize {
        match self.rests_until {
            _ if !is_busy => self.alone,
            Some(end) if at < end => 0,
            _ => self.now,
        }
    }

    /// The rest follows those who wait; the share is halved where a batch took too long, and grows
    /// slowly where it was used up in time.
    fn took(&mut self, [interactive, bulk]: [usize; 2], time: Duration, at: Instant) {
        let is_slow = interactive > 0 && time > self.slow;
        let rest = if is_slow { self.rest + 100 } else { self.rest - 1 };
        self.rest = rest.clamp(*REST.start(), *REST.end());
        if bulk == 0 {
            return;
        }
        self.rests_until = Some(at + (time * self.rest / 100).min(LONGEST_REST));
        if bulk > self.now {
            return;
        }
        if time > FOR_BULK {
            self.now = (self.now / 2).max(LEAST);
        } else if bulk == self.now {
            self.now = (self.now + LEAST).min(self.most);
        }
    }
}

/// A batch in the making.
struct Filling<'a> {
    around: &'a Surroundings,
    wishes: Vec<Wish>,
    bytes: usize,
}

impl Filling<'_> {
    fn has_room(&self, most: usize) -> bool {
        self.wishes.len() < most && self.bytes < BATCH_BYTES
    }

    /// Takes what a poll brought; false when it brought nothing.
    fn take(
        &mut self,
        lane: Lane,
        silence: &Silence,
        message: Option<rdkafka::error::KafkaResult<rdkafka::message::BorrowedMessage<'_>>>,
    ) -> anyhow::Result<bool> {
        match message {
            Some(Ok(message)) => {
                silence.record(READING);
                let wish = Wish::read(&self.around.decoder, lane, &message)?;
                self.bytes += wish.size;
                self.wishes.push(wish);
            }
            Some(Err(error)) => passing(error, silence)?,
            None => return Ok(false),
        }
        Ok(true)
    }
}

fn positions(owned: &Owned, lane: Lane) -> anyhow::Result<TopicPartitionList> {
    let mut from = TopicPartitionList::new();
    for (partition, owned) in owned {
        let offset = Offset::Offset(owned.next_command(lane));
        from.add_partition_offset(CATALOG.lane(lane).name, *partition, offset)?;
    }
    Ok(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_millis(15);

    fn share() -> Share {
        Share::new(25, 2000, SLOW)
    }

    #[test]
    fn bulk_commands_rest_only_while_somebody_waits() {
        let (mut share, begin) = (share(), Instant::now());
        let after = |millis| begin + Duration::from_millis(millis);
        assert_eq!((share.now(true, begin), share.now(false, begin)), (25, 2000));
        share.rest = 1001;
        share.took([0, 25], Duration::from_millis(30), begin);
        assert_eq!((share.now(true, after(299)), share.now(false, after(299))), (0, 2000));
        assert_eq!(share.now(true, after(300)), 25);
        share.took([0, 25], Duration::from_secs(9), begin);
        assert_eq!((share.now(true, after(499)), share.now(true, after(500))), (0, 12));
    }

    #[test]
    fn a_rest_settles_where_one_in_a_hundred_waits_long() {
        // The shorter the rest, the more are slow: one in a hundred where it is 800.
        let settled = |begin| {
            let (mut share, mut due) = (share(), 0);
            share.rest = begin;
            for _ in 0..20_000 {
                due += 800 * 800 / share.rest;
                let is_slow = due >= 80_000;
                due -= if is_slow { 80_000 } else { 0 };
                share.took([1, 0], SLOW + Duration::from_millis(is_slow.into()), Instant::now());
            }
            share.rest
        };
        for begin in [*REST.start(), *REST.end()] {
            let rest = settled(begin);
            assert!((650..950).contains(&rest), "from {begin} to {rest}");
        }
    }

    #[test]
    fn nobody_waits_for_a_transaction_of_bulk_commands_alone() {
        let mut share = share();
        let before = share.rest;
        share.took([0, 25], SLOW * 2, Instant::now());
        assert_eq!(share.rest, before - 1);
        share.took([1, 25], SLOW * 2, Instant::now());
        assert_eq!(share.rest, before + 99);
    }

    #[test]
    fn a_share_shrinks_where_it_takes_long_and_grows_where_it_was_used_up() {
        let (mut share, begin) = (share(), Instant::now());
        let mut now_after = |bulk, millis| {
            share.took([0, bulk], Duration::from_millis(millis), begin);
            share.now(true, begin + LONGEST_REST)
        };
        assert_eq!([now_after(25, 61), now_after(12, 61), now_after(10, 61)], [12, LEAST, LEAST]);
        assert_eq!([now_after(9, 1), now_after(10, 1), now_after(20, 1)], [10, 20, 25]);
        assert_eq!(now_after(2000, 3000), 25, "one that nobody waited for says nothing");
    }
}
