//! Commands on their way into the log.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the one place that queues and flushes, bounded by the callers that wait"
)]

use std::{sync::Arc, time::Duration};

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
    producer: FutureProducer,
    codec: Arc<Codec>,
    topic: Topic,
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
        Ok(Self { producer: kafka.command_producer().create()?, codec, topic: CATALOG.commands })
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
        let acknowledged =
            self.producer.send_result(record).map_err(|(error, _)| refused(error))?;
        match acknowledged.await {
            Ok(Ok(delivery)) => {
                Ok(Position { partition: delivery.partition, offset: delivery.offset })
            }
            Ok(Err((error, _))) => Err(refused(error)),
            Err(_) => Err(AppendError::TimedOut),
        }
    }

    /// Waits, at most so long, until everything handed over is acknowledged.
    pub fn flush(&self, wait: Duration) {
        if let Err(error) = self.producer.flush(wait) {
            tracing::warn!(%error, "commands were still unacknowledged at the end");
        }
    }
}

fn refused(error: KafkaError) -> AppendError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageTimedOut) => AppendError::TimedOut,
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => AppendError::TooLarge,
        _ => AppendError::Unavailable(error),
    }
}
