//! Whether somebody else is to blame.

use projections::{EngineError, Error, search::SearchError};
use tokio::time::error::Elapsed;

/// Whether MySQL or OpenSearch was away, or too slow: that says nothing of what was asked, nor of
/// who asked.
pub(crate) fn is_outage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let mysql = match cause.downcast_ref() {
            Some(EngineError::Db(error)) => Some(error),
            _ => cause.downcast_ref(),
        };
        mysql.is_some_and(Error::may_pass)
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
}
