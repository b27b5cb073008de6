//! Writes a batch and the offsets it came from in one Kafka transaction.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use schemas::Headers;
use uuid::Uuid;

use super::{client::Kafka, native::Membership, record::to_kafka, served::Served};
use crate::{faults, telemetry::stage};

mod alone;

pub use alone::write_alone;

/// How long a step of a transaction may take; the brokers abort one that is open for 3 s.
const STEP: Duration = Duration::from_millis(2900);

/// A record to be written.
pub struct Outgoing {
    /// Its topic.
    pub topic: &'static str,
    /// Its partition, that of the command it follows from.
    pub partition: i32,
    /// Its key, an aggregate id as text.
    pub key: Vec<u8>,
    /// Its framed content.
    pub payload: Vec<u8>,
    /// Its headers.
    pub headers: Headers,
}

/// The offset of each record of a committed batch, in order.
pub type Delivered = Vec<i64>;

/// Why a batch was not committed, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing of it will ever be visible.
    #[error("the transaction was aborted: {0}")]
    Aborted(KafkaError),
    /// The commit was asked for and not answered.
    #[error("it is not known whether the transaction was committed: {0}")]
    Unknown(KafkaError),
}

/// Two transactional producers used strictly in turn: a producer that begins again right after its
/// own commit meets CONCURRENT_TRANSACTIONS, and librdkafka then waits 20 ms.
pub struct TransactionWriter {
    kafka: Kafka,
    producers: [Option<Producer>; 2],
    turn: usize,
    sequence: usize,
}

type Producer = Served<Deliveries>;

impl TransactionWriter {
    /// A writer that connects when it is first used.
    pub fn new(kafka: Kafka) -> Self {
        Self { kafka, producers: [None, None], turn: 0, sequence: 0 }
    }

    /// Opens both producers ahead of the first batch.
    ///
    /// # Errors
    /// When the transaction coordinator does not answer.
    pub fn connect(&mut self) -> Result<(), KafkaError> {
        for slot in &mut self.producers {
            if slot.is_none() {
                *slot = Some(open(&self.kafka)?);
            }
        }
        Ok(())
    }

    /// Writes `records`, moves the group to `offsets`, and commits. `membership` is the fence: a
    /// member that lost its partitions since it was captured is refused by the group coordinator.
    ///
    /// # Errors
    /// [`CommitError::Aborted`] when nothing was committed; after [`CommitError::Unknown`] the
    /// partitions must be taken anew before anything else is decided.
    pub fn commit(
        &mut self,
        records: &[Outgoing],
        offsets: &TopicPartitionList,
        membership: &Membership,
    ) -> Result<Delivered, CommitError> {
        self.connect().map_err(CommitError::Aborted)?;
        let turn = self.turn;
        self.turn = 1 - turn;
        self.sequence += 1;
        let Some(producer) = self.producers[turn].take() else { return Ok(vec![]) };
        let opened = Instant::now();
        let result = run(&producer, self.sequence, records, offsets, membership);
        metrics::histogram!(crate::telemetry::TRANSACTION_SECONDS).record(opened.elapsed());
        match result {
            Ok(delivered) => {
                self.producers[turn] = Some(producer);
                Ok(delivered)
            }
            // A new producer has a new id, so a late answer to this one can fence nobody.
            Err(CommitError::Unknown(error)) => Err(CommitError::Unknown(error)),
            Err(CommitError::Aborted(error)) => {
                // Else readers wait until the brokers abort it themselves.
                let aborted = producer.abort_transaction(STEP).is_ok();
                if !is_of_a_broker(&error) {
                    // Neither is used again, however well it aborts: one that has forgotten the
                    // brokers (see `show_brokers`) may abort all that it has begun, or nothing, and
                    // would fail for ever.
                    self.producers = [None, None];
                } else if aborted {
                    self.producers[turn] = Some(producer);
                }
                Err(CommitError::Aborted(error))
            }
        }
    }
}

/// Whether a broker has answered so. What librdkafka says by itself has a number below zero.
fn is_of_a_broker(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| code as i32 > 0)
}

fn open(kafka: &Kafka) -> Result<Producer, KafkaError> {
    let id = format!("{}-{}", kafka.client_id, Uuid::now_v7());
    let producer = Producer::open(&kafka.transactional(&id), Deliveries::default())?;
    producer.init_transactions(STEP)?;
    Ok(producer)
}

