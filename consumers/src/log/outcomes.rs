//! Outcomes on their way back to whoever waits.

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use schemas::{OUTCOMES, Outcome, Records};

use super::{client::Kafka, native, reader::lost_position, record::Decoder, silence::Silence};
use crate::shutdown::Shutdown;

/// How long the brokers may take over one question.
const ANSWER: Duration = Duration::from_secs(3);
/// What is told of while the log does not answer.
const READING: &str = "reading outcomes";

/// Follows partition `partition` of the outcomes from its present end on, and hands each to
/// `on_outcome`. Returns once the end is known, so that no later outcome is missed.
///
/// # Errors
/// When the topic's end cannot be read.
pub fn follow(
    kafka: &Kafka,
    decoder: Decoder,
    partition: i32,
    on_outcome: impl Fn(Outcome) + Send + 'static,
    shutdown: Shutdown,
) -> anyhow::Result<JoinHandle<()>> {
    let consumer: BaseConsumer = kafka.consumer().set("group.id", "jangbu-outcomes").create()?;
    let (_, end) = consumer
        .fetch_watermarks(OUTCOMES.name, partition, ANSWER)
        .with_context(|| format!("reading the end of {} {partition}", OUTCOMES.name))?;
    assign(&consumer, partition, end)?;
    let bootstrap = kafka.bootstrap.clone();
    let run = move || {
        let silence = Silence::default();
        while !shutdown.requested() {
            match consumer.poll(Duration::from_millis(100)) {
                None => silence.break_with(|| native::show_brokers(consumer.client(), &bootstrap)),
                Some(Ok(message)) => {
                    silence.record(READING);
                    match read(&decoder, message.payload().unwrap_or_default()) {
                        Ok(Some(outcome)) => on_outcome(outcome),
                        Ok(None) => tracing::warn!(offset = message.offset(), "not an outcome"),
                        Err(error) => tracing::warn!(%error, "an outcome could not be read"),
                    }
                }
                Some(Err(error)) => {
                    silence.error(&error, READING);
                    rejoin(&consumer, partition, &error);
                }
            }
        }
    };
    Ok(thread::Builder::new().name("outcomes".to_owned()).spawn(run)?)
}

fn read(decoder: &Decoder, payload: &[u8]) -> Result<Option<Outcome>, schemas::CodecError> {
    Outcome::decode(&decoder.open(payload)?)
}

fn assign(consumer: &BaseConsumer, partition: i32, offset: i64) -> anyhow::Result<()> {
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(OUTCOMES.name, partition, Offset::Offset(offset))?;
    consumer.assign(&start).context("assigning the outcomes")
}

/// A position that retention has overtaken is left behind: outcomes are hints, and whoever missed
/// one asks for the command's status.
fn rejoin(consumer: &BaseConsumer, partition: i32, error: &rdkafka::error::KafkaError) {
    if lost_position(error) {
        let end = consumer.fetch_watermarks(OUTCOMES.name, partition, ANSWER);
        if let Ok((_, end)) = end
            && let Err(error) = assign(consumer, partition, end)
        {
            tracing::warn!(%error, "reading outcomes again");
        }
    }
}
