//! A log that does not answer, told of without flooding ours.

use std::{
    cell::Cell,
    fmt::Display,
    time::{Duration, Instant},
};

use rdkafka::error::KafkaError;

/// How often the same silence is told of, at most.
const AGAIN: Duration = Duration::from_secs(30);
/// How often a client that hears nothing is shown the brokers.
const LOOK: Duration = Duration::from_secs(5);

/// What one reader has told of its errors. librdkafka repeats them many times a second for as long
/// as a broker is away.
#[derive(Default)]
pub(crate) struct Silence {
    told: Cell<Option<Instant>>,
    lasts: Cell<bool>,
    looked: Cell<Option<Instant>>,
}

impl Silence {
    /// Notes an error, and tells of it unless it did so a moment ago.
    pub(crate) fn error(&self, error: &dyn Display, what: &str) {
        self.lasts.set(true);
        if self.is_due(Instant::now()) {
            tracing::warn!(%error, "{what}: no answer; it is tried on and on");
        }
    }

    /// Notes a record, and tells that the silence is over where it was told of.
    pub(crate) fn record(&self, what: &str) {
        if self.lasts.replace(false) {
            tracing::info!("{what}: records come again");
        }
    }

    /// Calls `show` every so often for as long as the silence lasts: see
    /// [`super::native::show_brokers`].
    pub(crate) fn break_with(&self, show: impl FnOnce()) {
        let rests = self.looked.get().is_some_and(|looked| looked.elapsed() < LOOK);
        if self.lasts.get() && !rests {
            show();
            self.looked.set(Some(Instant::now()));
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        if self.told.get().is_some_and(|told| now.duration_since(told) < AGAIN) {
            return false;
        }
        self.told.set(Some(now));
        true
    }
}

/// Whether it is the brokers that do not answer, or not yet as they will: what is said of the
/// client's own settings stays.
pub(crate) fn is_away(error: &anyhow::Error) -> bool {
    let of_the_client = |error: &KafkaError| {
        matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_))
    };
    error.downcast_ref::<KafkaError>().is_some_and(|error| !of_the_client(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_when_it_begins_and_then_every_so_often() {
        let (silence, begin) = (Silence::default(), Instant::now());
        let told: Vec<u64> =
            (0..=70).filter(|at| silence.is_due(begin + Duration::from_secs(*at))).collect();
        assert_eq!(told, [0, 30, 60]);
    }

    #[test]
    fn a_silence_that_is_not_told_again_is_one() {
        let silence = Silence::default();
        silence.error(&"gone", "reading");
        silence.record("reading");
        assert!(!silence.lasts.get());
        silence.error(&"gone again", "reading");
        assert!(silence.lasts.get());
    }
}
