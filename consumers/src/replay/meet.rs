//! Who reads a version that was swapped in finds there what the one before has shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::ensure;
use projections::{Checkpoint, Pool, checkpoint};

/// How long the two may take to meet.
const PATIENCE: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_millis(50);

/// The checkpoints of a version, by partition.
type Stand = BTreeMap<i32, Checkpoint>;

/// Waits until version `number` has been no further back than `was`, which is read, in each
/// partition once. What one projector feeds together stays together from then on. Of two that are
/// fed apart one may be ahead at each look: then the other is to pass where it was at the first.
///
/// # Errors
/// When it stays behind, or MySQL does not answer.
pub(super) async fn meet(db: &Pool, name: &str, was: i32, number: i32) -> anyhow::Result<()> {
    let begun = Instant::now();
    let look = async || checkpoint::read_both(db, name, (was, number)).await;
    let (first, mut new) = look().await?;
    let mut apart = behind(&new, &first);
    while !apart.is_empty() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(AGAIN).await;
        let (read, read_soon) = look().await?;
        let still = behind(&read_soon, &read);
        apart.retain(|partition| still.contains(partition));
        new = read_soon;
    }
    apart.retain(|partition| behind(&new, &first).contains(partition));
    ensure!(
        apart.is_empty(),
        "{name} {number} stays behind {was}, which is active, in partitions {apart:?}: is it fed? \
         (jangbu replay status)"
    );
    Ok(())
}

/// The partitions in which the one stands behind the other, in a topic that both read.
fn behind(one: &Stand, other: &Stand) -> BTreeSet<i32> {
    let is_behind = |partition: &i32, at: &Checkpoint| {
        let Some(one) = one.get(partition) else { return true };
        at.offsets
            .iter()
            .any(|(topic, to)| one.offsets.get(topic).is_some_and(|o| o.next < to.next))
    };
    let behind = other.iter().filter(|(partition, at)| is_behind(partition, at));
    behind.map(|(partition, _)| *partition).collect()
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
    fn a_version_is_behind_where_it_lacks_what_the_other_has() {
        let active = stand(&[(0, &[("events", 5)]), (1, &[("events", 7), ("decisions", 2)])]);
        for (new, expected) in [
            (active.clone(), vec![]),
            (stand(&[(0, &[("events", 6)]), (1, &[("events", 7), ("decisions", 2)])]), vec![]),
            (stand(&[(0, &[("events", 5)]), (1, &[("events", 9), ("decisions", 1)])]), vec![1]),
            (stand(&[(0, &[("events", 4)]), (1, &[("events", 7)])]), vec![0]),
            (stand(&[(1, &[("events", 7)])]), vec![0]),
            (stand(&[]), vec![0, 1]),
        ] {
            assert_eq!(behind(&new, &active).into_iter().collect::<Vec<_>>(), expected, "{new:?}");
        }
        assert!(behind(&active, &stand(&[])).is_empty());
    }
}
