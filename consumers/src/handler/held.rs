//! Bulk commands whose turn has not come.

use std::collections::{BTreeMap, VecDeque};

use super::wish::Wish;

/// Bulk commands that were read ahead, by partition and in the order of its log.
///
/// A transaction takes from one partition what there is before it takes from the next. Each
/// partition that it writes to costs the brokers a request and a marker, and an answer to everybody
/// who follows it: a share spread over all of them costs several times as much as the same from one.
#[derive(Default)]
pub(super) struct Held {
    queues: BTreeMap<i32, VecDeque<Wish>>,
    count: usize,
    bytes: usize,
    /// The partition whose turn was last.
    last: i32,
}

impl Held {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many bytes of the log they are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Lets go of all, to be read again; whose turn comes next stays as it is.
    pub(super) fn clear(&mut self) {
        *self = Self { last: self.last, ..Self::default() };
    }

    /// Adds what was read after all that is held.
    pub(super) fn extend(&mut self, wishes: Vec<Wish>) {
        self.count += wishes.len();
        for wish in wishes {
            self.bytes += wish.size;
            self.queues.entry(wish.partition).or_default().push_back(wish);
        }
    }

    /// Takes at most `most`, of as few partitions as have them; the partitions take turns.
    pub(super) fn take(&mut self, most: usize) -> Vec<Wish> {
        let mut taken = vec![];
        while taken.len() < most
            && let Some(partition) = self.next()
        {
            self.last = partition;
            let Some(queue) = self.queues.get_mut(&partition) else { break };
            taken.extend(queue.drain(..queue.len().min(most - taken.len())));
            if queue.is_empty() {
                self.queues.remove(&partition);
            }
        }
        self.count -= taken.len();
        self.bytes -= taken.iter().map(|wish| wish.size).sum::<usize>();
        taken
    }

    /// The partition after the last one, from the first again at the end.
    fn next(&self) -> Option<i32> {
        let after = self.queues.range(self.last + 1..).next();
        after.or_else(|| self.queues.iter().next()).map(|(partition, _)| *partition)
    }
}

#[cfg(test)]
mod tests {
    use schemas::Lane;

    use super::*;

    fn wish((partition, offset): (i32, i64)) -> Wish {
        Wish::unread(Lane::Bulk, partition, offset)
    }

    fn places(wishes: &[Wish]) -> Vec<(i32, i64)> {
        wishes.iter().map(|wish| (wish.partition, wish.offset)).collect()
    }

    #[test]
    fn partitions_take_turns_and_keep_their_order() {
        let mut held = Held::default();
        held.extend([(0, 5), (2, 1), (0, 6), (1, 9), (0, 7)].map(wish).into());
        assert_eq!((held.len(), held.bytes()), (5, 5));
        assert_eq!(places(&held.take(2)), [(1, 9), (2, 1)], "the turn begins after the last one");
        assert_eq!(places(&held.take(2)), [(0, 5), (0, 6)]);
        held.extend([(1, 10), (1, 11), (1, 12)].map(wish).into());
        assert_eq!(places(&held.take(2)), [(1, 10), (1, 11)], "of one, where one has enough");
        assert_eq!(places(&held.take(9)), [(0, 7), (1, 12)]);
        assert_eq!((held.len(), held.bytes(), held.take(9).len()), (0, 0, 0));
        held.extend([(0, 1), (1, 1), (2, 1)].map(wish).into());
        held.clear();
        assert_eq!(held.len(), 0);
        held.extend([(0, 1), (1, 1), (2, 1)].map(wish).into());
        assert_eq!(places(&held.take(1)), [(2, 1)], "what is read again changes no turn");
    }
}
