//! Bringing what a batch needs into memory, and letting go of what projections cover.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use domain::CommandId;
use projections::snapshot::{self, Covered, Loaded};
use uuid::Uuid;

use super::{
    Surroundings,
    batch::Owned,
    partition::{Decided, Partition},
    stopped,
    wish::{Content, Wish},
};
use crate::telemetry;

/// What one partition lacks for a batch.
#[derive(Default)]
struct Missing {
    aggregates: BTreeSet<Uuid>,
    commands: BTreeSet<CommandId>,
}

/// Loads what `wishes` need and returns those that can be decided: all, or while MySQL is away
/// each partition's wishes before the first one that needs it.
pub(super) fn ready(around: &Surroundings, owned: &mut Owned, wishes: Vec<Wish>) -> Vec<Wish> {
    let mut missing: BTreeMap<i32, Missing> = BTreeMap::new();
    for wish in &wishes {
        if let Some(partition) = owned.get(&wish.partition) {
            missing.entry(wish.partition).or_default().note(partition, wish);
        }
    }
    missing.retain(|_, missing| !missing.is_empty());
    let blocked = load(around, owned, missing);
    let mut closed = BTreeSet::new();
    let can_be_decided = |wish: &Wish| {
        let lacks = blocked.get(&wish.partition).is_some_and(|missing| missing.concerns(wish));
        if lacks || !owned.contains_key(&wish.partition) {
            closed.insert(wish.partition);
        }
        !closed.contains(&wish.partition)
    };
    wishes.into_iter().filter(can_be_decided).collect()
}

/// A partition whose history contradicts itself is decided no further, here; the others go on.
fn stop(owned: &mut Owned, number: i32, error: &anyhow::Error) {
    tracing::error!(partition = number, error = format!("{error:#}"), "the partition is stopped");
    stopped(number).set(1);
    owned.remove(&number);
}

/// Reads the checkpoints and lets go of what they cover. That MySQL is away only keeps more.
pub(super) fn cover(around: &Surroundings, owned: &mut Owned) {
    let most = around.cache_max / owned.len().max(1);
    owned.values_mut().for_each(|partition| partition.evict_over(most));
    let pinned = owned.iter().filter(|(_, partition)| partition.pinned() > 0);
    let pinned: Vec<i32> = pinned.map(|(number, _)| *number).collect();
    if pinned.is_empty() {
        return;
    }
    match around.ask(snapshot::covered(&around.db, &around.tables, &pinned)) {
        Ok(covered) => {
            for (number, covered) in covered {
                let partition = owned.get_mut(&number);
                if let Some(partition) = partition.filter(|p| at_least(covered, p.covered)) {
                    partition.cover(covered);
                }
            }
        }
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "checkpoints cannot be read");
        }
    }
}

/// Loads what is `missing`, of all partitions in one go, and returns what could not be had. A
/// partition whose history contradicts itself is decided no further, here; the others go on.
fn load(
    around: &Surroundings,
    owned: &mut Owned,
    missing: BTreeMap<i32, Missing>,
) -> BTreeMap<i32, Missing> {
    if missing.is_empty() {
        return missing;
    }
    let partitions: Vec<i32> = missing.keys().copied().collect();
    let aggregates: Vec<Uuid> = missing.values().flat_map(|m| &m.aggregates).copied().collect();
    let commands: Vec<CommandId> = missing.values().flat_map(|m| &m.commands).copied().collect();
    let (db, tables) = (&around.db, &around.tables);
    let mut loaded =
        match around.ask(snapshot::load(db, tables, &partitions, &aggregates, &commands)) {
            Ok(loaded) => loaded,
            Err(error) => {
                cannot_load(&error);
                return missing;
            }
        };
    let mut blocked = BTreeMap::new();
    for (number, missing) in missing {
        let Some(partition) = owned.get_mut(&number) else { continue };
        let covered = loaded.covered.get(&number).copied().unwrap_or_default();
        // Rows at least as new as what was relied on: states evicted because of it must be found.
        if !at_least(covered, partition.covered) {
            let relied = partition.covered;
            cannot_load(&anyhow!("the snapshot of {number} is at {covered:?}, behind {relied:?}"));
            blocked.insert(number, missing);
        } else if let Err(error) = take_in(partition, covered, &mut loaded, &missing) {
            stop(owned, number, &error);
        }
    }
    blocked
}

fn cannot_load(error: &anyhow::Error) {
    metrics::counter!(telemetry::RETRIES, "reason" => "load").increment(1);
    tracing::warn!(error = format!("{error:#}"), "cannot load");
}

fn take_in(
    partition: &mut Partition,
    covered: Covered,
    loaded: &mut Loaded,
    missing: &Missing,
) -> anyhow::Result<()> {
    for aggregate in &missing.aggregates {
        partition.load(*aggregate, loaded.states.remove(aggregate))?;
    }
    // Nothing is forgotten before the batch is decided: what was in memory was not asked for, and a
    // decision forgotten now would be taken again.
    partition.covered = covered;
    for command in &missing.commands {
        if let Some(row) = loaded.decisions.remove(command) {
            partition.keep_decision(*command, Decided::from(row));
        }
    }
    Ok(())
}

fn at_least(covered: Covered, relied: Covered) -> bool {
    covered.snapshot >= relied.snapshot
        && covered.status_events >= relied.status_events
        && covered.status_decisions >= relied.status_decisions
}

impl Missing {
    fn note(&mut self, partition: &Partition, wish: &Wish) {
        if let Some(aggregate) = wish.aggregate()
            && !partition.knows(aggregate)
        {
            self.aggregates.insert(aggregate);
        }
        if let Some(command) = command_of(wish)
            && command.may_be_sent_again()
            && partition.decision(command).is_none()
        {
            self.commands.insert(command);
        }
    }

    fn concerns(&self, wish: &Wish) -> bool {
        wish.aggregate().is_some_and(|aggregate| self.aggregates.contains(&aggregate))
            || command_of(wish).is_some_and(|command| self.commands.contains(&command))
    }

    fn is_empty(&self) -> bool {
        self.aggregates.is_empty() && self.commands.is_empty()
    }
}

fn command_of(wish: &Wish) -> Option<CommandId> {
    match &wish.content {
        Content::Command(command) => Some(command.origin.command),
        Content::Undecodable(record) => record.origin.as_ref().map(|origin| origin.command),
    }
}

#[cfg(test)]
mod tests {
    use schemas::Verdict;

    use super::*;
    use crate::handler::partition::{NextCommands, Stands};

    #[test]
    fn a_decision_in_memory_outlives_the_load_of_its_batch() {
        let command = CommandId(domain::id::derive(&["a command sent twice"]));
        let (before, after) =
            (Covered::default(), Covered { status_events: 9, ..Covered::default() });
        let mut partition = Partition::new(NextCommands::default(), before);
        let decided = Decided {
            body_hash: "hash".to_owned(),
            verdict: Verdict::Accepted,
            code: None,
            detail: None,
            version: 1,
            last_event: 5,
            stands: Stands::Events(5),
        };
        partition.keep_decision(command, decided);
        // The batch also needs another command's decision, and the status has come past ours.
        let missing = Missing::default();
        take_in(&mut partition, after, &mut Loaded::default(), &missing).unwrap();
        assert!(partition.decision(command).is_some(), "it would be decided again");
        partition.cover(after);
        assert!(partition.decision(command).is_none());
    }
}
