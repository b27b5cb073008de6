//! The commands and aggregates of one partition, and whether they agree.

use std::collections::HashMap;

use domain::CommandId;
use projections::{EventHead, Fact, Logged};
use schemas::{DecisionMessage, Lane, event_id};
use uuid::Uuid;

use super::{
    Checks, Rule, Scope,
    fate::{Asked, Fate},
    history::History,
    kept::Kept,
    order::Order,
};

/// The books of one partition, or of a slice of it.
pub(super) struct Ledger<'s> {
    partition: i32,
    scope: &'s Scope,
    pub(super) commands: HashMap<CommandId, Fate>,
    pub(super) aggregates: HashMap<Uuid, History>,
    /// Decisions without events, by the aggregate and version that they were decided on.
    refused: HashMap<(Uuid, i64), Vec<DecisionMessage>>,
    /// By topic and lane: whether a command still in the log has been met. The decisions before it
    /// may be those of commands that have been deleted since.
    met_event: [bool; 2],
    met_decision: [bool; 2],
    kept: Kept,
    order: Order,
}

impl<'s> Ledger<'s> {
    /// Of a partition of which this much is `kept`.
    pub(super) fn new(partition: i32, scope: &'s Scope, kept: Kept, order: Order) -> Self {
        Self {
            partition,
            scope,
            commands: HashMap::new(),
            aggregates: HashMap::new(),
            refused: HashMap::new(),
            met_event: kept.lanes,
            met_decision: kept.lanes,
            kept,
            order,
        }
    }

    /// All commands come before all decisions, and those before all events. One that is due has
    /// been decided; the others may wait.
    pub(super) fn take_command(&mut self, id: CommandId, asked: Asked) {
        self.commands.entry(id).or_default().ask(asked);
    }

    pub(super) fn take_decision(&mut self, logged: &Logged, checks: &mut Checks) {
        let Fact::Decision(decision) = &logged.fact else {
            let unreadable = || format!("{} is unreadable", place(logged));
            return checks.note(Rule::OneDecision, false, unreadable);
        };
        if !self.scope.is_of(&decision.origin.mall) {
            return;
        }
        let (id, aggregate) = (decision.origin.command, decision.origin.aggregate);
        if let Some(fate) = known(&mut self.commands, &mut self.met_decision, id, logged) {
            fate.is_judged |= !fate.asked && self.scope.is_then(logged.appended);
            self.order.take(logged, id, fate, checks);
            fate.take_decision(logged, aggregate);
            let on = (aggregate, decision.body.version);
            self.refused.entry(on).or_default().push(decision.clone());
        }
    }

    pub(super) fn take_event(
        &mut self,
        logged: &Logged,
        id: Option<Uuid>,
        at_home: bool,
        checks: &mut Checks,
    ) {
        let Some(head) = logged.fact.event_head() else {
            let unreadable = || format!("{} is unreadable", place(logged));
            return checks.note(Rule::Versions, false, unreadable);
        };
        let EventHead { origin, version, .. } = head;
        let aggregate = origin.aggregate;
        let history = self.aggregates.entry(aggregate);
        let history = history.or_insert_with(|| History::new(origin.mall.clone()));
        if !self.scope.is_of(&origin.mall) {
            // Only whose it is needs to be known, for commands of other malls.
            history.sound = false;
            return;
        }
        let is_judged = self.scope.is_then(logged.appended);
        // Unique because derived: equal ids would need equal versions, which rule 4 forbids, or
        // one aggregate in two partitions.
        let unique = id == Some(event_id(aggregate, version)) && at_home;
        let follows = version == history.version + 1;
        if is_judged {
            let called = || format!("{} has ce_id {id:?}", place(logged));
            checks.note(Rule::EventIds, unique, called);
            checks.note(Rule::Versions, follows, || {
                let before = history.version;
                format!("{}: version {version} after {before} of {aggregate}", place(logged))
            });
        }
        history.sound &= follows;
        if let Some(fate) = known(&mut self.commands, &mut self.met_event, origin.command, logged) {
            fate.is_judged |= !fate.asked && is_judged;
            self.order.take(logged, origin.command, fate, checks);
            if let (Fact::Event(event), true) = (&logged.fact, history.sound && fate.is_judged)
                && let Some(same) = fate.decides_again(event, history)
            {
                let other = || format!("{}: {} of {aggregate}", place(logged), origin.command);
                checks.note(Rule::DecidedAgain, same, other);
            }
            fate.take_event(logged, aggregate, version);
        }
        history.take(logged, version);
        if let Some(refused) = self.refused.remove(&(aggregate, version)) {
            decide_again(&mut self.commands, &refused, history, checks);
        }
    }

