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
    /// 13
    NoOpenTransaction,
}

const RULES: [(Rule, u8, &str); 9] = [
    (Rule::OneDecision, 1, "every accepted command has exactly one decision"),
    (Rule::RejectionLeavesNoEvent, 2, "a decision without events left none"),
    (Rule::Versions, 4, "versions run 1..n without a gap, in offset order"),
    (Rule::EventIds, 5, "ce_id is unique: it names aggregate and version"),
    (Rule::DecidedAgain, 8, "deciding again, at the recorded time, gives the same"),
    (Rule::Snapshot, 9, "snapshot at v = fold of 1..v"),
    (Rule::Rows, 10, "MySQL row = fold, of products, directory and command status"),
    (Rule::Documents, 11, "search document = MySQL rows, of product and brand"),
    (Rule::NoOpenTransaction, 13, "no open transaction at rest"),
];

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
            Check { rule, checked, broken, example }
        };
        RULES.into_iter().map(check).collect()
    }
}
