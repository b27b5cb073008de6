//! Bringing what a batch needs into memory, and letting go of what projections cover.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use anyhow::{Context as _, anyhow};
use domain::CommandId;
use projections::snapshot::{self, Covered, Loaded};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    ANSWER, REST, Surroundings,
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
    let missing = missing(owned, &wishes);
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

/// Commands whose turn has not come, and the load of what they need, beside whatever the worker
/// does. Dropped, it asks no further.
pub(super) struct Ahead {
    wishes: Vec<Wish>,
    missing: BTreeMap<i32, Missing>,
    load: JoinSet<anyhow::Result<Loaded>>,
    again_at: Instant,
}

impl Ahead {
    /// Nothing is asked for yet.
    pub(super) fn of(wishes: Vec<Wish>) -> Self {
        let again_at = Instant::now();
        Self { wishes, missing: BTreeMap::new(), load: JoinSet::new(), again_at }
    }

    /// Goes on: the commands, once MySQL has said what they need, and before that itself. What was
    /// too old when it came is loaded when its turn comes.
    pub(super) fn turn(
        mut self,
        around: &Surroundings,
        owned: &mut Owned,
    ) -> Result<Vec<Wish>, Self> {
        let answer = match self.load.try_join_next() {
            Some(answer) => answer.map_err(anyhow::Error::from).flatten(),
            None if self.load.is_empty() && Instant::now() >= self.again_at => {
                self.missing = missing(owned, &self.wishes);
                if self.missing.is_empty() {
                    return Ok(self.wishes);
                }
                self.load.spawn_on(loading(around, keys(&self.missing)), &around.runtime);
                return Err(self);
            }
            None => return Err(self),
        };
        match answer {
            Ok(loaded) => {
                distribute(owned, self.missing, loaded);
                Ok(self.wishes)
            }
            Err(error) => {
                cannot_load(&error);
                self.again_at = Instant::now() + REST;
                Err(self)
            }
        }
    }
}

type Keys = (Vec<i32>, Vec<Uuid>, Vec<CommandId>);

/// A load that borrows nothing of the worker.
fn loading(
    around: &Surroundings,
    (partitions, aggregates, commands): Keys,
) -> impl Future<Output = anyhow::Result<Loaded>> + use<> {
    let (db, tables) = (around.db.clone(), around.tables.clone());
    async move {
        let loaded = snapshot::load(&db, &tables, &partitions, &aggregates, &commands);
        Ok(tokio::time::timeout(ANSWER, loaded).await.context("mysql does not answer")??)
    }
}

fn missing<'a>(
    owned: &Owned,
    wishes: impl IntoIterator<Item = &'a Wish>,
) -> BTreeMap<i32, Missing> {
    let mut missing: BTreeMap<i32, Missing> = BTreeMap::new();
    for wish in wishes {
        if let Some(partition) = owned.get(&wish.partition) {
            missing.entry(wish.partition).or_default().note(partition, wish);
        }
    }
    missing.retain(|_, missing| !missing.is_empty());
    missing
}

