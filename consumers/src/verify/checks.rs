//! The rules, and how often each was looked at and found broken.

use std::collections::BTreeMap;

use serde::Serialize;

/// What must always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// 1
    OneDecision,
    /// 2
    RejectionLeavesNoEvent,
    /// 3
    Resolved,
    /// 4
    Versions,
    /// 5
    EventIds,
    /// 8
    DecidedAgain,
    /// 9
    Snapshot,
    /// 10
    Rows,
    /// 11
    Documents,
    /// 12
    Generations,
    /// 13
    NoOpenTransaction,
    /// 14
    ReadYourWrites,
    /// 15
    Fenced,
}

const RULES: [(Rule, u8, &str); 13] = [
    (Rule::OneDecision, 1, "every accepted command has exactly one decision"),
    (Rule::RejectionLeavesNoEvent, 2, "a decision without events left none"),
    (Rule::Resolved, 3, "a retry meets the first decision, and callers were told it"),
    (Rule::Versions, 4, "versions run 1..n without a gap, in offset order"),
    (Rule::EventIds, 5, "ce_id is unique: it names aggregate and version"),
    (Rule::DecidedAgain, 8, "deciding again, at the recorded time, gives the same"),
    (Rule::Snapshot, 9, "snapshot at v = fold of 1..v"),
    (Rule::Rows, 10, "MySQL row = fold, and its checkpoint = what is applied"),
    (Rule::Documents, 11, "search document = MySQL rows, of product and brand"),
    (Rule::Generations, 12, "versions of a projection are equal at equal checkpoints"),
    (Rule::NoOpenTransaction, 13, "no transaction stays open"),
    (Rule::ReadYourWrites, 14, "what a checkpoint has passed is seen"),
    (Rule::Fenced, 15, "decided in command order, and only what was accepted"),
];

/// What `--help` says of each rule.
pub(super) const ABOUT: &str = "jangbu verify: checks what must always hold, over the whole log.

Reads the log a partition at a time, and a longer one than --slice in as many turns as that takes,
beside whatever is going on: what moves on is compared as of the checkpoints read with it. Ends with
1 where something is broken.

What is looked at
   1  each command of either lane below the handler's offsets: one decision, or events of one;
      left out is what may have lost it, or its command, since the log drops each after 7 days
   2  each decision that says there are no events: none name its command
   3  each command sent again: one decision; each outcome told within the hour: what the status
      says. With --api: some commands are asked for by their position
   4  each event: the version after the one before it
   5  each event: its ce_id is that of its aggregate and version, in the partition of its key
   8  each command still kept: decided once more on the events before it
   9  each aggregate: its snapshot is the fold of its events
  10  rows of products, directory, command status and history: the fold; each checkpoint: of this
      log, not beyond its end, and not behind a row
  11  each product's document: the rows of product and brand
  12  each version that projectors keep level: the rows of the one that is read
  13  events, decisions, dead letters and the handler's offsets: what is open is settled within
      15 s, longer than a transaction may take
  14  each row, state and document: as new as the checkpoint that lets a reader with a token pass.
      With --api: some products are read with the token of their last event
  15  events, and decisions, of a lane: in the order of its commands, whose offsets were accepted
      by the group; a zombie's would come late, or before its offsets";

impl Rule {
    /// Its number in the list of invariants.
    pub fn number(self) -> u8 {
        RULES.iter().find(|(rule, ..)| *rule == self).map_or(0, |(_, number, _)| *number)
    }

    /// What it says.
    pub fn text(self) -> &'static str {
        RULES.iter().find(|(rule, ..)| *rule == self).map_or("", |(.., text)| text)
    }
}

/// What was found of one rule.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its number in the list of invariants.
    pub invariant: u8,
    /// The rule.
    pub rule: Rule,
    /// How often it was looked at.
    pub checked: u64,
    /// How often it did not hold.
    pub broken: u64,
    /// Where it did not, the first time.
    pub example: Option<String>,
}

/// The checks of a pass.
#[derive(Default)]
pub(super) struct Checks(BTreeMap<Rule, (u64, u64, Option<String>)>);

impl Checks {
    /// Notes one look; `example` says where it was, if the rule does not hold.
    pub(super) fn note(&mut self, rule: Rule, holds: bool, example: impl FnOnce() -> String) {
        let (checked, broken, first) = self.0.entry(rule).or_default();
        *checked += 1;
        if !holds {
            *broken += 1;
            first.get_or_insert_with(example);
        }
    }

    /// Every rule in order, also those that nothing was found to check.
    pub(super) fn into_list(mut self) -> Vec<Check> {
        let check = |(rule, ..): (Rule, u8, &str)| {
            let (checked, broken, example) = self.0.remove(&rule).unwrap_or_default();
            Check { invariant: rule.number(), rule, checked, broken, example }
        };
        RULES.into_iter().map(check).collect()
    }
}
