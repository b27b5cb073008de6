//! Since when open transactions hold back what follows them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rdkafka::{Offset, consumer::BaseConsumer, error::KafkaError};
use schemas::Topic;

use super::ends::{all, each, offset_in};
use crate::telemetry::HELD_BACK_SINCE;

/// How often it is looked for: brokers end what is open for longer than 3 s.
const EVERY: Duration = Duration::from_secs(5);

/// Where something is held back: its last stable offset, and since when, in Unix seconds.
#[derive(Default)]
pub(super) struct HeldBack {
    looked: Option<Instant>,
    since: BTreeMap<(&'static str, i32), (i64, f64)>,
}

impl HeldBack {
    /// Looks, when it is time, and tells the metrics.
    pub(super) fn look(
        &mut self,
        stable: &BaseConsumer,
        written: &BaseConsumer,
        topics: &[Topic],
    ) -> Result<(), KafkaError> {
        if self.looked.is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let told = self.tell(stable, written, topics);
        if told.is_err() {
            // Nobody knows any more.
            for (topic, partition) in std::mem::take(&mut self.since).into_keys() {
                gauge(topic, partition).set(0.0);
            }
        }
        told
    }

    fn tell(
        &mut self,
        stable: &BaseConsumer,
        written: &BaseConsumer,
        topics: &[Topic],
    ) -> Result<(), KafkaError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        // What is written between the two seems held back, and will not have been by the next look.
        let (stable, written) =
            (all(stable, topics, Offset::End)?, all(written, topics, Offset::End)?);
        for (topic, partition) in each(topics) {
            let of = |list| offset_in(list, topic, partition);
            let ends = of(&stable).zip(of(&written)).unwrap_or_default();
            gauge(topic.name, partition).set(self.note((topic.name, partition), ends, now));
        }
        Ok(())
    }

    /// Since when it is held back, 0 where that was not seen twice.
    fn note(&mut self, at: (&'static str, i32), (stable, written): (i64, i64), now: f64) -> f64 {
        if written <= stable {
            self.since.remove(&at);
            return 0.0;
        }
        match self.since.get(&at) {
            Some((stood, since)) if *stood == stable => *since,
            _ => {
                self.since.insert(at, (stable, now));
                0.0
            }
        }
    }
}

fn gauge(topic: &'static str, partition: i32) -> metrics::Gauge {
    let partition = partition.to_string();
    metrics::gauge!(HELD_BACK_SINCE, "topic" => topic, "partition" => partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_move_is_held_back_since_it_was_first_seen() {
        let mut held = HeldBack::default();
        let seen = [
            ((7, 7), 10.0),
            ((7, 9), 15.0),
            ((7, 12), 20.0),
            // One of several has ended.
            ((10, 12), 25.0),
            ((13, 13), 30.0),
            ((13, 14), 35.0),
        ];
        let since = seen.map(|(ends, now)| held.note(("catalog.events", 3), ends, now));
        assert_eq!(since, [0.0, 0.0, 15.0, 0.0, 0.0, 0.0]);
    }
}