fn keys(missing: &BTreeMap<i32, Missing>) -> Keys {
    let aggregates = missing.values().flat_map(|missing| &missing.aggregates);
    let commands = missing.values().flat_map(|missing| &missing.commands);
    (missing.keys().copied().collect(), aggregates.copied().collect(), commands.copied().collect())
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

/// Loads what is `missing`, of all partitions in one go, and returns what could not be had.
fn load(
    around: &Surroundings,
    owned: &mut Owned,
    missing: BTreeMap<i32, Missing>,
) -> BTreeMap<i32, Missing> {
    if missing.is_empty() {
        return missing;
    }
    let (partitions, aggregates, commands) = keys(&missing);
    let (db, tables) = (&around.db, &around.tables);
    match around.ask(snapshot::load(db, tables, &partitions, &aggregates, &commands)) {
        Ok(loaded) => {
            let blocked = distribute(owned, missing, loaded);
            if !blocked.is_empty() {
                let behind: Vec<&i32> = blocked.keys().collect();
                cannot_load(&anyhow!("the snapshots of {behind:?} are older than was relied on"));
            }
            blocked
        }
        Err(error) => {
            cannot_load(&error);
            missing
        }
    }
}

/// Gives each partition what was loaded for it, and returns what is still missing.
fn distribute(
    owned: &mut Owned,
    missing: BTreeMap<i32, Missing>,
    mut loaded: Loaded,
) -> BTreeMap<i32, Missing> {
    let mut blocked = BTreeMap::new();
    for (number, missing) in missing {
        let Some(partition) = owned.get_mut(&number) else { continue };
        let covered = loaded.covered.get(&number).copied().unwrap_or_default();
        // Rows at least as new as what was relied on: states evicted because of it must be found,
        // and decisions forgotten.
        let relied = partition.relied;
        if !at_least(covered, relied) {
            tracing::debug!(partition = number, ?covered, ?relied, "what was loaded is too old");
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
    // What was decided since it was asked for is newer than what was found.
    for aggregate in &missing.aggregates {
        if !partition.knows(*aggregate) {
            partition.load(*aggregate, loaded.states.remove(aggregate))?;
        }
    }
    // Nothing is forgotten before the batch is decided: what was in memory was not asked for, and a
    // decision forgotten now would be taken again.
    partition.covered = latest(partition.covered, covered);
    for command in &missing.commands {
        match loaded.decisions.get(command) {
            _ if partition.decision(*command).is_some() => {}
            Some(row) => partition.keep_decision(*command, Decided::from(row.clone())),
            None => partition.keep_undecided(*command),
        }
    }
    Ok(())
}

/// The further of both, of each checkpoint: what was asked for first may come last.
fn latest(one: Covered, other: Covered) -> Covered {
    Covered {
        snapshot: one.snapshot.max(other.snapshot),
        status_events: one.status_events.max(other.status_events),
        status_decisions: one.status_decisions.max(other.status_decisions),
    }
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
            && (command.may_be_sent_again() || partition.is_backlog(wish.lane, wish.offset))
            && !partition.knows_decision(command)
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
    use crate::handler::partition::{Entry, NextCommands, Stands};

    /// Of a command whose body hash is `hash`, standing at `offset` of the events.
    fn decided(hash: &str, offset: i64) -> Decided {
        Decided {
            body_hash: hash.to_owned(),
            verdict: Verdict::Accepted,
            code: None,
            detail: None,
            version: 1,
            last_event: offset,
            stands: Stands::Events(offset),
        }
    }

    fn covered(to: i64) -> Covered {
        Covered { snapshot: to, status_events: to, status_decisions: to }
    }

    #[test]
    fn a_decision_in_memory_outlives_the_load_of_its_batch() {
        let command = CommandId(domain::id::derive(&["a command sent twice"]));
        let (before, after) =
            (Covered::default(), Covered { status_events: 9, ..Covered::default() });
        let mut partition = Partition::new(NextCommands::default(), before);
        partition.keep_decision(command, decided("hash", 5));
        // The batch also needs another command's decision, and the status has come past ours.
        let missing = Missing::default();
        take_in(&mut partition, after, &mut Loaded::default(), &missing).unwrap();
        assert!(partition.decision(command).is_some(), "it would be decided again");
        partition.cover(after);
        assert!(partition.decision(command).is_none());
    }

    /// What one aggregate and one command of partition 0 lack, asked for by whoever looks ahead.
    fn asked() -> (Uuid, CommandId, BTreeMap<i32, Missing>) {
        let id = domain::id::derive(&["a command of the bulk lane"]);
        let missing = Missing { aggregates: [id].into(), commands: [CommandId(id)].into() };
        (id, CommandId(id), [(0, missing)].into())
    }

    /// An answer that found nothing, read when the checkpoints stood at `to`.
    fn nothing(to: i64) -> Loaded {
        Loaded { covered: [(0, covered(to))].into(), ..Loaded::default() }
    }

    #[test]
    fn what_was_decided_meanwhile_outweighs_what_was_loaded_ahead() {
        let (aggregate, command, missing) = asked();
        let mut owned: Owned = [(0, Partition::new(NextCommands::default(), covered(3)))].into();
        let partition = owned.get_mut(&0).unwrap();
        // Another load went past it, and nothing was forgotten.
        partition.covered = covered(6);
        let mut entry = Entry::absent();
        entry.version = 7;
        partition.put(aggregate, entry);
        partition.keep_decision(command, decided("meanwhile", 5));
        assert!(distribute(&mut owned, missing, nothing(4)).is_empty());
        let partition = owned.get_mut(&0).unwrap();
        assert_eq!(partition.entry(aggregate).unwrap().version, 7);
        assert_eq!(partition.decision(command).unwrap().body_hash, "meanwhile");
        assert_eq!(partition.covered.snapshot, 6);
    }

    #[test]
    fn what_was_forgotten_meanwhile_is_asked_for_again() {
        let (aggregate, command, missing) = asked();
        let mut owned: Owned = [(0, Partition::new(NextCommands::default(), covered(3)))].into();
        let partition = owned.get_mut(&0).unwrap();
        partition.keep_decision(command, decided("meanwhile", 5));
        partition.cover(covered(6));
        assert!(!distribute(&mut owned, missing, nothing(4)).is_empty(), "older than the decision");
        let partition = &owned[&0];
        assert!(!partition.knows(aggregate) && !partition.knows_decision(command));
    }

    #[test]
    fn that_a_command_is_undecided_holds_until_it_is_decided() {
        let (_, command, missing) = asked();
        let mut owned: Owned = [(0, Partition::new(NextCommands::default(), covered(3)))].into();
        assert!(distribute(&mut owned, missing, nothing(4)).is_empty());
        let partition = owned.get_mut(&0).unwrap();
        assert!(partition.knows_decision(command) && partition.decision(command).is_none());
        partition.keep_decision(command, decided("now", 5));
        partition.cover(covered(6));
        assert!(!partition.knows_decision(command), "it would be decided twice");
    }
}
