//! Who owns which partitions: the rebalances of one subscribed topic.

use std::sync::{Mutex, PoisonError};

use rdkafka::{
    ClientContext, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaResult,
    types::RDKafkaRespErr,
};

use super::native::Membership;

/// A consumer that owns partitions of one topic through its group.
pub type Member = BaseConsumer<Ownership>;

/// Collects what rebalances bring, for the thread that polls.
///
/// An assignment is acknowledged empty: nothing is fetched until the owner, having taken its
/// partitions, assigns them with explicit offsets.
#[derive(Default)]
pub struct Ownership(Mutex<Vec<Change>>);

/// What a rebalance brought.
pub enum Change {
    /// All partitions that are owned from now on, and the membership that says so.
    Assigned(Vec<i32>, Option<Membership>),
    /// None are owned any more.
    Revoked,
}

impl Ownership {
    /// What has happened since the last call, in order.
    pub fn changes(&self) -> Vec<Change> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, change: Change) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(change);
    }
}

impl ClientContext for Ownership {}

impl ConsumerContext for Ownership {
    fn rebalance(&self, consumer: &Member, err: RDKafkaRespErr, tpl: &mut TopicPartitionList) {
        if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let partitions = tpl.elements().iter().map(|element| element.partition()).collect();
            acknowledge(consumer.assign(&TopicPartitionList::new()));
            self.push(Change::Assigned(partitions, Membership::capture(consumer)));
        } else {
            acknowledge(consumer.unassign());
            self.push(Change::Revoked);
        }
    }
}

fn acknowledge(result: KafkaResult<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "a rebalance could not be acknowledged");
    }
}
