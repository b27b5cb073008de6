//! Records that are written to the log beside the processes, as fast as it takes them.
#![expect(clippy::disallowed_types, reason = "the simplest producer, and it is never idle")]

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use schemas::{Headers, Topic, partition_of};

const PATIENCE: Duration = Duration::from_secs(120);

/// What is written.
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) headers: Headers,
    pub(crate) payload: Vec<u8>,
}

/// Appends records, each to the partition of its key.
pub(crate) fn append(
    kafka: &str,
    topic: &Topic,
    records: impl Iterator<Item = Result<Record>>,
) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("enable.idempotence", "true").set("linger.ms", "20");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create()?;
    let deadline = Instant::now() + PATIENCE;
    for written in records {
        let Record { key, headers, payload } = written?;
        let of = |headers: &Headers| {
            headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header { key, value: Some(value) })
            })
        };
        let mut record = BaseRecord::to(topic.name)
            .key(&key)
            .payload(&payload)
            .headers(of(&headers))
            .partition(partition_of(&key, topic.partitions));
        while let Err((error, back)) = producer.send(record) {
            let is_full = error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            ensure!(is_full && Instant::now() < deadline, "{error}");
            record = back;
            std::thread::yield_now();
        }
    }
    while producer.in_flight_count() > 0 {
        ensure!(Instant::now() < deadline, "the records were not acknowledged");
        std::thread::yield_now();
    }
    Ok(())
}
