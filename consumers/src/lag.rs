//! How far behind the log a reader is, in time.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::Timestamp;

/// When each partition was last seen level with the log.
#[derive(Default)]
pub(crate) struct Lag {
    level: BTreeMap<i32, Timestamp>,
}

impl Lag {
    /// How long ago what is next was appended at the earliest, in seconds; 0 where nothing is left.
    /// `appended` is when the last was that is done, and 0 before the first.
    pub(crate) fn seconds(&mut self, partition: i32, behind: i64, appended: Timestamp) -> f64 {
        self.seconds_at(now(), partition, behind, appended)
    }

    fn seconds_at(
        &mut self,
        now: Timestamp,
        partition: i32,
        behind: i64,
        appended: Timestamp,
    ) -> f64 {
        // Of a log of which nothing was done yet it is not known since when anything stands there.
        let unknown = if appended == Timestamp(0) { now } else { Timestamp(0) };
        let level = self.level.entry(partition).or_insert(unknown);
        if behind == 0 {
            *level = now;
            return 0.0;
        }
        // What is not done was appended after the last that is, and after the partition was last
        // level with the log.
        seconds_between(appended.max(*level), now)
    }

    /// Tells of no partition any more, and which those were.
    pub(crate) fn forget(&mut self) -> impl Iterator<Item = i32> + use<> {
        std::mem::take(&mut self.level).into_keys()
    }
}

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// 0 where `from` comes later, by another clock.
pub(crate) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
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
        assert_eq!(at(105, 0, 104), 0.0);
        // A quiet hour is no lag.
        assert_eq!(at(3_700, 0, 104), 0.0);
        assert_eq!(at(3_701, 1, 104), 1.0);
        // Whoever starts anew knows when the last was appended.
        let anew = Lag::default().seconds_at(Timestamp(9_000), 0, 1, Timestamp(2_000));
        assert_eq!(anew, 7.0);
    }
}
