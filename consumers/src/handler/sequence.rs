//! That each command follows the one that was decided before it.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use schemas::Lane;

use super::wish::Wish;

/// One lane of one partition.
type Place = (Lane, i32);

/// Compares what was read with what was decided, whatever a client's queue may have done with it: a
/// command decided twice or left out is the one thing that must not happen.
#[derive(Default)]
pub(super) struct Sequence {
    /// Where commands seemed to be missing, from which offset to which.
    gaps: HashMap<Place, (i64, i64)>,
}

impl Sequence {
    /// The wishes that follow the `next` command of their lane and partition, and whether others
    /// have to be read again. What lacks commands before it is taken for true when it is read a
    /// second time: the offsets between hold none, such as the markers of somebody's transactions.
    pub(super) fn follow(
        &mut self,
        wishes: Vec<Wish>,
        next: impl Fn(Lane, i32) -> Option<i64>,
    ) -> (Vec<Wish>, bool) {
        let mut expected: HashMap<Place, i64> = HashMap::new();
        let mut broken: HashSet<Place> = HashSet::new();
        let follows = |wish: &Wish| {
            let (place, offset) = ((wish.lane, wish.partition), wish.offset);
            let Some(first) = next(wish.lane, wish.partition) else { return true };
            let at = expected.entry(place).or_insert(first);
            let follows = match offset.cmp(at) {
                _ if broken.contains(&place) => false,
                Ordering::Less => false,
                Ordering::Equal => true,
                Ordering::Greater => {
                    let seen = self.gaps.insert(place, (*at, offset)) == Some((*at, offset));
                    seen || !broken.insert(place)
                }
            };
            if follows {
                *at = offset + 1;
            } else {
                let lane = wish.lane.as_str();
                tracing::warn!(lane, wish.partition, offset, expected = *at, "out of sequence");
            }
            follows
        };
        let following = wishes.into_iter().filter(follows).collect();
        (following, !broken.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(sequence: &mut Sequence, bulk: &[i64], next: i64) -> (Vec<i64>, bool) {
        let wishes = bulk.iter().map(|offset| Wish::unread(Lane::Bulk, 0, *offset)).collect();
        let (wishes, again) = sequence.follow(wishes, |_, _| Some(next));
        (wishes.iter().map(|wish| wish.offset).collect(), again)
    }

    #[test]
    fn what_was_decided_is_not_decided_again() {
        let mut sequence = Sequence::default();
        assert_eq!(follow(&mut sequence, &[5, 6, 7, 6, 8], 6), (vec![6, 7, 8], false));
    }

    #[test]
    fn nothing_is_left_out_before_it_was_looked_for_twice() {
        let mut sequence = Sequence::default();
        assert_eq!(follow(&mut sequence, &[5, 7, 8], 5), (vec![5], true));
        assert_eq!(follow(&mut sequence, &[8, 9], 6), (vec![], true), "another gap");
        assert_eq!(follow(&mut sequence, &[6, 7, 8], 6), (vec![6, 7, 8], false));
        assert_eq!(follow(&mut sequence, &[11, 12], 9), (vec![], true));
        assert_eq!(follow(&mut sequence, &[11, 12], 9), (vec![11, 12], false), "markers");
    }

    #[test]
    fn each_lane_and_partition_is_looked_at_alone() {
        let wishes = vec![
            Wish::unread(Lane::Interactive, 0, 3),
            Wish::unread(Lane::Bulk, 0, 9),
            Wish::unread(Lane::Bulk, 1, 3),
            Wish::unread(Lane::Interactive, 2, 77),
        ];
        let next = |_, partition| (partition < 2).then_some(3);
        let (wishes, again) = Sequence::default().follow(wishes, next);
        let left: Vec<_> = wishes.iter().map(|wish| (wish.partition, wish.offset)).collect();
        assert_eq!((left, again), (vec![(0, 3), (1, 3), (2, 77)], true));
    }
}
