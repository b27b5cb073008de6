//! In which order hits come, and where they go on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::products::CursorError;

/// In which order hits come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// What matches best first.
    #[default]
    Relevance,
    /// The cheapest first.
    Price,
    /// The dearest first.
    PriceDown,
    /// What was registered last first.
    Newest,
}

/// Where a list of hits goes on. It belongs to one order, and says whether near misses are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub(super) sort: Sort,
    pub(super) approximate: bool,
    pub(super) after: Vec<Value>,
}

impl Sort {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Relevance, "relevance"),
        (Self::Price, "price"),
        (Self::PriceDown, "-price"),
        (Self::Newest, "newest"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(sort, _)| *sort == self).map_or("", |(_, text)| text)
    }

    /// What the engine sorts by; the id makes the order total.
    pub(super) fn clauses(self) -> Value {
        let first = match self {
            Self::Relevance => json!({ "_score": "desc" }),
            Self::Price => json!({ "list_price_minor": "asc" }),
            Self::PriceDown => json!({ "list_price_minor": "desc" }),
            Self::Newest => json!({ "registered_at": "desc" }),
        };
        json!([first, { "id": "asc" }])
    }

    /// Whether the engine could have given those values for a hit.
    fn gives(self, after: &[Value]) -> bool {
        let [first, id] = after else { return false };
        let is_first = if self == Self::Relevance { first.is_f64() } else { first.is_i64() };
        is_first && id.as_str().is_some_and(|id| Uuid::try_parse(id).is_ok())
    }
}

impl FromStr for Sort {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, known)| *known == text);
        found.map(|(sort, _)| *sort).ok_or_else(|| {
            let known = Self::ALL.map(|(_, known)| known).join(", ");
            format!("`sort` is one of {known}")
        })
    }
}

impl Place {
    /// The order that it belongs to.
    pub fn sort(&self) -> Sort {
        self.sort
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = json!([self.sort.as_str(), self.approximate, self.after]);
        place.to_string().bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Place {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        let pair = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(pair).collect();
        let bytes = bytes.filter(|bytes| bytes.len() <= 200).ok_or(CursorError)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| CursorError)?;
        let (sort, approximate, after) =
            <(String, bool, Vec<Value>)>::deserialize(value).map_err(|_| CursorError)?;
        let sort: Sort = sort.parse().map_err(|_| CursorError)?;
        sort.gives(&after).then_some(Self { sort, approximate, after }).ok_or(CursorError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_as_it_was_written_and_nothing_else_does() {
        let after = vec![json!(3.25), json!(Uuid::from_u128(7))];
        let place = Place { sort: Sort::Relevance, approximate: true, after };
        assert_eq!(place.to_string().parse(), Ok(place.clone()));
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let forged = hex(r#"["price",false,["cheap","x"]]"#);
        for bad in ["", "0", "zz", &forged, &hex("[]"), &place.to_string()[2..]] {
            assert_eq!(bad.parse::<Place>(), Err(CursorError), "{bad}");
        }
    }
}
