//! A page of a list that is read in the order of a key.

use serde::Serialize;

/// Some rows, and where the next ones begin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<Row, Cursor> {
    /// The rows, in order.
    pub items: Vec<Row>,
    /// The key of the last row, where more follow.
    pub next: Option<Cursor>,
}

impl<Row, Cursor> Page<Row, Cursor> {
    /// A page of at most `limit` of `rows`, which were read with one more to see whether any follow.
    pub(crate) fn cut(mut rows: Vec<Row>, limit: u32, key: impl Fn(&Row) -> Cursor) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(key);
        Self { items: rows, next }
    }
}
