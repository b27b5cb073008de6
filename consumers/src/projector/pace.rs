//! How much is taken at a time, and how long the pause after it is.

use std::{num::NonZeroU32, time::Duration};

/// Records taken in one poll, over all partitions.
const MOST: usize = 2000;
/// To what they shrink while MySQL does not take more in time.
const LEAST: usize = 50;
/// The least time between two transactions, unless the batch was a full one: under load a few
/// changes gather, and what a transaction costs is shared; after a rest the first is not delayed.
const GATHER: Duration = Duration::from_millis(50);
/// In how many batches a second's records come where they are throttled: few enough at a time that
/// others hardly notice one, and that the pause after it keeps nobody from leaving.
const BATCHES: u32 = 5;

/// The pace of a worker.
pub(super) struct Pace {
    throttle: Option<NonZeroU32>,
    limit: usize,
    /// Records to take in the next poll, at most.
    pub(super) most: usize,
}

impl Pace {
    /// At most `throttle` records in a second.
    pub(super) fn new(throttle: Option<NonZeroU32>) -> Self {
        let share = throttle.map(|records| (records.get() / BATCHES).max(1));
        let limit = share.map_or(MOST, |share| MOST.min(share as usize));
        Self { throttle, limit, most: limit }
    }

    /// Whether a rate was asked for.
    pub(super) fn is_throttled(&self) -> bool {
        self.throttle.is_some()
    }

    /// After a batch that was too much.
    pub(super) fn shrink(&mut self) {
        self.most = (self.most / 2).max(LEAST).min(self.limit);
    }

    /// After one that was not.
    pub(super) fn grow(&mut self) {
        self.most = (self.most * 2).min(self.limit);
    }

    /// How long to pause after a batch of so many records that took so long.
    pub(super) fn pause(&self, records: usize, took: Duration) -> Duration {
        let gather = if records < self.most { GATHER } else { Duration::ZERO };
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        let due = self.throttle.map(|most| Duration::from_secs(1) * records / most.get());
        due.unwrap_or_default().max(gather).saturating_sub(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn few_records_gather_and_many_do_not_wait() {
        let pace = Pace::new(None);
        assert_eq!(pace.pause(3, millis(20)), millis(30));
        assert_eq!(pace.pause(3, millis(70)), millis(0));
        assert_eq!(pace.pause(MOST, millis(20)), millis(0));
    }

    #[test]
    fn a_throttle_is_kept_in_small_batches() {
        let mut pace = Pace::new(NonZeroU32::new(1000));
        assert_eq!(pace.most, 200);
        assert_eq!(pace.pause(200, millis(20)), millis(180));
        assert_eq!(pace.pause(200, millis(300)), millis(0));
        pace.shrink();
        assert_eq!((pace.most, pace.pause(100, millis(0))), (100, millis(100)));
        pace.grow();
        pace.grow();
        assert_eq!(pace.most, 200);
        let mut slow = Pace::new(NonZeroU32::new(3));
        slow.shrink();
        assert_eq!((slow.most, slow.pause(1, millis(0)).as_millis()), (1, 333));
    }
}
