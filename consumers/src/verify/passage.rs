//! One partition of every topic of a context, read in the order that makes it comparable.

use std::time::{Duration, Instant};

use domain::catalog;
use projections::Logged;
use rdkafka::{Message, message::BorrowedMessage};
use schemas::{
    CATALOG, CodecError, CommandMessage, HeaderSource, Lane, Origin, Records, topic::PARTITIONS,
};
use uuid::Uuid;

use super::{Checks, ledger::Ledger};
use crate::{
    log::{Bounds, Decoder, MessageHeaders, key_of},
    standing::{ANSWER, Observer},
};

/// A partition that was read.
pub(super) struct Passage {
    pub(super) ledger: Ledger,
    /// The ends of the events and decisions that were read.
    pub(super) events_end: i64,
    pub(super) decisions_end: i64,
    pub(super) records: u64,
}

/// Reading itself has no limit of its own, but silence has.
const READING: Duration = Duration::from_secs(3600);

/// Reads the partition. What counts as decided is fixed first, then the ends of what decides, then
/// the end of the commands: so a command that counts has its decision in sight, and a decision in
/// sight has its command in sight, whatever goes on meanwhile.
pub(super) fn read(
    observer: &Observer,
    decoder: &Decoder,
    partition: i32,
    checks: &mut Checks,
) -> anyhow::Result<Passage> {
    let at = usize::try_from(partition)?;
    let decided =
        [observer.log.decided(Lane::Interactive)?[at], observer.log.decided(Lane::Bulk)?[at]];
    let decisions = settled(observer, CATALOG.decisions.name, partition)?;
    let events = settled(observer, CATALOG.events.name, partition)?;
    let mut lanes = vec![];
    for (lane, decided) in Lane::ALL.into_iter().zip(decided) {
        let topic = CATALOG.lane(lane).name;
        lanes.push((topic, decided, observer.log.tail.bounds(topic, partition)?));
    }
    // Nothing was deleted yet, so every decision must have its command.
    let complete = lanes.iter().all(|(_, _, commands)| commands.next == 0);
    let mut reading = Reading { observer, partition, records: 0 };
    let mut ledger = Ledger::new(partition, complete);
    for (topic, decided, commands) in lanes {
        reading.read(topic, commands, |message| {
            take_command(&mut ledger, decoder, message, message.offset() < decided)
        })?;
    }
    reading.read(CATALOG.decisions.name, decisions, |message| {
        ledger.take_decision(&decoder.logged(message)?, checks);
        Ok(())
    })?;
    reading.read(CATALOG.events.name, events, |message| {
        let logged = decoder.logged(message)?;
        take_event(&mut ledger, &logged, message, checks);
        Ok(())
    })?;
    let records = reading.records;
    let (events_end, decisions_end) = (events.end, decisions.end);
    Ok(Passage { ledger, events_end, decisions_end, records })
}

/// The bounds of a topic, once what was open when it was asked is settled.
fn settled(observer: &Observer, topic: &str, partition: i32) -> anyhow::Result<Bounds> {
    let high = observer.log.tail.high_watermark(topic, partition)?;
    observer.log.tail.wait_settled(topic, partition, high, Instant::now() + ANSWER)?;
    observer.log.tail.bounds(topic, partition)
}

/// A command whose headers say whose it is gets a decision, even if the rest cannot be read; one
/// that `is_due` has it.
fn take_command(
    ledger: &mut Ledger,
    decoder: &Decoder,
    message: &BorrowedMessage<'_>,
    is_due: bool,
) -> anyhow::Result<()> {
    let headers = MessageHeaders(message);
    let Some(key) = key_of(message) else { return Ok(()) };
    let Ok(origin) = Origin::of_command(&headers, key) else { return Ok(()) };
    let body = match decoder.open(message.payload().unwrap_or_default()) {
        Err(error @ CodecError::Registry(_)) => return Err(error.into()),
        opened => opened.and_then(|frame| catalog::Command::decode(&frame)).ok().flatten(),
    };
    let wish = body.and_then(|body| CommandMessage::read(&headers, key, body).ok());
    ledger.take_command(origin.command, origin.aggregate, is_due, wish);
    Ok(())
}

fn take_event(
    ledger: &mut Ledger,
    logged: &Logged,
    message: &BorrowedMessage<'_>,
    checks: &mut Checks,
) {
    let headers = MessageHeaders(message);
    let id = headers.header("ce_id").and_then(|id| Uuid::try_parse_ascii(id).ok());
    let key = key_of(message).map(|key| key.to_string()).unwrap_or_default();
    let at_home = schemas::partition_of(&key, PARTITIONS) == logged.partition;
    ledger.take_event(logged, id, at_home, checks);
}

struct Reading<'o> {
    observer: &'o Observer,
    partition: i32,
    records: u64,
}

impl Reading<'_> {
    fn read(
        &mut self,
        topic: &str,
        bounds: Bounds,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (partition, deadline) = (self.partition, Instant::now() + READING);
        self.observer.log.tail.read(topic, partition, bounds, deadline, |message| {
            // What was appended since the bounds were taken belongs to a later look.
            if message.offset() < bounds.end {
                self.records += 1;
                take(message)?;
            }
            Ok(())
        })
    }
}
