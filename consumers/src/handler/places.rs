//! Where each lane of each partition stands, as the group commits it.

use std::collections::BTreeMap;

use rdkafka::{Offset, TopicPartitionList};
use schemas::{CATALOG, Lane};

use super::{batch::Owned, partition::Partition, wish::Wish};

/// By lane and partition, the first command that is not decided.
pub(super) type Places = BTreeMap<(Lane, i32), i64>;

/// How far this worker has come, whoever owns the partitions now.
#[derive(Default)]
pub(super) struct Reached {
    /// The ids of the topics that it came so far in.
    topics: Vec<String>,
    places: Places,
}

impl Reached {
    /// Forgets all of it where the topics were made anew: the places of before mean nothing there.
    pub(super) fn in_topics(&mut self, ids: &[String]) {
        if self.topics != ids {
            self.topics = ids.to_vec();
            self.places.clear();
        }
    }

    /// Notes that the commands of a lane are decided up to, but without, `next`.
    pub(super) fn note(&mut self, lane: Lane, partition: i32, next: i64) {
        self.places.insert((lane, partition), next);
    }

    /// The first command of a lane that this worker has not seen decided.
    pub(super) fn at(&self, lane: Lane, partition: i32) -> Option<i64> {
        self.places.get(&(lane, partition)).copied()
    }
}

/// The places of all that is owned.
pub(super) fn all(owned: &Owned) -> Places {
    let lanes = |(at, owned): (&i32, &Partition)| {
        Lane::ALL.map(|lane| ((lane, *at), owned.next_command(lane)))
    };
    owned.iter().flat_map(lanes).collect()
}

/// The group's offsets once `wishes` are decided, among other `places`.
///
/// # Errors
/// When librdkafka refuses an offset.
pub(super) fn after(mut places: Places, wishes: &[Wish]) -> anyhow::Result<TopicPartitionList> {
    places.extend(wishes.iter().map(|wish| ((wish.lane, wish.partition), wish.offset + 1)));
    let mut offsets = TopicPartitionList::new();
    for ((lane, partition), offset) in places {
        let offset = Offset::Offset(offset);
        offsets.add_partition_offset(CATALOG.lane(lane).name, partition, offset)?;
    }
    Ok(offsets)
}
