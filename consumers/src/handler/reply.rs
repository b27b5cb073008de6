//! Outcomes on their way to whoever waits: hints, sent after the commit and outside of it.

use rdkafka::{
    error::KafkaError,
    producer::{BaseRecord, DefaultProducerContext},
};
use schemas::{Codec, OUTCOMES, Records};

use super::batch::Reply;
use crate::log::{Kafka, Served};

/// Sends outcomes and forgets them: one that is lost only makes its caller ask for the status.
pub(super) struct Replier(Served<DefaultProducerContext>);

impl Replier {
    /// # Errors
    /// When librdkafka refuses the settings.
    pub(super) fn new(kafka: &Kafka) -> Result<Self, KafkaError> {
        Ok(Self(Served::open(&kafka.outcome_producer(), DefaultProducerContext)?))
    }

    pub(super) fn tell(&self, codec: &Codec, replies: &[Reply]) {
        for reply in replies {
            let Ok(payload) = reply.outcome.encode(codec) else { continue };
            let record = BaseRecord::<(), Vec<u8>>::to(OUTCOMES.name)
                .partition(reply.partition)
                .payload(&payload);
            if let Err((error, _)) = self.0.send(record) {
                tracing::debug!(%error, "an outcome was not sent");
            }
        }
    }
}
