//! Taking partitions over, in the one order that loses and doubles nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::bail;
use projections::{EngineError, Extent, Fact, snapshot};
use rdkafka::message::{BorrowedMessage, Message as _};
use schemas::{CATALOG, Lane, Topic};

use super::{
    ANSWER, Surroundings,
    batch::{GONE_BACK, Owned},
    partition::{Decided, NextCommands, Partition, Stands},
    places::Reached,
    stopped,
};
use crate::log::{Bounds, Tail};

/// What is read of the log before a partition is taken.
const READ: [Topic; 2] = [CATALOG.events, CATALOG.decisions];
/// The lanes.
const LANES: [Topic; 2] = [CATALOG.commands, CATALOG.bulk];

/// Learns everything that must be known before a command of `partitions` is decided.
///
/// The order is the proof. First the group's offsets of both lanes, once stable: a predecessor's
/// late commit is in them, and after it none can succeed: this generation fences it, and one of our
/// own whose outcome was unknown has ended, or its offsets would not be stable. Then the ends of the
/// log, which therefore hold every event that was committed. Then the checkpoints: what they cover is
/// in MySQL, and the rest up to the ends is read here. Any other order leaves a gap between two of them
/// into which a commit can fall unseen.
///
/// The group's offsets are believed no further than that. A coordinator that was restarted has been
/// seen to tell those of a hundred thousand commands before (decision 25). So what `reached` says that
/// this worker has decided is not read again, and what stood in the lanes before the taking is looked
/// up like a command that is sent again.
///
/// What cannot be taken by itself, or not within `patience`, is left for another time, and does not
/// hold up the rest.
///
/// # Errors
/// When the group's offsets are not to be had within `patience`.
pub(super) fn take(
    around: &Surroundings,
    tail: &Tail,
    partitions: &[i32],
    reached: &mut Reached,
    patience: Duration,
) -> anyhow::Result<Owned> {
    let deadline = Instant::now() + patience;
    let interactive = tail.committed(CATALOG.commands.name, partitions, deadline)?;
    let bulk = tail.committed(CATALOG.bulk.name, partitions, deadline)?;
    let mut owned = Owned::new();
    let mut ids = tail.topic_ids(&[READ, LANES].concat())?;
    reached.in_topics(&ids.split_off(READ.len()));
    for ((partition, interactive), bulk) in partitions.iter().zip(interactive).zip(bulk) {
        // Each may take as long as its questions do, and the group is not served meanwhile.
        if Instant::now() >= deadline {
            break;
        }
        let next = NextCommands { interactive, bulk };
        let taken = places(tail, *partition, next, reached).and_then(|(from, ends)| {
            let mut taken = one(around, tail, *partition, &ids, from, deadline)?;
            taken.has_backlog(ends);
            if from != next {
                taken.goes_back();
            }
            Ok(taken)
        });
        match taken {
            Ok(taken) => {
                stopped(*partition).set(0);
                owned.insert(*partition, taken);
            }
            Err(error) => {
                metrics::counter!(crate::telemetry::RETRIES, "reason" => "take").increment(1);
                let refused = match error.downcast_ref() {
                    Some(EngineError::Refused(why)) => Some(why.to_string()),
                    _ => error.downcast_ref().map(Stopped::to_string),
                };
                if let Some(why) = refused {
                    tracing::error!(partition, why, "the partition is stopped");
                    stopped(*partition).set(1);
                    continue;
                }
                let error = format!("{error:#}");
                tracing::warn!(partition, error, "the partition is not taken yet");
            }
        }
    }
    Ok(owned)
}

/// Where to go on, and where the lanes end.
///
/// A place beyond the end tells of a log that has lost its end, or was made anew; what is appended
/// then is found before that place. So all that there is is read again: what was decided meets its
/// decision.
///
/// # Errors
/// [`Stopped::CutOff`] where what is to be decided next is no longer in the log.
fn places(
    tail: &Tail,
    partition: i32,
    mut next: NextCommands,
    reached: &Reached,
) -> anyhow::Result<(NextCommands, NextCommands)> {
    let mut ends = NextCommands::default();
    for lane in Lane::ALL {
        let topic = CATALOG.lane(lane).name;
        let Bounds { next: start, end } = tail.bounds_about(topic, partition, next.of(lane))?;
        ends.set(lane, end);
        let (told, reached) = (next.of(lane), reached.at(lane, partition));
        // Not beyond the end: brokers that lost their disks have lost commands.
        if let Some(reached) = reached.filter(|reached| (told + 1..=end).contains(reached)) {
            tracing::error!(partition, lane = lane.as_str(), told, reached, "{GONE_BACK}");
            next.set(lane, reached);
        }
        if next.of(lane) > end {
            let name = lane.as_str();
            tracing::error!(partition, lane = name, told, start, end, "the log has lost its end");
            next.set(lane, start);
        }
        let next = next.of(lane);
        if next < start {
            return Err(Stopped::CutOff { topic, next, start }.into());
        }
    }
    Ok((next, ends))
}

