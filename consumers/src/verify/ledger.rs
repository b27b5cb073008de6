//! What became of each command and each aggregate of one partition.

use std::collections::HashMap;

use domain::{Aggregate, CommandId, MallId, product::Product};
use projections::{
    Fact, Logged, Projection,
    products::{ProductRow, Products},
};
use schemas::event_id;
use uuid::Uuid;

use super::{Checks, Rule, passage::is_readable};

/// The books of one partition.
pub(super) struct Ledger {
    partition: i32,
    commands: HashMap<CommandId, Fate>,
    pub(super) aggregates: HashMap<Uuid, History>,
    /// By topic: whether a command still in the log has been met. The decisions before it may be
    /// those of commands that have been deleted since.
    met_event: bool,
    met_decision: bool,
}

/// What became of a command.
#[derive(Default)]
struct Fate {
    /// Its first offset in the command log.
    asked: Option<i64>,
    aggregate: Uuid,
    decisions: u32,
    events: u32,
    last_version: i64,
    /// Why its decision cannot be right, if so.
    fault: Option<&'static str>,
}

/// The fold of an aggregate's events.
pub(super) struct History {
    pub(super) mall: MallId,
    pub(super) version: i64,
    pub(super) last_offset: i64,
    pub(super) state: Product,
    pub(super) row: Option<ProductRow>,
    /// False once an event could not follow: then there is nothing right to compare with.
    pub(super) sound: bool,
}

impl Ledger {
    /// `complete` where the command log still reaches back to its first record.
    pub(super) fn new(partition: i32, complete: bool) -> Self {
        let (commands, aggregates) = (HashMap::new(), HashMap::new());
        Self { partition, commands, aggregates, met_event: complete, met_decision: complete }
    }

    pub(super) fn take_command(&mut self, id: CommandId, aggregate: Uuid, offset: i64) {
        let fate = self.commands.entry(id).or_default();
        if fate.asked.is_none() {
            (fate.asked, fate.aggregate) = (Some(offset), aggregate);
        }
    }

    pub(super) fn take_decision(&mut self, logged: &Logged, checks: &mut Checks) {
        let place = || format!("{} {}/{}", logged.topic, logged.partition, logged.offset);
        let Fact::Decision(decision) = &logged.fact else {
            return checks.note(Rule::OneDecision, false, || format!("{} is unreadable", place()));
        };
        let id = decision.origin.command;
        let Some(fate) = known(&mut self.commands, &mut self.met_decision, id) else { return };
        fate.decisions += 1;
        if fate.aggregate != decision.origin.aggregate {
            fate.fault = Some("was decided for another aggregate");
        }
    }

    pub(super) fn take_event(
        &mut self,
        logged: &Logged,
        id: Option<Uuid>,
        at_home: bool,
        checks: &mut Checks,
    ) {
        let place = || format!("{} {}/{}", logged.topic, logged.partition, logged.offset);
        let Some(head) = logged.fact.event_head().filter(|_| is_readable(logged)) else {
            return checks.note(Rule::Versions, false, || format!("{} is unreadable", place()));
        };
        let (aggregate, version) = (head.origin.aggregate, head.version);
        // Unique because derived: equal ids would need equal versions, which rule 4 forbids, or
        // one aggregate in two partitions.
        let unique = id == Some(event_id(aggregate, version)) && at_home;
        checks.note(Rule::EventIds, unique, || format!("{} has ce_id {id:?}", place()));
        let history = self.aggregates.entry(aggregate);
        let history = history.or_insert_with(|| History::new(head.origin.mall.clone()));
        let follows = version == history.version + 1;
        checks.note(Rule::Versions, follows, || {
            format!("{} is version {version} after {} of {aggregate}", place(), history.version)
        });
        history.take(logged, version, follows);
        if let Some(fate) = known(&mut self.commands, &mut self.met_event, head.origin.command) {
            fate.take_event(aggregate, version);
        }
    }

    /// Checks every command once everything is known of it; those from `decided` on may wait.
    pub(super) fn close(&self, decided: i64, checks: &mut Checks) {
        for (id, fate) in &self.commands {
            if fate.decisions > 0 {
                checks.note(Rule::RejectionLeavesNoEvent, fate.events == 0, || {
                    format!(
                        "command {id} has a decision without events, and {} events",
                        fate.events
                    )
                });
            }
            if fate.asked.is_some_and(|offset| offset >= decided) {
                continue;
            }
            let fault = fate.fault();
            checks.note(Rule::OneDecision, fault.is_none(), || {
                let fault = fault.unwrap_or_default();
                format!("command {id} of {} in {} {fault}", fate.aggregate, self.partition)
            });
        }
    }
}

/// What is known of the command of a decision. Nothing is noted of a command that was deleted:
/// those are met before the first one that was kept.
fn known<'c>(
    commands: &'c mut HashMap<CommandId, Fate>,
    met: &mut bool,
    id: CommandId,
) -> Option<&'c mut Fate> {
    *met |= commands.contains_key(&id);
    met.then(|| commands.entry(id).or_default())
}

impl Fate {
    fn take_event(&mut self, aggregate: Uuid, version: i64) {
        if self.asked.is_some() && self.aggregate != aggregate {
            self.fault = Some("has an event of another aggregate");
        }
        if self.events > 0 && version != self.last_version + 1 {
            self.fault = Some("has events that do not follow each other");
        }
        self.events += 1;
        self.last_version = version;
    }

    fn fault(&self) -> Option<&'static str> {
        match (self.asked, self.decisions, self.events) {
            (None, ..) => Some("was decided and never asked for"),
            (_, 0, 0) => Some("has no decision"),
            (_, 1, 0) | (_, 0, 1..) => self.fault,
            _ => Some("has more than one decision"),
        }
    }
}

impl History {
    fn new(mall: MallId) -> Self {
        let (state, row) = (Product::default(), None);
        Self { mall, version: 0, last_offset: -1, state, row, sound: true }
    }

    fn take(&mut self, logged: &Logged, version: i64, follows: bool) {
        let row = Products::apply(self.row.take(), logged);
        self.sound &= follows && row.is_ok();
        self.row = row.ok();
        (self.version, self.last_offset) = (version, logged.offset);
        match &logged.fact {
            Fact::Event(event) => self.state.evolve(&event.body),
            // The state of an event of a newer build cannot be folded here.
            _ => self.sound = false,
        }
    }
}
