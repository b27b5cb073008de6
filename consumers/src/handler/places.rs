//! Where each lane of each partition stands, as the group commits it.

use std::collections::BTreeMap;

use rdkafka::{Offset, TopicPartitionList};
use schemas::{CATALOG, Lane};

use super::{batch::Owned, partition::Partition, wish::Wish};

/// By lane and partition, the first command that is not decided.
pub(super) type Places = BTreeMap<(Lane, i32), i64>;

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
