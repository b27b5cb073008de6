//! Who reads a version that was swapped in finds there what the one before has shown.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::ensure;
use projections::{Checkpoint, Pool, checkpoint};

use crate::{
    log::Bounds,
    standing::{ANSWER, Log},
};

/// How long a swap waits for what the version is to have.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Two that are fed together have met by then, which may begin with another set of a projector.
const TOGETHER: Duration = Duration::from_secs(6);
/// Of two that are fed apart the one may lack so much of the other.
const APART: Duration = Duration::from_secs(1);
pub(super) const AGAIN: Duration = Duration::from_millis(50);

/// The checkpoints of a version, by partition.
type Stand = BTreeMap<i32, Checkpoint>;

/// Waits until version `number` lacks nothing of what `was`, which is read, has applied. Two that are
/// fed by one projector move in one transaction, so what is so at one moment stays so. Fed apart
/// they may never be level at one moment: then it is to have what the other had a second before.
///
/// # Errors
/// When it stays behind, or a server does not answer.
pub(super) async fn meet(
    db: &Pool,
    log: &Log,
    name: &str,
    (was, number): (i32, i32),
) -> anyhow::Result<()> {
    if was == number {
        return Ok(());
    }
    let begun = Instant::now();
    let mut before: Option<(Instant, Stand)> = None;
    loop {
        let looked = Instant::now();
        let (shown, new) = checkpoint::read_both(db, name, (was, number)).await?;
        let lacking = lacking(log, &new, &shown)?;
        if lacking.is_empty() {
            return Ok(());
        }
        match &before {
            Some((at, _)) if at.elapsed() < APART => {}
            Some((_, shown_then)) => {
                let are_apart = begun.elapsed() >= TOGETHER;
                if are_apart && self::lacking(log, &new, shown_then)?.is_empty() {
                    return Ok(());
                }
                before = Some((looked, shown));
            }
            None => before = Some((looked, shown)),
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "{name} {number} stays behind {was}, which is active, in partitions {lacking:?}: is it \
             fed? (jangbu replay status)"
        );
        tokio::time::sleep(AGAIN).await;
    }
}

/// The partitions of which the one has not applied a record that the other has.
fn lacking(log: &Log, one: &Stand, other: &Stand) -> anyhow::Result<Vec<i32>> {
    let mut lacking = vec![];
    for (partition, topic, stretch) in behind(one, other) {
        // Markers and what was dropped for its age are passed by some and not by others.
        let next = log.tail.bounds(topic, partition)?.next.max(stretch.next);
        let record = log.tail.first(topic, partition, Bounds { next, ..stretch }, ANSWER)?;
        if record.is_some() && lacking.last() != Some(&partition) {
            lacking.push(partition);
        }
    }
    Ok(lacking)
}

/// By partition, the stretches of topics that both read in which the one stands behind the other.
fn behind<'a>(one: &Stand, other: &'a Stand) -> Vec<(i32, &'a str, Bounds)> {
    let mut behind = vec![];
    for (partition, at) in other {
        for (topic, to) in &at.offsets {
            let next = match one.get(partition) {
                Some(one) => one.offsets.get(topic).map(|from| from.next),
                None => Some(0),
            };
            if let Some(next) = next.filter(|next| *next < to.next) {
                behind.push((*partition, topic.as_str(), Bounds { next, end: to.next }));
            }
        }
    }
    behind
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use projections::Consumed;

    use super::*;

    fn stand(places: &[(i32, &[(&str, i64)])]) -> Stand {
        let consumed = |(topic, next): &(&str, i64)| {
            ((*topic).to_owned(), Consumed { next: *next, topic_id: "id".to_owned() })
        };
        let checkpoint = |(partition, topics): &(i32, &[(&str, i64)])| {
            let offsets = topics.iter().map(consumed).collect();
            (*partition, Checkpoint { offsets, appended: Timestamp(0) })
        };
        places.iter().map(checkpoint).collect()
    }

    #[test]
    fn a_version_is_behind_where_it_has_passed_less_of_what_both_read() {
        let active = stand(&[(0, &[("events", 5)]), (1, &[("decisions", 2), ("events", 7)])]);
        for (new, expected) in [
            (active.clone(), vec![]),
            (stand(&[(0, &[("events", 6)]), (1, &[("decisions", 2), ("events", 7)])]), vec![]),
            (
                stand(&[(0, &[("events", 5)]), (1, &[("decisions", 1), ("events", 9)])]),
                vec![(1, "decisions", 1, 2)],
            ),
            (stand(&[(0, &[("events", 4)]), (1, &[("events", 7)])]), vec![(0, "events", 4, 5)]),
            (stand(&[(1, &[("events", 8)])]), vec![(0, "events", 0, 5)]),
        ] {
            let behind = behind(&new, &active).into_iter();
            let found: Vec<_> =
                behind.map(|(at, topic, of)| (at, topic, of.next, of.end)).collect();
            assert_eq!(found, expected, "{new:?}");
        }
        assert!(behind(&active, &stand(&[])).is_empty());
    }
}
