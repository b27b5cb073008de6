//! One partition of every topic of a context, read in the order that makes it comparable.

use std::time::{Duration, Instant};

use domain::{Timestamp, catalog};
use projections::Logged;
use rdkafka::{Message, message::BorrowedMessage};
use schemas::{
    CATALOG, CodecError, CommandMessage, HeaderSource, Lane, Records, topic::PARTITIONS,
};
use uuid::Uuid;

use super::{
    Checks, Pass,
    fate::Asked,
    kept::Kept,
    ledger::Ledger,
    order::Order,
    scope::{Scope, Slice},
};
use crate::{
    log::{Bounds, Decoder, MessageHeaders, is_too_large, key_of, origin_of},
    standing::ANSWER,
};

/// Reading itself has no limit, but silence has.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// How far a partition is read.
pub(super) struct Stretch {
    pub(super) partition: i32,
    decisions: Bounds,
    pub(super) events: Bounds,
    /// Each lane with the offset below which its commands are decided.
    lanes: [(Lane, i64, Bounds); 2],
    order: Order,
    kept: Kept,
}

impl Stretch {
    /// What counts as decided is fixed first, then the ends of what decides, then the end of the
    /// commands: so a command that counts has its decision in sight, and a decision in sight has
    /// its command in sight, whatever goes on meanwhile. What the group has accepted is asked for
    /// once more after the ends, since whatever stands before them was accepted with them.
    pub(super) fn of(pass: &Pass<'_>, partition: i32) -> anyhow::Result<Self> {
        let (log, at) = (&pass.observer.log, usize::try_from(partition)?);
        let offset = |lane| pass.decided(lane).map(|offsets| offsets.map(|offsets| offsets[at]));
        let decided = [offset(Lane::Interactive)?, offset(Lane::Bulk)?];
        let decisions = settled(pass, CATALOG.decisions.name, partition)?;
        let events = settled(pass, CATALOG.events.name, partition)?;
        let accepted = [offset(Lane::Interactive)?, offset(Lane::Bulk)?];
        let bounds = |lane| log.tail.bounds(CATALOG.lane(lane).name, partition);
        let lanes = [
            (Lane::Interactive, decided[0].unwrap_or(0), bounds(Lane::Interactive)?),
            (Lane::Bulk, decided[1].unwrap_or(0), bounds(Lane::Bulk)?),
        ];
        let commands = lanes.map(|(.., commands)| commands);
        let kept = Kept::of(log, partition, commands, decisions, pass.kept_for)?;
        let order = Order::new(accepted, kept.lanes == [true; 2]);
        Ok(Self { partition, decisions, events, lanes, order, kept })
    }

    /// How many offsets it has.
    pub(super) fn length(&self) -> u64 {
        let [one, other] = &self.lanes;
        let all = [self.decisions, self.events, one.2, other.2];
        all.iter().map(|bounds| bounds.end.saturating_sub(bounds.next).unsigned_abs()).sum()
    }
}

/// The bounds of a topic, once what was open when it was asked is settled; at once where that is
/// known to stay open.
fn settled(pass: &Pass<'_>, topic: &'static str, partition: i32) -> anyhow::Result<Bounds> {
    let tail = &pass.observer.log.tail;
    if !pass.stuck.contains(&(topic, partition)) {
        let high = tail.high_watermark(topic, partition)?;
        tail.wait_settled(topic, partition, high, Instant::now() + ANSWER)?;
    }
    tail.bounds(topic, partition)
}

