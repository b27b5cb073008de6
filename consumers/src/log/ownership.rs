//! Who owns which partitions: the rebalances of one subscribed topic.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaResult,
    types::RDKafkaRespErr,
};

use super::native::{Membership, finds_brokers};

/// A consumer that owns partitions of one topic through its group.
pub type Member = BaseConsumer<Ownership>;

/// Collects what rebalances bring, for the thread that polls.
///
/// An assignment is acknowledged empty: nothing is fetched until the owner, having taken its
/// partitions, assigns them with explicit offsets.
pub struct Ownership(Mutex<Group>);

struct Group {
    changes: Vec<Change>,
    /// Since when the member is in no generation of its group; none while it is in one.
    outside: Option<Instant>,
}

/// Longer than a rebalance waits for the slowest member, which is `max.poll.interval.ms`.
const OUTSIDE: Duration = Duration::from_secs(75);

/// What a rebalance brought.
pub enum Change {
    /// All partitions that are owned from now on, and the membership that says so.
    Assigned(Vec<i32>, Option<Membership>),
    /// None are owned any more.
    Revoked,
}

impl Default for Ownership {
    fn default() -> Self {
        Self(Mutex::new(Group { changes: vec![], outside: Some(Instant::now()) }))
    }
}

impl Ownership {
    /// What has happened since the last call, in order.
    pub fn changes(&self) -> Vec<Change> {
        std::mem::take(&mut self.lock().changes)
    }

    fn note(&self, change: Change, outside: Option<Instant>) {
        let mut group = self.lock();
        group.changes.push(change);
        group.outside = outside;
    }

    fn lock(&self) -> MutexGuard<'_, Group> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads from these offsets on, and from nowhere else. Where a lost membership has not been heard
/// of yet, it is left as it is: told to read something else in that moment, while the brokers are
/// away, librdkafka may never join its group again, or join and read nothing.
///
/// # Errors
/// When librdkafka refuses the assignment.
pub fn read_on(member: &Member, from: &TopicPartitionList) -> KafkaResult<()> {
    if member.assignment_lost() { Ok(()) } else { member.assign(from) }
}

/// Whether the member has been outside its group longer than a rebalance takes although the
/// brokers answer what they are asked of `topic`: only another member will come in.
pub fn is_stranded(member: &Member, topic: &str) -> bool {
    let outside = member.context().lock().outside;
    if outside.is_none_or(|since| since.elapsed() < OUTSIDE) {
        return false;
    }
    let answered = finds_brokers(member.client(), Some(topic));
    if !answered {
        // It could not come in; the time counts from when it can.
        member.context().lock().outside = Some(Instant::now());
    }
    answered
}

impl ClientContext for Ownership {}

impl ConsumerContext for Ownership {
    fn rebalance(&self, consumer: &Member, err: RDKafkaRespErr, tpl: &mut TopicPartitionList) {
        if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let partitions = tpl.elements().iter().map(|element| element.partition()).collect();
            acknowledge(consumer.assign(&TopicPartitionList::new()));
            self.note(Change::Assigned(partitions, Membership::capture(consumer)), None);
        } else {
            acknowledge(consumer.unassign());
            self.note(Change::Revoked, Some(Instant::now()));
        }
    }
}

fn acknowledge(result: KafkaResult<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "a rebalance could not be acknowledged");
    }
}
