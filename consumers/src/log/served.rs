//! Producers whose reports are served by a thread of their own.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    config::FromClientConfigAndContext as _,
    error::{KafkaError, KafkaResult},
    producer::{BaseProducer, ProducerContext},
};

/// How long the thread sleeps where nothing is reported, and so how long it may outlive its producer.
/// rdkafka spins through what is no whole millisecond of a wait, so short ones cost: at 100 ms, a
/// hundredth of a core for each producer.
const SLEEP: Duration = Duration::from_secs(1);

/// A producer. Dropped, it ends a second or two later, or with the process; what it has not sent by then
/// is not sent.
pub struct Served<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C>>,
    is_dropped: Arc<AtomicBool>,
}

impl<C: ProducerContext + 'static> Served<C> {
    /// Opens a producer that tells `context` what became of its records.
    ///
    /// # Errors
    /// When librdkafka refuses the settings, or there can be no more threads.
    pub fn open(config: &ClientConfig, context: C) -> KafkaResult<Self> {
        let producer = Arc::new(BaseProducer::from_config_and_context(config, context)?);
        let served = Self { producer, is_dropped: Arc::default() };
        let (producer, is_dropped) = (served.producer.clone(), served.is_dropped.clone());
        let serve = move || {
            while !is_dropped.load(Ordering::Relaxed) {
                producer.poll(SLEEP);
            }
        };
        let started = thread::Builder::new().name("reports".to_owned()).spawn(serve);
        started.map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(served)
    }
}

impl<C: ProducerContext> Deref for Served<C> {
    type Target = BaseProducer<C>;
    fn deref(&self) -> &BaseProducer<C> {
        &self.producer
    }
}

impl<C: ProducerContext> Drop for Served<C> {
    fn drop(&mut self) {
        self.is_dropped.store(true, Ordering::Relaxed);
    }
}
