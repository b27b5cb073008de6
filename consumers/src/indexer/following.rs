//! One partition as the indexer follows it: what changed, and is not searchable yet.

use std::collections::VecDeque;

use domain::{BrandId, ProductId, Timestamp};
use projections::{
    Checkpoint, Logged,
    products::PRODUCT,
    search::{Change, Move, Renamed},
};
use schemas::CATALOG;

const BRAND: &str = "brand";
/// A partition that is further ahead of the read model than this is not read on for a while.
const MOST: usize = 10_000;

/// Where a partition stands, and which changes wait for the read model to cover them.
pub(super) struct Following {
    at: Checkpoint,
    waiting: VecDeque<Waiting>,
    held: bool,
}

struct Waiting {
    offset: i64,
    makes_old: Documents,
    appended: Timestamp,
}

/// The documents that a record makes old.
enum Documents {
    /// None: it is passed like the others.
    None,
    /// That of a product.
    Of(ProductId),
    /// Those of a brand's products. They follow also when the brand is new: a product that names it
    /// may have been read a moment before.
    OfBrand(Renamed),
}

/// What can be written of a partition now.
pub(super) struct Step {
    /// The checkpoint's move, once it is written.
    pub(super) step: Move,
    /// When the changes that it covers were appended.
    pub(super) appended: Vec<Timestamp>,
}

impl Following {
    pub(super) fn from(at: Checkpoint) -> Self {
        Self { at, waiting: VecDeque::new(), held: false }
    }

    pub(super) fn at(&self) -> &Checkpoint {
        &self.at
    }

    /// The next offset to read.
    pub(super) fn next(&self) -> i64 {
        let next = self.at.next(CATALOG.events.name);
        self.waiting.back().map_or(next, |last| last.offset + 1)
    }

    pub(super) fn push(&mut self, logged: &Logged) {
        let (offset, appended) = (logged.offset, logged.appended);
        let makes_old = match logged.fact.event_head() {
            Some(head) if head.kind == PRODUCT => Documents::Of(ProductId(head.origin.aggregate)),
            Some(head) if head.kind == BRAND => {
                let (brand, mall) = (BrandId(head.origin.aggregate), head.origin.mall.clone());
                Documents::OfBrand(Renamed { brand, mall, offset })
            }
            _ => Documents::None,
        };
        self.waiting.push_back(Waiting { offset, makes_old, appended });
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Decides whether to read on; answers whether that changed.
    pub(super) fn hold(&mut self) -> bool {
        let hold = self.waiting.len() >= if self.held { MOST / 2 } else { MOST };
        std::mem::replace(&mut self.held, hold) != hold
    }

    /// The oldest changes that wait, at most so many.
    pub(super) fn changes(&self, most: usize) -> Vec<Change> {
        let oldest = self.waiting.iter().take(most);
        let change = |change: &Waiting| match change.makes_old {
            Documents::Of(product) => Some((change.offset, product)),
            Documents::None | Documents::OfBrand(_) => None,
        };
        oldest.filter_map(change).collect()
    }

    /// What of the oldest `most` changes is written with documents that cover all below `covered`.
    pub(super) fn step(&self, partition: i32, covered: i64, most: usize) -> Option<Step> {
        let done = self.waiting.iter().take(most).take_while(|change| change.offset < covered);
        let (offsets, appended): (Vec<_>, Vec<_>) =
            done.clone().map(|change| (change.offset, change.appended)).unzip();
        let renamed = done.filter_map(|change| match &change.makes_old {
            Documents::OfBrand(renamed) => Some(renamed.clone()),
            Documents::None | Documents::Of(_) => None,
        });
        let renamed = renamed.collect();
        let mut to = self.at.clone();
        to.offsets.get_mut(CATALOG.events.name)?.next = offsets.last()? + 1;
        to.appended = to.appended.max(appended.iter().copied().max()?);
        Some(Step { step: Move { partition, from: self.at.clone(), to, renamed }, appended })
    }

    /// The checkpoint was moved.
    pub(super) fn moved(&mut self, to: Checkpoint) {
        let next = to.next(CATALOG.events.name);
        while self.waiting.front().is_some_and(|change| change.offset < next) {
            self.waiting.pop_front();
        }
        self.at = to;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use projections::{Consumed, Fact};

    use super::*;

    fn following(offsets: &[i64]) -> Following {
        let consumed = Consumed { next: 5, topic_id: "id".to_owned() };
        let offsets_of = BTreeMap::from([(CATALOG.events.name.to_owned(), consumed)]);
        let mut following =
            Following::from(Checkpoint { offsets: offsets_of, appended: Timestamp(0) });
        for &offset in offsets {
            following.push(&Logged {
                topic: CATALOG.events.name.to_owned(),
                partition: 3,
                offset,
                appended: Timestamp(offset * 10),
                fact: Fact::Unknown { record: "test".to_owned() },
                as_written: None,
            });
        }
        following
    }

    #[test]
    fn only_what_the_read_model_covers_is_passed() {
        let mut following = following(&[5, 6, 8, 9]);
        assert_eq!(following.next(), 10);
        assert!(following.step(3, 5, 100).is_none());
        let step = following.step(3, 8, 100).unwrap();
        assert_eq!(step.step.to.next(CATALOG.events.name), 7);
        assert_eq!(step.step.to.appended, Timestamp(60));
        following.moved(step.step.to);
        assert_eq!((following.next(), following.waiting.len()), (10, 2));
        let step = following.step(3, 100, 1).unwrap();
        assert_eq!(step.step.to.next(CATALOG.events.name), 9, "no more than was read");
    }

    #[test]
    fn a_partition_far_ahead_is_held_until_half_is_done() {
        let offsets: Vec<i64> = (5..10_005).collect();
        let mut following = following(&offsets);
        assert!(following.hold() && following.is_held());
        assert!(!following.hold());
        let step = following.step(3, 6_000, usize::MAX).unwrap();
        following.moved(step.step.to);
        assert!(following.hold() && !following.is_held());
    }
}
