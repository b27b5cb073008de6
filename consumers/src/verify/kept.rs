//! What of a partition's past the log may have lost: topics drop their oldest segments, each at a
//! time of its own.

use domain::{CommandId, Timestamp};
use schemas::CATALOG;

use super::fate::Fate;
use crate::{
    log::Bounds,
    standing::{ANSWER, Log},
};

/// How far the clocks of two brokers may be apart.
const SLACK_MS: i64 = 60_000;
/// How far the clock of whoever checks may be apart from theirs.
const OUR_SLACK_MS: i64 = 3_600_000;
/// For how long a command that is sent again meets its first decision.
const REPEATED_MS: i64 = 24 * 3_600_000;

/// From where on nothing is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Of each lane, whether its first command is still there.
    pub(super) lanes: [bool; 2],
    /// Since when decisions are there; of no time, where all that there were are gone.
    pub(super) decisions: Timestamp,
}

impl Kept {
    /// Everything.
    pub(super) const ALL: Self = Self { lanes: [true; 2], decisions: Timestamp(0) };

    /// What is left, by the first offsets: a topic that begins at 0 has lost nothing. Decisions are
    /// kept for so many milliseconds, as [`kept_for`](crate::admin::kept_for) says.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub(super) fn of(
        log: &Log,
        partition: i32,
        lanes: [Bounds; 2],
        decisions: Bounds,
        kept_for: Option<i64>,
    ) -> anyhow::Result<Self> {
        let lanes = lanes.map(|lane| lane.next == 0);
        if decisions.next == 0 {
            return Ok(Self { lanes, ..Self::ALL });
        }
        let first = log.tail.first(CATALOG.decisions.name, partition, decisions, ANSWER)?;
        let now = Timestamp(chrono::Utc::now().timestamp_millis());
        Ok(Self { lanes, decisions: since(first, kept_for, now) })
    }

    /// Whether a command of which nothing is found may have been decided all the same, by what is
    /// gone. One that was sent again may have been decided when it was sent first.
    pub(super) fn may_lack(&self, id: CommandId, fate: &Fate) -> bool {
        let again = if id.may_be_sent_again() { REPEATED_MS } else { 0 };
        let is_lost =
            self.decisions.0 > 0 && fate.appended.0 < self.decisions.0.saturating_add(again);
        is_lost && fate.decisions + fate.events == 0
    }
}

/// Since when all decisions are there, by the time of the first. The brokers let none go that is
/// younger than they keep it, so one that is gone before its time is missed. Where that time was
/// made longer, one may be missed that went when it was shorter.
fn since(first: Option<Timestamp>, kept_for: Option<i64>, now: Timestamp) -> Timestamp {
    let first = first.map_or(i64::MAX, |first| first.0.saturating_add(SLACK_MS));
    let in_time = kept_for
        .map_or(i64::MAX, |kept| now.0.saturating_sub(kept).saturating_add(OUR_SLACK_MS).max(0));
    Timestamp(first.min(in_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_that_are_gone_before_their_time_are_missed() {
        let now = Timestamp(30 * 24 * 3_600_000);
        let (week, young) = (7 * 24 * 3_600_000, Timestamp(now.0 - 60_000));
        let in_time = Timestamp(now.0 - week + OUR_SLACK_MS);
        assert_eq!(since(None, Some(week), now), in_time);
        assert_eq!(since(Some(young), Some(week), now), in_time);
        // As many as were to be kept, or more.
        let old = Timestamp(now.0 - week);
        assert_eq!(since(Some(old), Some(week), now), Timestamp(old.0 + SLACK_MS));
        // Where they may go at any time, nothing is known but the first.
        assert_eq!(since(Some(young), None, now), Timestamp(now.0));
        assert_eq!(since(None, None, now), Timestamp(i64::MAX));
        // For ever.
        assert_eq!(since(None, Some(i64::MAX), now), Timestamp(0));
    }
}
