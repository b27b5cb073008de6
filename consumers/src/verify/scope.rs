//! What a check is limited to, and which part of a partition it looks at.

use std::{ops::Range, time::Duration};

use anyhow::Context as _;
use domain::{MallId, Timestamp};
use schemas::topic::PARTITIONS;
use uuid::Uuid;

use crate::config::{Flag, Given};

/// Records of a partition that are held at a time, unless told otherwise: some 3 kB each.
const SLICE: u64 = 100_000;

/// The flags that a scope is read from.
pub(super) const FLAGS: &[Flag] = &[
    Flag { name: "wait", value: Some("SECONDS"), meaning: "First wait for rest; fail without." },
    Flag { name: "log-only", value: None, meaning: "Leave MySQL and search out." },
    Flag { name: "mall", value: Some("MALL"), meaning: "Judge only what is this mall's." },
    Flag { name: "since", value: Some("TIME"), meaning: "Judge only what was appended since." },
    Flag { name: "until", value: Some("TIME"), meaning: "Judge only what was appended before." },
    Flag { name: "partition", value: Some("NUMBER"), meaning: "Look at this one only." },
    Flag { name: "api", value: Some("URL"), meaning: "Ask it too, with --keys (3 and 14)." },
    Flag { name: "slice", value: Some("RECORDS"), meaning: "Held at a time; default 100000." },
    Flag { name: "json", value: None, meaning: "As JSON." },
];

/// What to check. Aggregates are folded from their first event in any case, so a mall or a time
/// limits what is judged and not what is read; a partition limits both.
#[derive(Clone, Debug)]
pub struct Scope {
    /// How long to wait until everything is read; none: check what can be checked under load.
    pub wait: Option<Duration>,
    /// Leave MySQL and the search engine out.
    pub log_only: bool,
    /// Only what is this mall's.
    pub mall: Option<MallId>,
    /// Only what was appended at or after this time.
    pub since: Option<Timestamp>,
    /// Only what was appended before this time.
    pub until: Option<Timestamp>,
    /// Only this partition.
    pub partition: Option<i32>,
    /// Where the api answers, to be asked for some of what was found.
    pub api: Option<String>,
    /// How many records of a partition may be held at a time.
    pub slice: u64,
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            wait: None,
            log_only: false,
            mall: None,
            since: None,
            until: None,
            partition: None,
            api: None,
            slice: SLICE,
        }
    }
}

impl Scope {
    /// Reads the flags.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn of(given: &Given) -> anyhow::Result<Self> {
        let number = |name: &str| given.value(name).map(str::parse::<u64>).transpose();
        let time = |name: &str| given.value(name).map(str::parse::<Timestamp>).transpose();
        let partition = given.value("partition").map(str::parse).transpose();
        let scope = Self {
            wait: number("wait").context("--wait SECONDS")?.map(Duration::from_secs),
            log_only: given.has("log-only"),
            mall: given.value("mall").map(str::parse).transpose().context("--mall")?,
            since: time("since").context("--since TIME, such as 2026-01-31T09:00:00Z")?,
            until: time("until").context("--until TIME, such as 2026-01-31T09:00:00Z")?,
            partition: partition.context("--partition NUMBER")?,
            api: given.value("api").map(|url| url.trim_end_matches('/').to_owned()),
            slice: number("slice").context("--slice RECORDS")?.unwrap_or(SLICE).max(1),
        };
        let known = 0..PARTITIONS;
        let is_known = scope.partition.is_none_or(|partition| known.contains(&partition));
        anyhow::ensure!(is_known, "--partition: there are 0 to {}", PARTITIONS - 1);
        Ok(scope)
    }

    /// Whether nothing is left out of the log.
    pub(super) fn is_whole(&self) -> bool {
        self.mall.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.partition.is_none()
    }

    /// The partitions to be read.
    pub(super) fn partitions(&self) -> Range<i32> {
        self.partition.map_or(0..PARTITIONS, |partition| partition..partition + 1)
    }

    /// Whether what is of `mall` is judged at all.
    pub(super) fn is_of(&self, mall: &MallId) -> bool {
        self.mall.as_ref().is_none_or(|only| only == mall)
    }

    /// Whether what was appended then is judged.
    pub(super) fn is_then(&self, appended: Timestamp) -> bool {
        self.since.is_none_or(|since| appended >= since)
            && self.until.is_none_or(|until| appended < until)
    }
}

/// The aggregates of a partition that are held together: one of so many shares, by their ids.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) at: u64,
    pub(super) of: u64,
}

impl Slice {
    /// Shares of a partition of so many records, each of about `most` of them.
    pub(super) fn all(records: u64, most: u64) -> impl Iterator<Item = Self> {
        let of = records.div_ceil(most).max(1);
        (0..of).map(move |at| Self { at, of })
    }

    /// Whether the records under `key` are in it; those under none are in the first.
    pub(super) fn holds(self, key: Option<Uuid>) -> bool {
        // The last bits of an id are random in every kind of UUID that is used.
        key.map_or(0, |key| key.as_u64_pair().1 % self.of) == self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_aggregate_is_in_one_slice() {
        let slices: Vec<Slice> = Slice::all(1_001, 500).collect();
        assert_eq!(slices.len(), 3);
        for number in 0..100 {
            let key = domain::id::derive(&["aggregate", &number.to_string()]);
            assert_eq!(slices.iter().filter(|slice| slice.holds(Some(key))).count(), 1);
        }
        assert_eq!(slices.iter().filter(|slice| slice.holds(None)).count(), 1);
        assert_eq!(Slice::all(0, 500).count(), 1);
    }
}
