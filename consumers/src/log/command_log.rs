//! Commands on their way into the log.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the one place that queues and flushes, bounded by the callers that wait"
)]

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord, Producer},
};
use schemas::{CATALOG, Codec, CodecError, CommandMessage, Records, Topic};

use super::{client::Kafka, record::to_kafka};

/// Where a record stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

/// Accepts commands: what it has appended survives the loss of this process.
pub struct CommandLog {
    producer: Renewed,
    codec: Arc<Codec>,
    topic: Topic,
}

/// A producer, and another one after an error that it does not survive.
struct Renewed {
    kafka: Kafka,
    producer: Mutex<Arc<FutureProducer>>,
}

/// A command was not accepted, or it is not known whether it was.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// No acknowledgement in time: the command may be in the log or not. Sending it again under
    /// the same id is safe.
    #[error("the log did not acknowledge in time")]
    TimedOut,
    /// Not in the log, and it may pass: the queue is full or the brokers are away.
    #[error("the log does not accept commands: {0}")]
    Unavailable(KafkaError),
    /// Not in the log, and it will not pass: the command is larger than a record may be.
    #[error("the command is too large for the log")]
    TooLarge,
    /// It could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl CommandLog {
    /// Opens the command topic of the catalog.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn open(kafka: &Kafka, codec: Arc<Codec>) -> Result<Self, KafkaError> {
        Ok(Self { producer: Renewed::open(kafka)?, codec, topic: CATALOG.commands })
    }

    /// Appends a command, and returns once every in-sync replica has it.
    ///
    /// # Errors
    /// [`AppendError`]; only after [`AppendError::TimedOut`] the command may be in the log all
    /// the same.
    pub async fn append(&self, message: &CommandMessage) -> Result<Position, AppendError> {
        let payload = message.body.encode(&self.codec)?;
        let key = message.origin.aggregate.to_string();
        let record = FutureRecord::to(self.topic.name)
            .key(&key)
            .payload(&payload)
            .headers(to_kafka(&message.headers(&self.topic)));
        let producer = self.producer.current();
        let appended = append(&producer, record).await;
        if appended.is_err() {
            self.producer.renew(&producer);
        }
        appended
    }

    /// Waits, at most so long, until everything handed over is acknowledged.
    pub fn flush(&self, wait: Duration) {
        if let Err(error) = self.producer.current().flush(wait) {
            tracing::warn!(%error, "commands were still unacknowledged at the end");
        }
    }
}

async fn append(
    producer: &FutureProducer,
    record: FutureRecord<'_, String, Vec<u8>>,
) -> Result<Position, AppendError> {
    let acknowledged = producer.send_result(record).map_err(|(error, _)| refused(error))?;
    match acknowledged.await {
        Ok(Ok(delivery)) => Ok(Position { partition: delivery.partition, offset: delivery.offset }),
        Ok(Err((error, _))) => Err(refused(error)),
        Err(_) => Err(AppendError::TimedOut),
    }
}

impl Renewed {
    fn open(kafka: &Kafka) -> Result<Self, KafkaError> {
        let producer = Mutex::new(Arc::new(kafka.command_producer().create()?));
        Ok(Self { kafka: kafka.clone(), producer })
    }

    fn current(&self) -> Arc<FutureProducer> {
        self.lock().clone()
    }

    /// Puts a new producer in the place of `failed`, if that will never send again: an idempotent
    /// one ends with an error that leaves its order in doubt. The first who finds out does it.
    fn renew(&self, failed: &Arc<FutureProducer>) {
        let Some((_, error)) = failed.client().fatal_error() else { return };
        let mut current = self.lock();
        if !Arc::ptr_eq(&current, failed) {
            return;
        }
        tracing::error!(error, "the producer of commands has failed for good: opening another");
        match self.kafka.command_producer().create() {
            Ok(producer) => *current = Arc::new(producer),
            Err(error) => tracing::error!(%error, "no other producer"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<FutureProducer>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(error: KafkaError) -> AppendError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageTimedOut) => AppendError::TimedOut,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => AppendError::TooLarge,
        _ => AppendError::Unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::native;

    #[test]
    fn a_producer_that_has_failed_for_good_is_replaced_once() {
        let kafka = Kafka { bootstrap: "127.0.0.1:1".to_owned(), client_id: "test".to_owned() };
        let producers = Renewed::open(&kafka).unwrap();
        let first = producers.current();
        producers.renew(&first);
        assert!(Arc::ptr_eq(&first, &producers.current()), "nothing has happened to it");
        native::fail_for_good(first.client());
        producers.renew(&first);
        let second = producers.current();
        assert!(second.client().fatal_error().is_none());
        producers.renew(&first);
        assert!(Arc::ptr_eq(&second, &producers.current()));
    }
}