fn one(
    around: &Surroundings,
    tail: &Tail,
    partition: i32,
    ids: &[String],
    next: NextCommands,
    deadline: Instant,
) -> anyhow::Result<Partition> {
    let events = tail.high_watermark(CATALOG.events.name, partition)?;
    let decisions = tail.high_watermark(CATALOG.decisions.name, partition)?;
    tail.wait_settled(CATALOG.events.name, partition, events, deadline)?;
    tail.wait_settled(CATALOG.decisions.name, partition, decisions, deadline)?;
    let mut log = BTreeMap::new();
    for ((topic, id), end) in READ.iter().zip(ids).zip([events, decisions]) {
        let start = tail.bounds(topic.name, partition)?.next;
        log.insert(topic.name.to_owned(), Extent { topic_id: id.clone(), start, end });
    }
    let covered = around.ask(snapshot::take(&around.db, &around.tables, partition, &log))?;
    let mut taken = Partition::new(next, covered);
    let first_event = covered.snapshot.min(covered.status_events);
    let event_bounds = bounds(&CATALOG.events, around, first_event, events)?;
    // Decisions expire, and with them what nobody has read: it is older than any retry.
    let kept = log.get(CATALOG.decisions.name).map_or(0, |extent| extent.start);
    let first_decision = covered.status_decisions.max(kept.min(decisions));
    let decision_bounds = bounds(&CATALOG.decisions, around, first_decision, decisions)?;
    let patience = || deadline.saturating_duration_since(Instant::now());
    tail.read(CATALOG.events.name, partition, event_bounds, patience(), |message| {
        keep_event(around, &mut taken, message)
    })?;
    tail.read(CATALOG.decisions.name, partition, decision_bounds, patience(), |message| {
        keep_decision(around, &mut taken, message)
    })?;
    tracing::info!(partition, ?next, events, decisions, ?covered, "partition taken");
    Ok(taken)
}

/// Where the lane goes on after `next`: there, or at its end where no command stands before that.
/// The end is asked for first, so a command that comes later lies beyond it.
///
/// # Errors
/// When the brokers do not answer.
pub(super) fn beyond_markers(
    tail: &Tail,
    lane: Lane,
    partition: i32,
    next: i64,
) -> anyhow::Result<i64> {
    let topic = CATALOG.lane(lane).name;
    let end = tail.bounds(topic, partition)?.end;
    if end <= next {
        return Ok(next);
    }
    let first = tail.first(topic, partition, Bounds { next, end }, ANSWER)?;
    Ok(if first.is_none() { end } else { next })
}

/// Why nothing of a partition can be decided for now.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    /// Until another build owns the partition, or a projector of that build has taken the event in.
    #[error("the event at {0} cannot be read by this build")]
    Unreadable(i64),
    /// Until somebody has looked: commands may have been cut off before they were decided.
    #[error(
        "{topic} goes on at {next}, but begins at {start} (docs/reliability.md, A partition stopped)"
    )]
    CutOff { topic: &'static str, next: i64, start: i64 },
}

fn bounds(topic: &Topic, around: &Surroundings, next: i64, end: i64) -> anyhow::Result<Bounds> {
    let missing = usize::try_from(end - next).unwrap_or(usize::MAX);
    if missing > around.tail_max {
        bail!("{missing} records of {} are not projected yet; waiting", topic.name);
    }
    Ok(Bounds { next, end })
}

fn keep_event(
    around: &Surroundings,
    taken: &mut Partition,
    message: &BorrowedMessage<'_>,
) -> anyhow::Result<()> {
    let offset = message.offset();
    let fact = around.decoder.logged(message)?.fact;
    let head = match &fact {
        Fact::NewerEvent { critical: true, .. } => None,
        fact => fact.event_head(),
    };
    let Some(head) = head else { return Err(Stopped::Unreadable(offset).into()) };
    if offset >= taken.covered.status_events {
        let decided = Decided::of_event(head.origin, head.version, offset);
        taken.keep_decision(head.origin.command, decided);
    }
    if offset >= taken.covered.snapshot {
        taken.keep_event(head.origin.aggregate, offset, fact);
    }
    Ok(())
}

fn keep_decision(
    around: &Surroundings,
    taken: &mut Partition,
    message: &BorrowedMessage<'_>,
) -> anyhow::Result<()> {
    let offset = message.offset();
    let Fact::Decision(decision) = around.decoder.logged(message)?.fact else {
        bail!("the decision at {offset} cannot be read by this build");
    };
    let decided = Decided {
        body_hash: decision.origin.body_hash,
        verdict: decision.body.verdict,
        code: decision.body.code,
        detail: decision.body.detail,
        version: decision.body.version,
        last_event: decision.body.last_event_offset,
        stands: Stands::Decisions(offset),
    };
    taken.keep_decision(decision.origin.command, decided);
    Ok(())
}
