//! `given(history).when(command).then(events)` of any aggregate.

use std::fmt::Debug;

use domain::{Aggregate, Refusal, Timestamp};
use uuid::Uuid;

/// When everything in the history of an example happened.
pub(crate) const BEFORE: Timestamp = Timestamp(1_000);

/// When what is decided in an example is decided.
pub(crate) const NOW: Timestamp = Timestamp(2_000);

/// An aggregate with a history.
pub(crate) struct Given<A> {
    id: Uuid,
    state: A,
}

/// What was decided of a command.
pub(crate) struct Decided<A: Aggregate>(Result<Vec<A::Event>, A::Rejection>);

/// The aggregate `id` after `history`.
pub(crate) fn given<A: Aggregate>(id: Uuid, history: impl AsRef<[A::Event]>) -> Given<A> {
    let mut state = A::default();
    history.as_ref().iter().for_each(|event| state.evolve(event, BEFORE));
    Given { id, state }
}

impl<A: Aggregate> Given<A> {
    /// Decides `command`.
    pub(crate) fn when(self, command: impl Into<A::Command>) -> Decided<A> {
        Decided(self.state.decide(self.id, &command.into(), NOW))
    }
}

impl<A> Decided<A>
where
    A: Aggregate<Event: Debug + Clone + PartialEq, Rejection: Debug + PartialEq>,
{
    /// Expects exactly these events.
    #[track_caller]
    pub(crate) fn then<const N: usize>(self, events: [A::Event; N]) {
        assert_eq!(self.0, Ok(Vec::from(events)));
    }

    /// Expects the rejection and the code under which clients know it.
    #[track_caller]
    pub(crate) fn rejected(self, rejection: A::Rejection, code: &str) {
        assert_eq!(rejection.code(), code);
        assert_eq!(self.0, Err(rejection));
    }
}
