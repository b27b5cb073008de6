//! The order of a request's commands to one aggregate.

use std::collections::HashMap;

use tokio::sync::oneshot;
use uuid::Uuid;

/// Gives each command its turn. One is sent only once the one before it, to the same aggregate, is
/// in the log: sent together, a later one could be decided although an earlier one never came.
#[derive(Default)]
pub(super) struct Turns(HashMap<Uuid, oneshot::Receiver<()>>);

/// A command's place in the order. Dropped without [`Turn::pass`], it ends the order: what follows
/// is not sent.
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    next: oneshot::Sender<()>,
}

impl Turns {
    /// The turn after all that `aggregate` was given so far.
    pub(super) fn of(&mut self, aggregate: Uuid) -> Turn {
        let (next, passed) = oneshot::channel();
        Turn { before: self.0.insert(aggregate, passed), next }
    }
}

impl Turn {
    /// Waits for the turn; false where it will not come.
    pub(super) async fn comes(&mut self) -> bool {
        match self.before.take() {
            Some(before) => before.await.is_ok(),
            None => true,
        }
    }

    /// The command is in the log: the next may follow.
    pub(super) fn pass(self) {
        // Nobody follows.
        let _ = self.next.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_follows_waits_and_what_fails_ends_the_order_of_its_aggregate_only() {
        let (mut turns, one, other) = (Turns::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        let [mut first, mut second, mut third] = [(); 3].map(|()| turns.of(one));
        let mut another = turns.of(other);
        assert!(first.comes().await);
        let second = tokio::spawn(async move {
            assert!(second.comes().await);
            second
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        first.pass();
        drop(second.await);
        assert!(!third.comes().await);
        drop(third);
        assert!(!turns.of(one).comes().await);
        assert!(another.comes().await);
    }
}
