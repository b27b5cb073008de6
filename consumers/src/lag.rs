//! How far behind the log a reader is, in records and in time.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::Timestamp;
use metrics::{Gauge, Label, counter, gauge, histogram};
use projections::Checkpoint;
use schemas::Topic;

use crate::{
    log::Ends,
    telemetry::{APPLIED, LAG_RECORDS, LAG_SECONDS, PROJECTION_AGE},
};

/// Tells how far behind the log each partition of a projection's version is, whether or not it is
/// known where that stands now: the log grows on while MySQL or OpenSearch is away.
pub(crate) struct LagGauges {
    labels: [Label; 2],
    topics: &'static [Topic],
    ends: Ends,
    lag: Lag,
    /// Where each partition was last known to stand, if it was.
    stood: BTreeMap<i32, Option<Checkpoint>>,
}

impl LagGauges {
    /// Of a version of a projection that is made of `topics`.
    pub(crate) fn of(
        projection: &'static str,
        version: i32,
        topics: &'static [Topic],
        ends: Ends,
    ) -> Self {
        let version = Label::new("version", version.to_string());
        let labels = [Label::from_static_parts("projection", projection), version];
        Self { labels, topics, ends, lag: Lag::default(), stood: BTreeMap::new() }
    }

    /// Tells of these partitions, and of those before; `at` is where one stands, where that is known.
    pub(crate) fn tell<'a>(&mut self, at: impl Iterator<Item = (i32, Option<&'a Checkpoint>)>) {
        for (partition, checkpoint) in at {
            let stood = self.stood.entry(partition).or_default();
            *stood = checkpoint.cloned().or(stood.take());
        }
        for (&partition, stood) in &self.stood {
            let behind = stood.as_ref().and_then(|stood| self.behind(partition, stood));
            let age = if let (Some(behind), Some(stood)) = (behind, stood) {
                let records = f64::from(i32::try_from(behind).unwrap_or(i32::MAX));
                self.gauge(LAG_RECORDS, partition).set(records);
                self.lag.seconds(partition, behind, stood.appended)
            } else {
                self.lag.seconds_unknown(partition)
            };
            self.gauge(LAG_SECONDS, partition).set(age);
        }
    }

    /// Records of all its topics that it has not applied, if the brokers have told the ends.
    fn behind(&self, partition: i32, at: &Checkpoint) -> Option<i64> {
        let behind = |topic: &Topic| self.ends.behind(topic.name, partition, at.next(topic.name));
        self.topics.iter().map(behind).sum()
    }

    /// Tells of no partition any more.
    pub(crate) fn forget(&mut self) {
        self.stood.clear();
        for partition in self.lag.forget() {
            self.gauge(LAG_RECORDS, partition).set(0);
            self.gauge(LAG_SECONDS, partition).set(0);
        }
    }

    fn gauge(&self, metric: &'static str, partition: i32) -> Gauge {
        let partition = Label::new("partition", partition.to_string());
        gauge!(metric, self.labels.iter().cloned().chain([partition]).collect::<Vec<_>>())
    }
}

/// Tells that a projection has applied records, appended at those times.
pub(crate) fn applied(projection: &'static str, appended: &[Timestamp]) {
    counter!(APPLIED, "projection" => projection).increment(appended.len() as u64);
    let (now, age) = (now(), histogram!(PROJECTION_AGE, "projection" => projection));
    for &appended in appended {
        age.record(seconds_between(appended, now));
    }
}

/// Since when each partition may be behind.
#[derive(Default)]
struct Lag {
    of: BTreeMap<i32, Seen>,
}

struct Seen {
    /// When it was asked for first.
    first: Timestamp,
    /// When it was last level with the log; 0 where it never was.
    level: Timestamp,
}

impl Lag {
    /// How long ago what is next was appended at the earliest, in seconds; 0 where nothing is left.
    /// `appended` is when the last was that is done, and 0 before the first.
    fn seconds(&mut self, partition: i32, behind: i64, appended: Timestamp) -> f64 {
        self.seconds_at(now(), partition, behind, appended)
    }

    /// How long it has not been known where the partition stands, or its log ends, in seconds:
    /// something may have waited since, or longer.
    fn seconds_unknown(&mut self, partition: i32) -> f64 {
        self.seconds(partition, 1, Timestamp(0))
    }

    fn seconds_at(
        &mut self,
        now: Timestamp,
        partition: i32,
        behind: i64,
        appended: Timestamp,
    ) -> f64 {
        let begun = Seen { first: now, level: Timestamp(0) };
        let seen = self.of.entry(partition).or_insert(begun);
        // Whatever was noted by a clock that was ahead was not later than now.
        (seen.first, seen.level) = (seen.first.min(now), seen.level.min(now));
        if behind == 0 {
            seen.level = now;
            return 0.0;
        }
        // What is not done was appended after the last that is, and after the partition was last level
        // with the log. Where neither ever was, it is not known since when anything stands there.
        match appended.max(seen.level) {
            Timestamp(0) => seconds_between(seen.first, now),
            since => seconds_between(since, now),
        }
    }

    /// Tells of no partition any more, and which those were.
    fn forget(&mut self) -> impl Iterator<Item = i32> + use<> {
        std::mem::take(&mut self.of).into_keys()
    }
}

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// 0 where `from` comes later, by another clock.
fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let millis = to.0.saturating_sub(from.0).max(0);
    Duration::from_millis(millis.unsigned_abs()).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole seconds")]
    fn lag_begins_where_it_is_known_to() {
        let mut lag = Lag::default();
        let mut at = |second: i64, behind, appended: i64| {
            lag.seconds_at(Timestamp(second * 1000), 0, behind, Timestamp(appended * 1000))
        };
        // The first records of a new shop do not wait since 1970.
        assert_eq!(at(100, 5, 0), 0.0);
        assert_eq!(at(103, 5, 0), 3.0);
        assert_eq!(at(104, 5, 102), 2.0);
        // Nor does an old log that is read anew wait since a moment ago.
        assert_eq!(at(104, 5, 40), 64.0);
        assert_eq!(at(105, 0, 104), 0.0);
        // A quiet hour is no lag.
        assert_eq!(at(3_700, 0, 104), 0.0);
        assert_eq!(at(3_701, 1, 104), 1.0);
        // Set back by an hour, the clock hides no more than the time before.
        assert_eq!(at(200, 1, 104), 0.0);
        assert_eq!(at(210, 1, 104), 10.0);
        // Whoever starts anew knows when the last was appended.
        let anew = Lag::default().seconds_at(Timestamp(9_000), 0, 1, Timestamp(2_000));
        assert_eq!(anew, 7.0);
    }
}
