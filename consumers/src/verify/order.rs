//! That decisions stand in the order of their commands, and that their offsets were accepted.
//!
//! A handler commits what it decided together with the offsets that it came from, and is refused
//! once another has taken over. So the decisions of a lane stand in the order of its commands, and
//! none is of a command that the group has not passed. Whatever a zombie committed would come late,
//! behind those of its successor, or without its offsets.

use domain::CommandId;
use projections::{Fact, Logged};
use schemas::Lane;

use super::{Checks, Rule, fate::Fate, ledger::place};

/// The order of a partition, lane by lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// The group's offset of each lane, read after what was decided; none where it is not stable.
    accepted: [Option<i64>; 2],
    /// Whether nothing was deleted of the commands.
    complete: bool,
    /// The greatest command so far, of events and of decisions, of each lane.
    last: [[i64; 2]; 2],
}

impl Order {
    pub(super) fn new(accepted: [Option<i64>; 2], complete: bool) -> Self {
        Self { accepted, complete, last: [[-1; 2]; 2] }
    }

    /// Takes a decision, or an event, before `fate` does.
    pub(super) fn take(
        &mut self,
        logged: &Logged,
        id: CommandId,
        fate: &Fate,
        checks: &mut Checks,
    ) {
        let Some((lane, offset, appended)) = fate.stands else { return };
        let is_first = fate.events + fate.decisions == 0;
        // What is left in the log may be a later copy of a command that was decided and deleted.
        let may_be_copy = !self.complete && logged.appended < appended;
        if !is_first || may_be_copy {
            return;
        }
        let lane = usize::from(lane == Lane::Bulk);
        let last = &mut self.last[usize::from(matches!(logged.fact, Fact::Decision(_)))][lane];
        let follows = offset > *last;
        let accepted = self.accepted[lane].is_none_or(|accepted| offset < accepted);
        if fate.is_judged {
            checks.note(Rule::Fenced, follows && accepted, || {
                let why = if follows { "is not accepted yet" } else { "comes after a later one" };
                format!("{}: command {id} at {offset} {why}", place(logged))
            });
        }
        *last = offset.max(*last);
    }
}
