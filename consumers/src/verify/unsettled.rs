//! Transactions that stay open, and with them everything behind.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::{CATALOG, DEAD_LETTERS, Lane};

use super::{Checks, Rule};
use crate::{shutdown::Shutdown, standing::Observer};

/// A transaction may take 3 s, and a broker that is left as it came looks for late ones every 10 s.
const SETTLED: Duration = Duration::from_secs(15);

/// Partitions of which nothing behind an open transaction can be read.
pub(super) type Stuck = BTreeSet<(&'static str, i32)>;

/// Waits until everything that is open now is settled, and returns where it is not.
///
/// # Errors
/// When the brokers do not answer.
pub(super) fn find(
    observer: &Observer,
    shutdown: &Shutdown,
    checks: &mut Checks,
) -> anyhow::Result<Stuck> {
    let deadline = Instant::now() + SETTLED;
    let mut open = vec![];
    for topic in [CATALOG.events, CATALOG.decisions, DEAD_LETTERS] {
        for partition in 0..topic.partitions {
            let high = observer.log.tail.high_watermark(topic.name, partition)?;
            open.push((topic.name, partition, high));
        }
    }
    let all = open.clone();
    loop {
        let mut left = vec![];
        for (topic, partition, high) in open {
            if observer.log.tail.bounds(topic, partition)?.end < high {
                left.push((topic, partition, high));
            }
        }
        open = left;
        if open.is_empty() || Instant::now() > deadline || shutdown.requested() {
            break;
        }
        shutdown.sleep(Duration::from_millis(50));
    }
    let stuck: Stuck = open.into_iter().map(|(topic, partition, _)| (topic, partition)).collect();
    for (topic, partition, high) in all {
        checks.note(Rule::NoOpenTransaction, !stuck.contains(&(topic, partition)), || {
            format!("{topic} {partition}: a transaction before {high} is open for {SETTLED:?}")
        });
    }
    Ok(stuck)
}

/// The handler's offsets of each partition of a lane; none where a transaction that stays open may
/// still move them.
///
/// # Errors
/// When the brokers do not answer, or it was never told where to start.
pub(super) fn decided(observer: &Observer, lane: Lane) -> anyhow::Result<Option<Vec<i64>>> {
    match observer.log.decided(lane) {
        Ok(offsets) => Ok(Some(offsets)),
        Err(error) if is_unstable(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_unstable(error: &anyhow::Error) -> bool {
    let kafka = error.downcast_ref::<KafkaError>().and_then(KafkaError::rdkafka_error_code);
    kafka == Some(RDKafkaErrorCode::UnstableOffsetCommit)
}
