//! Outcomes on their way to whoever waits: hints, sent after the commit and outside of it.

use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use schemas::{Codec, OUTCOMES, Records};

use super::batch::Reply;
use crate::log::{Kafka, Served};

/// Sends outcomes and forgets them: one that is lost only makes its caller ask for the status.
pub(super) struct Replier {
    kafka: Kafka,
    producer: Served<Arrivals>,
}

/// Whether an outcome did not arrive in time.
#[derive(Default)]
struct Arrivals {
    failed: AtomicBool,
}

impl Replier {
    /// # Errors
    /// When librdkafka refuses the settings.
    pub(super) fn new(kafka: &Kafka) -> Result<Self, KafkaError> {
        Ok(Self { kafka: kafka.clone(), producer: open(kafka)? })
    }

    pub(super) fn tell(&mut self, codec: &Codec, replies: &[Reply]) {
        // It may have forgotten the brokers, and then none would ever arrive.
        if self.producer.context().failed.load(Ordering::Relaxed) {
            match open(&self.kafka) {
                Ok(producer) => self.producer = producer,
                Err(error) => tracing::warn!(%error, "no other producer of outcomes"),
            }
        }
        for reply in replies {
            let Ok(payload) = reply.outcome.encode(codec) else { continue };
            let record = BaseRecord::<(), Vec<u8>>::to(OUTCOMES.name)
                .partition(reply.partition)
                .payload(&payload);
            if let Err((error, _)) = self.producer.send(record) {
                tracing::debug!(%error, "an outcome was not sent");
            }
        }
    }
}

fn open(kafka: &Kafka) -> Result<Served<Arrivals>, KafkaError> {
    Served::open(&kafka.outcome_producer(), Arrivals::default())
}

impl ClientContext for Arrivals {}

impl ProducerContext for Arrivals {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, _)) = result else { return };
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut) {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}