/// Reads a slice of the partition.
pub(super) fn read<'s>(
    pass: &mut Pass<'s>,
    stretch: &Stretch,
    slice: Slice,
) -> anyhow::Result<Ledger<'s>> {
    let (scope, decoder) = (pass.scope, pass.decoder.clone());
    let mut ledger = Ledger::new(stretch.partition, scope, stretch.kept, stretch.order);
    for (lane, decided, bounds) in &stretch.lanes {
        let taken = Taken { scope, decoder: &decoder, lane: *lane, decided: *decided };
        stretch.read(pass, slice, CATALOG.lane(*lane).name, *bounds, |message, _| {
            taken.command(&mut ledger, message)
        })?;
    }
    stretch.read(pass, slice, CATALOG.decisions.name, stretch.decisions, |message, checks| {
        ledger.take_decision(&decoder.logged(message)?, checks);
        Ok(())
    })?;
    stretch.read(pass, slice, CATALOG.events.name, stretch.events, |message, checks| {
        take_event(&mut ledger, &decoder.logged(message)?, message, checks);
        Ok(())
    })?;
    Ok(ledger)
}

impl Stretch {
    fn read(
        &self,
        pass: &mut Pass<'_>,
        slice: Slice,
        topic: &str,
        bounds: Bounds,
        mut take: impl FnMut(&BorrowedMessage<'_>, &mut Checks) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (partition, observer, mut at) = (self.partition, pass.observer, bounds.next);
        let doing = || format!("{topic} {partition}, slice {} of {}", slice.at + 1, slice.of);
        observer.log.tail.read(topic, partition, bounds, SILENCE, |message| {
            pass.progress.pass((message.offset() + 1 - at).unsigned_abs(), doing);
            at = message.offset() + 1;
            if slice.holds(key_of(message)) {
                pass.records += 1;
                take(message, &mut pass.checks)?;
            }
            Ok(())
        })?;
        pass.progress.pass(bounds.end.saturating_sub(at).max(0).unsigned_abs(), doing);
        Ok(())
    }
}

/// How the commands of a lane are taken.
struct Taken<'s> {
    scope: &'s Scope,
    decoder: &'s Decoder,
    lane: Lane,
    decided: i64,
}

impl Taken<'_> {
    /// A command whose headers say whose it is gets a decision, even if the rest cannot be read;
    /// one that is due has it.
    fn command(
        &self,
        ledger: &mut Ledger<'_>,
        message: &BorrowedMessage<'_>,
    ) -> anyhow::Result<()> {
        let headers = MessageHeaders::of(message);
        let Some(key) = key_of(message) else { return Ok(()) };
        let Some(origin) = origin_of(&headers, key) else { return Ok(()) };
        if !self.scope.is_of(&origin.mall) {
            return Ok(());
        }
        let appended = Timestamp(message.timestamp().to_millis().unwrap_or_default());
        let is_judged = self.scope.is_then(appended);
        let wish = if is_judged { self.wish(message, &headers, key)? } else { None };
        let asked = Asked {
            lane: self.lane,
            offset: message.offset(),
            appended,
            aggregate: origin.aggregate,
            is_due: message.offset() < self.decided,
            is_judged,
            wish,
        };
        ledger.take_command(origin.command, asked);
        Ok(())
    }

    fn wish(
        &self,
        message: &BorrowedMessage<'_>,
        headers: &MessageHeaders<'_>,
        key: Uuid,
    ) -> anyhow::Result<Option<CommandMessage>> {
        if is_too_large(message, headers) {
            return Ok(None);
        }
        let body = match self.decoder.open(message.payload().unwrap_or_default()) {
            Err(error @ CodecError::Registry(_)) => return Err(error.into()),
            opened => opened.and_then(|frame| catalog::Command::decode(&frame)).ok().flatten(),
        };
        Ok(body.and_then(|body| CommandMessage::read(headers, key, body).ok()))
    }
}

fn take_event(
    ledger: &mut Ledger<'_>,
    logged: &Logged,
    message: &BorrowedMessage<'_>,
    checks: &mut Checks,
) {
    let headers = MessageHeaders::of(message);
    let id = headers.header("ce_id").and_then(|id| Uuid::try_parse_ascii(id).ok());
    let key = key_of(message).map(|key| key.to_string()).unwrap_or_default();
    let at_home = schemas::partition_of(&key, PARTITIONS) == logged.partition;
    ledger.take_event(logged, id, at_home, checks);
}
