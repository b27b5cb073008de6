//! Conclusions that leave no event, and why.

use domain::{Refusal as _, catalog};
use schemas::Verdict;

/// A conclusion that leaves no event.
pub(super) struct Refused {
    pub(super) verdict: Verdict,
    pub(super) code: Option<String>,
    pub(super) detail: Option<String>,
}

impl Refused {
    pub(super) fn unchanged() -> Self {
        Self { verdict: Verdict::Unchanged, code: None, detail: None }
    }

    pub(super) fn rejected(rejection: &catalog::Rejection) -> Self {
        Self::because(rejection.code(), rejection.to_string())
    }

    pub(super) fn version_conflict(version: i64) -> Self {
        Self::because("VERSION_CONFLICT", format!("the version is {version}"))
    }

    fn because(code: &str, detail: String) -> Self {
        let detail = Some(shortened(detail));
        Self { verdict: Verdict::Rejected, code: Some(code.to_owned()), detail }
    }
}

/// A rejection may quote its command. Quoted, some characters take six times their room, and a
/// decision too large for the log would block its partition.
pub(super) fn shortened(mut detail: String) -> String {
    const MOST: usize = 1000;
    if detail.len() > MOST {
        detail.truncate(detail.floor_char_boundary(MOST));
        detail.push('…');
    }
    detail
}