fn run(
    producer: &Producer,
    sequence: usize,
    records: &[Outgoing],
    offsets: &TopicPartitionList,
    membership: &Membership,
) -> Result<Delivered, CommitError> {
    let begun = Instant::now();
    producer.begin_transaction().map_err(CommitError::Aborted)?;
    faults::point("handler.before_produce");
    let deliveries = producer.context();
    deliveries.expect(sequence, records.len());
    for (at, record) in records.iter().enumerate() {
        send(producer, sequence << INDEX_BITS | at, record).map_err(CommitError::Aborted)?;
    }
    faults::point("handler.before_send_offsets");
    producer
        .send_offsets_to_transaction(offsets, &membership.metadata, STEP)
        .map_err(CommitError::Aborted)?;
    let begun = stage("transaction_offsets", begun);
    let delivered = deliveries.wait().map_err(CommitError::Aborted)?;
    let begun = stage("transaction_delivered", begun);
    faults::point("handler.before_commit");
    // rdkafka flushes before it commits, and while a delivery report is still being let go of its
    // flush sleeps 100 ms.
    let deadline = Instant::now() + STEP;
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        std::hint::spin_loop();
    }
    #[expect(clippy::disallowed_methods, reason = "nothing is in flight any more")]
    let committed = producer.commit_transaction(STEP);
    stage("transaction_commit", begun);
    // The commit was asked for. Even an abort that succeeds would not prove that it did not happen:
    // where librdkafka must bump its epoch, it aborts by asking for a new one, which a transaction
    // that was committed meanwhile does not refuse.
    committed.map(|()| delivered).map_err(CommitError::Unknown)
}

fn send(producer: &Producer, opaque: usize, record: &Outgoing) -> Result<(), KafkaError> {
    let mut outgoing = BaseRecord::with_opaque_to(record.topic, opaque)
        .partition(record.partition)
        .key(&record.key)
        .payload(&record.payload)
        .headers(to_kafka(&record.headers));
    let deadline = Instant::now() + STEP;
    loop {
        match producer.send(outgoing) {
            Ok(()) => return Ok(()),
            Err((error, back)) => {
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if !full || Instant::now() > deadline {
                    return Err(error);
                }
                outgoing = back;
                std::thread::yield_now();
            }
        }
    }
}

/// How many bits of a delivery's opaque number its record; the rest number its transaction, so
/// that late reports of an aborted one are told apart.
const INDEX_BITS: u32 = 24;

/// Collects the delivery reports of one transaction at a time.
#[derive(Default)]
struct Deliveries {
    state: Mutex<Reports>,
    changed: Condvar,
}

#[derive(Default)]
struct Reports {
    sequence: usize,
    missing: usize,
    offsets: Vec<i64>,
    failed: Option<KafkaError>,
}

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, sequence: usize, records: usize) {
        *self.lock() =
            Reports { sequence, missing: records, offsets: vec![-1; records], failed: None };
    }

    /// Waits until every record of the transaction is acknowledged.
    fn wait(&self) -> Result<Vec<i64>, KafkaError> {
        let waiting = |reports: &mut Reports| reports.missing > 0 && reports.failed.is_none();
        let (mut reports, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), STEP, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        match reports.failed.take() {
            Some(error) => Err(error),
            None if timeout.timed_out() => {
                Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut))
            }
            None => Ok(std::mem::take(&mut reports.offsets)),
        }
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let mut reports = self.lock();
        if opaque >> INDEX_BITS != reports.sequence {
            return;
        }
        match result {
            Ok(message) => {
                if let Some(offset) = reports.offsets.get_mut(opaque & ((1 << INDEX_BITS) - 1)) {
                    *offset = message.offset();
                }
            }
            Err((error, _)) => reports.failed = Some(error.clone()),
        }
        reports.missing = reports.missing.saturating_sub(1);
        if reports.missing == 0 || reports.failed.is_some() {
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_is_nothing_that_a_broker_has_said() {
        let of = |code| is_of_a_broker(&KafkaError::MessageProduction(code));
        assert!(
            of(RDKafkaErrorCode::NotEnoughReplicas)
                && of(RDKafkaErrorCode::InvalidTransactionalState)
        );
        assert!(!of(RDKafkaErrorCode::MessageTimedOut) && !of(RDKafkaErrorCode::Resolve));
    }
}
