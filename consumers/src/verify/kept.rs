//! What of a partition's past the log may have lost: topics drop their oldest segments, each at a
//! time of its own.

use std::time::Instant;

use domain::{CommandId, Timestamp};
use schemas::CATALOG;

use super::fate::Fate;
use crate::{
    log::Bounds,
    standing::{ANSWER, Log},
};

/// How far the clocks of two brokers may be apart.
const SLACK_MS: i64 = 60_000;
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

    /// What is left, by the first offsets: a topic that begins at 0 has lost nothing.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub(super) fn of(
        log: &Log,
        partition: i32,
        lanes: [Bounds; 2],
        decisions: Bounds,
    ) -> anyhow::Result<Self> {
        let lanes = lanes.map(|lane| lane.next == 0);
        if decisions.next == 0 {
            return Ok(Self { lanes, ..Self::ALL });
        }
        let (topic, deadline) = (CATALOG.decisions.name, Instant::now() + ANSWER);
        let first = log.tail.first(topic, partition, decisions, deadline)?;
        let since = first.map_or(i64::MAX, |first| first.0.saturating_add(SLACK_MS));
        Ok(Self { lanes, decisions: Timestamp(since) })
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
