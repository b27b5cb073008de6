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
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        // What is written between the two seems held back; its stable offset moves on by the next look.
        let (stable, written) =
            (all(stable, topics, Offset::End)?, all(written, topics, Offset::End)?);
        for (topic, partition) in each(topics) {
            let of = |list| offset_in(list, topic, partition);
            let Some((stable, written)) = of(&stable).zip(of(&written)) else { continue };
            let since = self.note((topic.name, partition), (stable, written), now);
            let partition = partition.to_string();
            metrics::gauge!(HELD_BACK_SINCE, "topic" => topic.name, "partition" => partition)
                .set(since);
        }
        Ok(())
    }

    fn note(&mut self, at: (&'static str, i32), (stable, written): (i64, i64), now: f64) -> f64 {
        if written <= stable {
            self.since.remove(&at);
            return 0.0;
        }
        let known = self.since.get(&at).filter(|(stood, _)| *stood == stable);
        let since = known.map_or(now, |(_, since)| *since);
        self.since.insert(at, (stable, since));
        since
    }
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
        assert_eq!(since, [0.0, 15.0, 15.0, 25.0, 0.0, 35.0]);
    }
}
