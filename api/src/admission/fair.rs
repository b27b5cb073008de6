//! Whoever has to wait: a queue for each mall, served in turn.

use std::collections::{HashMap, VecDeque};

use domain::MallId;

/// Queues of `T`, one for each mall that has somebody waiting.
#[derive(Debug)]
pub(super) struct Fair<T> {
    queues: HashMap<MallId, VecDeque<T>>,
    /// Whose turn it is, of the malls that have somebody waiting.
    turns: VecDeque<MallId>,
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self { queues: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<T> Fair<T> {
    /// How many of a mall wait.
    pub(super) fn of(&self, mall: &MallId) -> usize {
        self.queues.get(mall).map_or(0, VecDeque::len)
    }

    /// Puts somebody at the end of the mall's queue.
    pub(super) fn push(&mut self, mall: &MallId, waiting: T) {
        if let Some(queue) = self.queues.get_mut(mall) {
            return queue.push_back(waiting);
        }
        self.queues.insert(mall.clone(), VecDeque::from([waiting]));
        self.turns.push_back(mall.clone());
    }

    /// Takes the first of the mall whose turn it is among those that may.
    pub(super) fn pop(&mut self, may: impl Fn(&MallId) -> bool) -> Option<(MallId, T)> {
        let turn = self.turns.iter().position(may)?;
        let mall = self.turns.remove(turn)?;
        let queue = self.queues.get_mut(&mall)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&mall);
        } else {
            self.turns.push_back(mall.clone());
        }
        first.map(|first| (mall, first))
    }

    /// Forgets whoever does not wait any more.
    pub(super) fn retain(&mut self, waits: impl Fn(&T) -> bool) {
        self.queues.values_mut().for_each(|queue| queue.retain(&waits));
        self.queues.retain(|_, queue| !queue.is_empty());
        self.turns.retain(|mall| self.queues.contains_key(mall));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malls_are_served_in_turn_and_each_in_its_order() {
        let (a, b, c) = ("a".parse().unwrap(), "b".parse().unwrap(), "c".parse().unwrap());
        let mut fair = Fair::default();
        (0..5).for_each(|number| fair.push(&a, number));
        (10..12).for_each(|number| fair.push(&b, number));
        fair.push(&c, 20);
        assert_eq!([&a, &b, &c].map(|mall| fair.of(mall)), [5, 2, 1]);
        fair.retain(|number| *number != 20);
        let served: Vec<i32> =
            std::iter::from_fn(|| fair.pop(|_| true)).map(|(_, number)| number).collect();
        assert_eq!(served, [0, 10, 1, 11, 2, 3, 4]);
        assert_eq!(fair.of(&a), 0);
        fair.push(&a, 1);
        fair.push(&b, 2);
        assert_eq!(fair.pop(|mall| *mall == b).map(|(_, number)| number), Some(2));
        assert_eq!((fair.pop(|mall| *mall == b), fair.of(&a)), (None, 1));
    }
}