    /// Checks what can be said only once everything is read.
    pub(super) fn close(&mut self, checks: &mut Checks) {
        for ((aggregate, version), refused) in std::mem::take(&mut self.refused) {
            let known = self.aggregates.get(&aggregate);
            match refused.first() {
                Some(first) if version == 0 => {
                    // To another mall the aggregate is as if it were not there.
                    let mall = known.map_or(&first.origin.mall, |known| &known.mall).clone();
                    decide_again(&mut self.commands, &refused, &History::new(mall), checks);
                }
                _ if known.is_some_and(|known| !known.sound) => {}
                _ if !refused.iter().any(|refused| self.judges(refused)) => {}
                _ => checks.note(Rule::DecidedAgain, false, || {
                    format!("{aggregate} was decided on at version {version}, which is not there")
                }),
            }
        }
        for (id, fate) in self.commands.iter().filter(|(_, fate)| fate.is_judged) {
            self.close_command(*id, fate, checks);
        }
    }

    fn judges(&self, decision: &DecisionMessage) -> bool {
        let fate = self.commands.get(&decision.origin.command);
        fate.is_some_and(|fate| fate.is_judged)
    }

    fn close_command(&self, id: CommandId, fate: &Fate, checks: &mut Checks) {
        if fate.decisions > 0 {
            checks.note(Rule::RejectionLeavesNoEvent, fate.events == 0, || {
                format!("command {id} has a decision without events, and {} events", fate.events)
            });
        }
        if fate.is_short() {
            let short = || format!("command {id} left fewer events than deciding again gives");
            checks.note(Rule::DecidedAgain, false, short);
        }
        if fate.may_wait() || self.kept.may_lack(id, fate) {
            return;
        }
        let fault = fate.fault();
        checks.note(Rule::OneDecision, fault.is_none(), || {
            let fault = fault.unwrap_or_default();
            format!("command {id} of {} in partition {} {fault}", fate.aggregate, self.partition)
        });
        if fate.times > 1 {
            checks.note(Rule::Resolved, fault.is_none(), || {
                format!("command {id}, sent {} times, {}", fate.times, fault.unwrap_or_default())
            });
        }
    }
}

/// What is known of the command of a decision. Nothing is noted of a command that was deleted: those
/// of a lane are met before the first one of it that was kept. A later copy of one that was decided
/// and deleted says nothing of its lane.
fn known<'c>(
    commands: &'c mut HashMap<CommandId, Fate>,
    met: &mut [bool; 2],
    id: CommandId,
    logged: &Logged,
) -> Option<&'c mut Fate> {
    let known = commands.get(&id);
    if let Some((lane, _, appended)) = known.and_then(|fate| fate.stands) {
        met[usize::from(lane == Lane::Bulk)] |= appended <= logged.appended;
    }
    (known.is_some() || *met == [true; 2]).then(|| commands.entry(id).or_default())
}

fn decide_again(
    commands: &mut HashMap<CommandId, Fate>,
    refused: &[DecisionMessage],
    on: &History,
    checks: &mut Checks,
) {
    for decision in refused.iter().filter(|_| on.sound) {
        let id = decision.origin.command;
        let fate = commands.get_mut(&id).filter(|fate| fate.is_judged);
        let same = fate.and_then(|fate| fate.refuses_again(decision, on));
        if let Some(same) = same {
            let other = || format!("command {id} was {}", decision.body.verdict);
            checks.note(Rule::DecidedAgain, same, other);
        }
    }
}

pub(super) fn place(logged: &Logged) -> String {
    format!("{} {}/{}", logged.topic, logged.partition, logged.offset)
}
