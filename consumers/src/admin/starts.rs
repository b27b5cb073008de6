//! Where a group begins, written down before its first member comes.
//!
//! Without it a new group would have to begin at one end of the log: at the start it would decide
//! everything again, at the end it would skip what was sent before its first assignment.

use std::time::Duration;

use ::schemas::topic::{CATALOG, Lane, Topic};
use anyhow::{Context, bail};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer},
};

use super::{Change, Report};
use crate::log::{Kafka, group_of_handler};

const WAIT: Duration = Duration::from_secs(15);

pub(super) fn compare(kafka: &Kafka, report: &mut Report) -> anyhow::Result<()> {
    Lane::ALL.iter().try_for_each(|lane| compare_lane(kafka, &CATALOG.lane(*lane), report))
}

fn compare_lane(kafka: &Kafka, topic: &Topic, report: &mut Report) -> anyhow::Result<()> {
    let group = group_of_handler(CATALOG.name);
    let consumer = open(kafka, &group)?;
    let is_new = |change: &Change| matches!(change, Change::CreateTopic { topic: name, .. } if *name == topic.name);
    let partitions = if report.changes.iter().any(is_new) {
        (0..topic.partitions).collect()
    } else {
        without_offset(&consumer, topic)?
    };
    if partitions.is_empty() {
        return Ok(());
    }
    if let Some(member) = member(&consumer, &group)? {
        report.refusals.push(format!(
            "{group} is active ({member}) but has no offset for partitions {partitions:?} of {}; \
             stop it first",
            topic.name
        ));
        return Ok(());
    }
    report.changes.push(Change::Start { group, topic: topic.name, partitions });
    Ok(())
}

/// Commits offset 0 as a non-member, which brokers allow only while the group is empty.
pub(super) fn commit(
    kafka: &Kafka,
    group: &str,
    topic: &str,
    partitions: &[i32],
) -> anyhow::Result<()> {
    let consumer = open(kafka, group)?;
    let mut starts = TopicPartitionList::new();
    for partition in partitions {
        let (first, _) = consumer.fetch_watermarks(topic, *partition, WAIT)?;
        if first > 0 {
            bail!(
                "{topic} {partition} begins at {first} and {group} never started: records that it \
                 never saw are gone; commit its start by hand once you know what was lost"
            );
        }
        starts.add_partition_offset(topic, *partition, Offset::Offset(0))?;
    }
    consumer.commit(&starts, CommitMode::Sync).with_context(|| format!("start of {group}"))
}

/// The partitions for which `consumer`'s group has no offset.
fn without_offset(consumer: &BaseConsumer, topic: &Topic) -> anyhow::Result<Vec<i32>> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(topic.name, 0, topic.partitions - 1);
    let committed = consumer.committed_offsets(asked, WAIT)?;
    let mut missing = vec![];
    for element in committed.elements() {
        // An element can fail although the request did not; it must not read as "no offset".
        element.error().with_context(|| format!("{} {}", topic.name, element.partition()))?;
        if element.offset() == Offset::Invalid {
            missing.push(element.partition());
        }
    }
    Ok(missing)
}

/// Somebody in the group, as a person would find him.
fn member(consumer: &BaseConsumer, group: &str) -> anyhow::Result<Option<String>> {
    let list = consumer.fetch_group_list(Some(group), WAIT)?;
    let members = list.groups().iter().flat_map(|group| group.members());
    Ok(members.map(|m| format!("{} on {}", m.client_id(), m.client_host())).next())
}

fn open(kafka: &Kafka, group: &str) -> anyhow::Result<BaseConsumer> {
    Ok(kafka.asking("read_committed").set("group.id", group).create()?)
}
