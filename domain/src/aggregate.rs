//! What every aggregate has in common.

use std::fmt::Display;

use uuid::Uuid;

use crate::Timestamp;

/// A unit of consistency: one key, one partition, one writer.
///
/// The default value is the aggregate before its first event.
pub trait Aggregate: Default + Clone {
    /// A wish addressed to the aggregate.
    type Command;
    /// A fact of the aggregate.
    type Event;
    /// Why a wish was refused.
    type Rejection: Refusal;

    /// Concludes what follows from `command`: its events, none when nothing would change.
    ///
    /// `id` is the aggregate's own key and `at` the recorded time of the decision.
    ///
    /// # Errors
    /// The rejection, when a rule forbids the command in this state.
    fn decide(
        &self,
        id: Uuid,
        command: &Self::Command,
        at: Timestamp,
    ) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Takes in a fact that was decided at `at`. Facts are never refused.
    fn evolve(&mut self, event: &Self::Event, at: Timestamp);

    /// Whether a build that does not know the event must not decide after it. One that says
    /// otherwise may be stepped over by builds of before it came: whatever they decide is as right
    /// as it would be without it.
    fn is_critical(_event: &Self::Event) -> bool {
        true
    }
}

/// A refusal: its text says what to mend, its code never changes once published.
pub trait Refusal: Display {
    /// The stable code, in capitals, that clients may match on.
    fn code(&self) -> &'static str;

    /// Every code that there is.
    fn codes() -> Vec<&'static str>
    where
        Self: Sized;
}
