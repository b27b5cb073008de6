//! Where a list of products goes on.

use std::{fmt, str::FromStr};

use domain::{ProductId, Timestamp};
use serde::Serialize;
use uuid::Uuid;

/// Where a list goes on: after this product, in the order of registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) registered_at: Timestamp,
    pub(super) id: ProductId,
}

impl Cursor {
    /// Before everything: a product's id is never nil.
    pub(super) const START: Self =
        Self { registered_at: Timestamp(i64::MIN), id: ProductId(Uuid::nil()) };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{}", self.registered_at.0, self.id.0.simple())
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (time, id) = text.split_at_checked(16).ok_or(CursorError)?;
        let time = u64::from_str_radix(time, 16).map_err(|_| CursorError)?;
        let id = Uuid::try_parse(id).map_err(|_| CursorError)?;
        Ok(Self { registered_at: Timestamp(time.cast_signed()), id: ProductId(id) })
    }
}

/// The text is not a cursor that a page was given out with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct CursorError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written() {
        let cursor = Cursor { registered_at: Timestamp(-5), id: ProductId(Uuid::from_u128(7)) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "0", "zz", "000000000000000099", "가나다라마바사아자차카타파하"]
        {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }
}
