//! What callers were told of their commands, beside what became of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use domain::{CommandId, Timestamp};
use projections::{
    Projection, checkpoint,
    command_status::{CommandStatus, CommandStatusRow},
};
use rdkafka::Message;
use schemas::{CATALOG, CodecError, OUTCOMES, Outcome, Records, Verdict};

use super::{Checks, Pass, Rule, passage::SILENCE, stores::statuses};
use crate::{
    log::Bounds,
    shutdown::Shutdown,
    standing::{ANSWER, Observer},
};

/// Outcomes that are compared at a time.
const PIECE: usize = 500;
/// How long the status may take to reach what is decided now.
const CATCH_UP: Duration = Duration::from_secs(5);

/// Compares every outcome that is still kept with the status of its command, which is compared with
/// the log elsewhere. An outcome is told after its commit, so a status that has come past the ends
/// of now knows each of them.
pub(super) fn compare(pass: &mut Pass<'_>, shutdown: &Shutdown) -> anyhow::Result<()> {
    let observer = pass.observer;
    let bounds = bounds(observer)?;
    let mut knows = BTreeMap::new();
    for partition in pass.scope.partitions() {
        knows.insert(partition, is_level(observer, partition, shutdown)?);
    }
    for (partition, bounds) in (0..).zip(bounds) {
        let mut piece = vec![];
        let (scope, decoder) = (pass.scope, pass.decoder.clone());
        let doing = || format!("{} {partition}", OUTCOMES.name);
        observer.log.tail.read(OUTCOMES.name, partition, bounds, SILENCE, |message| {
            pass.progress.pass(1, doing);
            let appended = Timestamp(message.timestamp().to_millis().unwrap_or_default());
            if !scope.is_then(appended) {
                return Ok(());
            }
            let outcome = match decoder.open(message.payload().unwrap_or_default()) {
                Err(error @ CodecError::Registry(_)) => return Err(error.into()),
                opened => opened.and_then(|frame| Outcome::decode(&frame)).ok().flatten(),
            };
            piece.extend(outcome.filter(|outcome| knows.contains_key(&outcome.partition)));
            pass.records += 1;
            if piece.len() == PIECE {
                compare_piece(pass, &knows, &std::mem::take(&mut piece))?;
            }
            Ok(())
        })?;
        compare_piece(pass, &knows, &piece)?;
    }
    Ok(())
}

/// How many outcomes there are to be read.
pub(super) fn length(observer: &Observer) -> anyhow::Result<u64> {
    let lengths = bounds(observer)?.into_iter();
    Ok(lengths.map(|bounds| bounds.end.saturating_sub(bounds.next).unsigned_abs()).sum())
}

fn bounds(observer: &Observer) -> anyhow::Result<Vec<Bounds>> {
    let tail = &observer.log.tail;
    (0..OUTCOMES.partitions).map(|partition| tail.bounds(OUTCOMES.name, partition)).collect()
}

fn compare_piece(
    pass: &mut Pass<'_>,
    knows: &BTreeMap<i32, bool>,
    outcomes: &[Outcome],
) -> anyhow::Result<()> {
    let ids: Vec<CommandId> = outcomes.iter().map(|outcome| outcome.command_id).collect();
    let found = statuses(pass.observer, 0, &ids)?;
    for outcome in outcomes {
        let id = outcome.command_id;
        match found.get(&id) {
            // Of a command of several events the first may have been applied, and the last not.
            Some(row)
                if pass.scope.is_of(&row.mall)
                    && (knows.get(&outcome.partition) == Some(&true)
                        || row.version >= outcome.version) =>
            {
                pass.checks.note(Rule::Resolved, agrees(outcome, row), || {
                    let (told, version) = (outcome.verdict, outcome.version);
                    let (is, at) = (row.verdict, row.version);
                    format!(
                        "command {id} was told {told} at version {version}, and is {is} at {at}"
                    )
                });
            }
            // Whose it was is not known either.
            None if pass.scope.mall.is_none() && knows.get(&outcome.partition) == Some(&true) => {
                note_unknown(&mut pass.checks, outcome);
            }
            _ => {}
        }
    }
    Ok(())
}

fn note_unknown(checks: &mut Checks, outcome: &Outcome) {
    checks.note(Rule::Resolved, false, || {
        format!("command {} was told {} and has no status", outcome.command_id, outcome.verdict)
    });
}

/// Whether an outcome says what the status says; under the same key another body is refused.
fn agrees(outcome: &Outcome, row: &CommandStatusRow) -> bool {
    if outcome.body_hash != row.body_hash {
        return outcome.verdict == Verdict::KeyReused;
    }
    let (told, is) = (
        (outcome.verdict, &outcome.code, outcome.version, outcome.partition),
        (row.verdict, &row.code, row.version, row.partition),
    );
    let is_there = outcome.verdict != Verdict::Accepted || outcome.offset == row.offset;
    told == is && is_there
}

/// Whether the status comes past everything that is decided now, soon.
fn is_level(observer: &Observer, partition: i32, shutdown: &Shutdown) -> anyhow::Result<bool> {
    let (name, version) = (CommandStatus::NAME, observer.tables.version(CommandStatus::NAME));
    let topics = [CATALOG.events.name, CATALOG.decisions.name];
    let mut ends = vec![];
    for topic in topics {
        let high = observer.log.tail.high_watermark(topic, partition)?;
        let settled =
            observer.log.tail.wait_settled(topic, partition, high, Instant::now() + ANSWER);
        ends.push((topic, high));
        if settled.is_err() {
            return Ok(false);
        }
    }
    let deadline = Instant::now() + CATCH_UP;
    loop {
        let read = checkpoint::read(&observer.db, name, version, partition);
        let read = observer.runtime.block_on(read)?.unwrap_or_default();
        let mut is_behind = false;
        for (topic, end) in &ends {
            let bounds = Bounds { next: read.next(topic), end: *end };
            is_behind |=
                bounds.next < *end && observer.log.unread(topic, partition, bounds)?.is_some();
        }
        if !is_behind || Instant::now() > deadline || shutdown.requested() {
            return Ok(!is_behind);
        }
        shutdown.sleep(Duration::from_millis(20));
    }
}
