//! A record by somebody who owns no partition.

use rdkafka::{error::KafkaError, producer::Producer as _};

use super::{Deliveries, Kafka, Outgoing, Producer, send};

/// Writes a record outside any transaction, and returns its offset: the marker of a transaction
/// would be an offset in a lane that no command ever takes.
///
/// # Errors
/// When it is not acknowledged; it may have been written all the same.
pub fn write_alone(kafka: &Kafka, record: &Outgoing) -> Result<i64, KafkaError> {
    let producer = Producer::open(&kafka.producer(), Deliveries::default())?;
    let deliveries = producer.context();
    deliveries.expect(0, 1);
    send(&producer, 0, record)?;
    Ok(deliveries.wait()?.first().copied().unwrap_or(-1))
}
