//! Commands on their way into the log.
#![expect(
    clippy::disallowed_methods,
    reason = "the one place that flushes, bounded by the callers that wait"
)]

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message as _,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use schemas::{CATALOG, Codec, CodecError, CommandMessage, Lane, Records};
use tokio::sync::oneshot;

use super::{client::Kafka, native, record::to_kafka, served::Served};
use crate::faults;

/// How often a producer that reaches nobody is shown the brokers, at most.
const SHOWN_FOR: Duration = Duration::from_secs(5);

/// Where a command stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The lane.
    pub lane: Lane,
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

/// Accepts commands: what it has appended survives the loss of this process.
pub struct CommandLog {
    interactive: Renewed,
    bulk: Renewed,
    codec: Arc<Codec>,
}

type Producer = Served<Acknowledgements>;

/// Tells whoever appends a record where it stands: its partition and offset.
struct Acknowledgements;

type Acknowledged = Result<(i32, i64), KafkaError>;

/// A producer, and another one after an error that it does not survive.
struct Renewed {
    kafka: Kafka,
    lane: Lane,
    producer: Mutex<Arc<Producer>>,
    /// When it was shown the brokers.
    shown: Mutex<Option<Instant>>,
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
    /// Opens the command topics of the catalog.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn open(kafka: &Kafka, codec: Arc<Codec>) -> Result<Self, KafkaError> {
        let interactive = Renewed::open(kafka, Lane::Interactive)?;
        Ok(Self { interactive, bulk: Renewed::open(kafka, Lane::Bulk)?, codec })
    }

    /// Appends a command to a lane, and returns once every in-sync replica has it.
    ///
    /// # Errors
    /// [`AppendError`]; only after [`AppendError::TimedOut`] the command may be in the log all
    /// the same.
    pub async fn append(
        &self,
        lane: Lane,
        message: &CommandMessage,
    ) -> Result<Position, AppendError> {
        let topic = CATALOG.lane(lane);
        let payload = message.body.encode(&self.codec)?;
        let key = message.origin.aggregate.to_string();
        let (acknowledge, acknowledged) = oneshot::channel::<Acknowledged>();
        let record = BaseRecord::with_opaque_to(topic.name, Box::new(acknowledge))
            .key(&key)
            .payload(&payload)
            .headers(to_kafka(&message.headers(&topic)));
        faults::point("api.before_produce");
        let renewed = self.producer(lane);
        let producer = renewed.current();
        producer.send(record).map_err(|(error, _)| {
            renewed.renew(&producer);
            refused(error)
        })?;
        match acknowledged.await {
            Ok(Ok((partition, offset))) => {
                faults::point("api.after_produce");
                Ok(Position { lane, partition, offset })
            }
            Ok(Err(error)) => {
                renewed.show_brokers();
                Err(refused(error))
            }
            Err(_) => Err(AppendError::TimedOut),
        }
    }

    /// Waits, at most so long, until everything handed over is acknowledged.
    pub fn flush(&self, wait: Duration) {
        let until = Instant::now() + wait;
        for lane in Lane::ALL {
            let left = until.saturating_duration_since(Instant::now());
            if let Err(error) = self.producer(lane).current().flush(left) {
                tracing::warn!(%error, ?lane, "commands were still unacknowledged at the end");
            }
        }
    }

    fn producer(&self, lane: Lane) -> &Renewed {
        match lane {
            Lane::Interactive => &self.interactive,
            Lane::Bulk => &self.bulk,
        }
    }
}

impl Renewed {
    fn open(kafka: &Kafka, lane: Lane) -> Result<Self, KafkaError> {
        let producer = Mutex::new(Arc::new(producer(kafka, lane)?));
        Ok(Self { kafka: kafka.clone(), lane, producer, shown: Mutex::default() })
    }

    fn current(&self) -> Arc<Producer> {
        self.lock().clone()
    }

    /// Puts a new producer in the place of `failed`, if that will never send again: an idempotent
    /// one ends with an error that leaves its order in doubt. The first who finds out does it.
    fn renew(&self, failed: &Arc<Producer>) {
        let Some((_, error)) = failed.client().fatal_error() else { return };
        let mut current = self.lock();
        if !Arc::ptr_eq(&current, failed) {
            return;
        }
        tracing::error!(error, "the producer of commands has failed for good: opening another");
        match producer(&self.kafka, self.lane) {
            Ok(producer) => *current = Arc::new(producer),
            Err(error) => tracing::error!(%error, "no other producer"),
        }
    }

    /// On a thread of its own, since it blocks; not for each of the many commands that fail at once.
    fn show_brokers(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_some_and(|shown| shown.elapsed() < SHOWN_FOR) {
            return;
        }
        *shown = Some(Instant::now());
        let (producer, bootstrap) = (self.current(), self.kafka.bootstrap.clone());
        thread::spawn(move || native::show_brokers(producer.client(), &bootstrap));
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Producer>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn producer(kafka: &Kafka, lane: Lane) -> Result<Producer, KafkaError> {
    Producer::open(&kafka.command_producer(lane), Acknowledgements)
}

impl ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Box<oneshot::Sender<Acknowledged>>;

    fn delivery(&self, result: &DeliveryResult<'_>, acknowledge: Self::DeliveryOpaque) {
        let acknowledged = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody waits where the request has gone.
        drop(acknowledge.send(acknowledged));
    }
}

/// As an address names it: `3.1201`, or `bulk.3.1201`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lane == Lane::Bulk {
            write!(f, "{}.", self.lane.as_str())?;
        }
        write!(f, "{}.{}", self.partition, self.offset)
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
        let producers = Renewed::open(&kafka, Lane::Bulk).unwrap();
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
