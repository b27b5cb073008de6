//! How often a worker has failed in a row, and whether somebody else is to blame.

use std::time::Duration;

use projections::{EngineError, Error, search::SearchError};
use tokio::time::error::Elapsed;

/// Failures of its own after which a worker's consumer is made anew.
const PATIENCE: u32 = 20;
/// Looks, over 6 s at least, before a partition is given up that seems to be ahead of its log.
const LOOKS: u32 = 6;

/// Failures of a worker since it last succeeded.
#[derive(Default)]
pub(crate) struct Failures {
    all: u32,
    /// Of those since the last outage, which say something of its consumer, or of the log.
    own: u32,
}

impl Failures {
    /// Counts one more. Answers how long to wait before the next try; none where the consumer is to
    /// be made anew.
    pub(crate) fn count(&mut self, error: &anyhow::Error) -> Option<Duration> {
        self.all = self.all.saturating_add(1);
        self.own = if is_outage(error) { 0 } else { self.own + 1 };
        let pause = Duration::from_millis(100 << self.all.min(5));
        (self.own < PATIENCE).then_some(pause)
    }

    pub(crate) fn in_a_row(&self) -> u32 {
        self.all
    }

    /// Whether what seems to be wrong with the log is to be looked at once more.
    pub(crate) fn looks_again(&self) -> bool {
        self.own < LOOKS
    }
}

/// Whether MySQL or OpenSearch was away, or too slow: that says nothing of what was asked, nor of
/// who asked.
pub(crate) fn is_outage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(EngineError::is_outage)
            || cause.downcast_ref().is_some_and(Error::may_pass)
            || cause.downcast_ref().is_some_and(SearchError::may_pass)
            || cause.is::<Elapsed>()
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_outage_is_known_however_it_is_told() {
        assert!(is_outage(&EngineError::Db(Error::Late).into()));
        assert!(is_outage(&anyhow::Error::from(Error::Late).context("mysql")));
        let refused = |status| SearchError::Refused { status, reason: String::new() };
        assert!(is_outage(&refused(503).into()));
        assert!(!is_outage(&refused(404).into()));
        assert!(!is_outage(&EngineError::Superseded.into()));
        assert!(!is_outage(&anyhow!("the topic is gone")));
    }

    #[test]
    fn no_outage_lasts_too_long() {
        let (mut failures, outage) = (Failures::default(), EngineError::Db(Error::Late).into());
        for _ in 0..1_000 {
            assert!(failures.count(&outage).is_some() && failures.looks_again());
        }
        let own = anyhow!("the topic is gone");
        let mut tries = || (1..).take_while(|_| failures.count(&own).is_some()).count();
        assert_eq!(tries(), 19);
        assert!(!failures.looks_again());
        // What was seen before it may be otherwise after it.
        assert!(failures.count(&outage).is_some() && failures.looks_again());
        assert_eq!(failures.in_a_row(), 1_021);
        let pause = Failures::default().count(&own);
        assert_eq!(pause, Some(Duration::from_millis(200)));
    }
}
