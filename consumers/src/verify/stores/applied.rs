//! What the read models and the search index say that they have applied.

use std::{collections::HashMap, ops::Range};

use projections::{
    ALL, Checkpoint, Projection, checkpoint, command_status::CommandStatus, directory::Directory,
    history::History, products::Products, search, snapshot::Snapshot,
};
use schemas::{CATALOG, Topic};

use super::super::{Checks, Rule};
use crate::standing::Observer;

/// By store, the next event of a partition that it has not applied.
pub(super) struct Applied {
    pub(super) snapshot: i64,
    pub(super) products: i64,
    pub(super) directory: i64,
    pub(super) history: i64,
    pub(super) status_events: i64,
    pub(super) status_decisions: i64,
    /// None where no search index is live.
    pub(super) search: Option<i64>,
}

impl Applied {
    pub(super) fn read(
        observer: &Observer,
        partition: i32,
        search_version: Option<i32>,
    ) -> anyhow::Result<Self> {
        let of = |name, version| -> anyhow::Result<Checkpoint> {
            let read = checkpoint::read(&observer.db, name, version, partition);
            Ok(observer.runtime.block_on(read)?.unwrap_or_default())
        };
        let live = |name| of(name, observer.tables.version(name));
        let events = CATALOG.events.name;
        let status = live(CommandStatus::NAME)?;
        let search = search_version.map(|version| of(search::PROJECTION, version)).transpose()?;
        Ok(Self {
            snapshot: live(Snapshot::NAME)?.next(events),
            products: live(Products::NAME)?.next(events),
            directory: live(Directory::NAME)?.next(events),
            history: live(History::NAME)?.next(events),
            status_events: status.next(events),
            status_decisions: status.next(CATALOG.decisions.name),
            search: search.map(|checkpoint| checkpoint.next(events)),
        })
    }
}

/// Checks that every checkpoint is of this log, and within it.
pub(in super::super) fn checkpoints(
    observer: &Observer,
    partitions: &Range<i32>,
    checks: &mut Checks,
) -> anyhow::Result<()> {
    let topics = [CATALOG.events.name, CATALOG.decisions.name];
    let ids: HashMap<&str, String> =
        topics.into_iter().zip(observer.log.topic_ids(&topics)?).collect();
    let version = |name| observer.tables.version(name);
    let mut stores: Vec<(&str, i32, &[Topic])> =
        ALL.iter().map(|store| (store.name(), version(store.name()), store.topics())).collect();
    if let Some(version) = observer.runtime.block_on(observer.search.live())? {
        stores.push((search::PROJECTION, version, search::TOPICS));
    }
    for (name, version, topics) in stores {
        let read = checkpoint::read_all(&observer.db, name, version);
        let read = observer.runtime.block_on(read)?;
        for partition in partitions.clone() {
            for topic in topics.iter().map(|topic| topic.name) {
                let Some(consumed) = read.get(&partition).and_then(|at| at.offsets.get(topic))
                else {
                    continue;
                };
                // Asked for after the checkpoint, so it can only be farther.
                let end = observer.log.tail.bounds(topic, partition)?.end;
                let is_ours = ids.get(topic) == Some(&consumed.topic_id);
                checks.note(Rule::Rows, is_ours && consumed.next <= end, || {
                    let next = consumed.next;
                    format!("{name} v{version}: {topic} {partition} is applied to {next} of {end}")
                });
            }
        }
    }
    Ok(())
}
