//! What the owner of a partition keeps in memory.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::bail;
use domain::{Aggregate as _, CommandId, MallId, catalog::State};
use projections::{
    Fact,
    command_status::CommandStatusRow,
    snapshot::{Covered, Stored},
};
use schemas::{EventMessage, Lane, Origin, Verdict};
use uuid::Uuid;

/// One owned partition.
///
/// Invariant: for every aggregate, its entry, or else its stored row plus the tail, is the fold of
/// all its committed events. An entry or tail event leaves only once the snapshot covers it.
pub(super) struct Partition {
    /// The first command of each lane that is not decided.
    next: NextCommands,
    /// Where the lanes ended when the partition was taken: somebody else may have decided what stands
    /// before that, whatever the group's offsets say.
    backlog: NextCommands,
    /// Whether it is known that he has.
    has_gone_back: bool,
    entries: HashMap<Uuid, Entry>,
    /// Events that the snapshot may not cover, by their offsets.
    tail: HashMap<Uuid, BTreeMap<i64, Fact>>,
    tail_ends: HashMap<Uuid, i64>,
    decided: HashMap<CommandId, Decided>,
    /// Commands that were looked for, and of which no decision was found or has been kept since.
    undecided: HashSet<CommandId>,
    /// The highest checkpoints that were seen.
    pub(super) covered: Covered,
    /// Those that something was forgotten for: a load from anything older would miss it.
    pub(super) relied: Covered,
    tick: u64,
}

/// The first command of each lane that is not decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NextCommands {
    pub(super) interactive: i64,
    pub(super) bulk: i64,
}

impl NextCommands {
    /// That of a lane.
    pub(super) fn of(&self, lane: Lane) -> i64 {
        match lane {
            Lane::Interactive => self.interactive,
            Lane::Bulk => self.bulk,
        }
    }

    /// Puts another one in its place.
    pub(super) fn set(&mut self, lane: Lane, next: i64) {
        match lane {
            Lane::Interactive => self.interactive = next,
            Lane::Bulk => self.bulk = next,
        }
    }
}

/// An aggregate's state in memory.
#[derive(Clone)]
pub(super) struct Entry {
    /// The mall that it belongs to; none before its first event.
    pub(super) mall: Option<MallId>,
    /// Its version; 0 before its first event.
    pub(super) version: i64,
    /// Its state.
    pub(super) state: State,
    /// The offset of its last event; -1 where that is not known.
    pub(super) last_event: i64,
    used: u64,
}

/// A decision that a retry of its command must meet again.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub(super) body_hash: String,
    pub(super) verdict: Verdict,
    pub(super) code: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) version: i64,
    /// The offset of the aggregate's last event at that time; -1 where there is none.
    pub(super) last_event: i64,
    /// Where the decision stands, to know when the status projection covers it.
    pub(super) stands: Stands,
}

/// The topic and offset of a decision.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stands {
    /// It left events, this the last.
    Events(i64),
    /// It left none.
    Decisions(i64),
}

impl Entry {
    /// An aggregate before its first event.
    pub(super) fn absent() -> Self {
        Self { mall: None, version: 0, state: State::default(), last_event: -1, used: 0 }
    }

    /// Takes in the next event of the aggregate's history.
    pub(super) fn take(&mut self, event: &EventMessage, offset: i64) {
        self.state.evolve(&event.body, event.of_time());
        self.stand_at(event.version, &event.origin.mall, offset);
    }

    fn stand_at(&mut self, version: i64, mall: &MallId, offset: i64) {
        (self.version, self.last_event) = (version, offset);
        self.mall.get_or_insert_with(|| mall.clone());
    }
}

impl Decided {
    /// The decision that an event at `offset` bears witness of.
    pub(super) fn of_event(origin: &Origin, version: i64, offset: i64) -> Self {
        Self {
            body_hash: origin.body_hash.clone(),
            verdict: Verdict::Accepted,
            code: None,
            detail: None,
            version,
            last_event: offset,
            stands: Stands::Events(offset),
        }
    }

    /// The same decision, now that its record stands at `offset`.
    pub(super) fn standing_at(mut self, offset: i64) -> Self {
        match &mut self.stands {
            Stands::Events(at) => {
                *at = offset;
                self.last_event = offset;
            }
            Stands::Decisions(at) => *at = offset,
        }
        self
    }
}

impl From<Stored> for Entry {
    fn from(stored: Stored) -> Self {
        Self {
            mall: Some(stored.mall),
            version: stored.version,
            state: stored.state,
            last_event: stored.last_offset,
            used: 0,
        }
    }
}

impl From<CommandStatusRow> for Decided {
    /// A stored decision is covered by definition, so where it stands no longer matters.
    fn from(row: CommandStatusRow) -> Self {
        Self {
            body_hash: row.body_hash,
            verdict: row.verdict,
            code: row.code,
            detail: row.detail,
            version: row.version,
            last_event: row.offset,
            stands: Stands::Decisions(-1),
        }
    }
}

impl Partition {
    /// A partition without memory yet, whose commands go on at `next`.
    pub(super) fn new(next: NextCommands, covered: Covered) -> Self {
        Self {
            next,
            backlog: NextCommands::default(),
            has_gone_back: false,
            entries: HashMap::new(),
            tail: HashMap::new(),
            tail_ends: HashMap::new(),
            decided: HashMap::new(),
            undecided: HashSet::new(),
            covered,
            relied: covered,
            tick: 0,
        }
    }

    /// The offset of the first command of `lane` that is not decided.
    pub(super) fn next_command(&self, lane: Lane) -> i64 {
        self.next.of(lane)
    }

    /// Notes that the lanes ended there when the partition was taken.
    pub(super) fn has_backlog(&mut self, ends: NextCommands) {
        self.backlog = ends;
    }

    /// Whether the command at `offset` may have been decided by whoever owned the partition before.
    pub(super) fn is_backlog(&self, lane: Lane, offset: i64) -> bool {
        offset < self.backlog.of(lane)
    }

    /// Notes that the group's offsets stand behind what was decided; whether that is news.
    pub(super) fn goes_back(&mut self) -> bool {
        !std::mem::replace(&mut self.has_gone_back, true)
    }

    /// Whether that was noted.
    pub(super) fn has_gone_back(&self) -> bool {
        self.has_gone_back
    }

    /// Notes that the commands of `lane` are decided up to, but without, `next`.
    pub(super) fn advance(&mut self, lane: Lane, next: i64) {
        self.next.set(lane, next);
    }

    /// Keeps an event of `aggregate` that the snapshot may not cover.
    pub(super) fn keep_event(&mut self, aggregate: Uuid, offset: i64, event: Fact) {
        self.tail_ends.insert(aggregate, offset);
        self.tail.entry(aggregate).or_default().insert(offset, event);
    }

    /// Keeps a decision that the status projection may not cover.
    pub(super) fn keep_decision(&mut self, command: CommandId, decided: Decided) {
        self.undecided.remove(&command);
        self.decided.insert(command, decided);
    }

    /// Takes in a decision of ours, and keeps it where its command may come again.
    pub(super) fn conclude(&mut self, command: CommandId, decided: Decided) {
        self.undecided.remove(&command);
        if command.may_be_sent_again() {
            self.decided.insert(command, decided);
        }
    }

    /// Keeps that a command which may have come before has not: it is in no row that the
    /// checkpoints cover, and its decision is not in memory.
    pub(super) fn keep_undecided(&mut self, command: CommandId) {
        self.undecided.insert(command);
    }

    /// The aggregate's state, if it is in memory.
    pub(super) fn entry(&mut self, aggregate: Uuid) -> Option<&Entry> {
        self.tick += 1;
        let tick = self.tick;
        let entry = self.entries.get_mut(&aggregate)?;
        entry.used = tick;
        Some(entry)
    }

    /// Whether the aggregate's state is in memory.
    pub(super) fn knows(&self, aggregate: Uuid) -> bool {
        self.entries.contains_key(&aggregate)
    }

    /// The decision of a command, if it is in memory.
    pub(super) fn decision(&self, command: CommandId) -> Option<&Decided> {
        self.decided.get(&command)
    }

    /// Whether it is known how a command was decided, or that it was not.
    pub(super) fn knows_decision(&self, command: CommandId) -> bool {
        self.decided.contains_key(&command) || self.undecided.contains(&command)
    }

    /// Puts a loaded row, or its absence, and the tail together.
    ///
    /// # Errors
    /// When a version is missing between the two: the partition must stop.
    pub(super) fn load(&mut self, aggregate: Uuid, stored: Option<Stored>) -> anyhow::Result<()> {
        let mut entry = stored.map_or_else(Entry::absent, Entry::from);
        for (offset, fact) in self.tail.remove(&aggregate).unwrap_or_default() {
            let Some(head) = fact.event_head() else { continue };
            let (have, found) = (entry.version, head.version);
            if found <= have {
                continue;
            }
            if found != have + 1 {
                metrics::counter!(crate::telemetry::VERSION_BREAKS, "kind" => "gap").increment(1);
                bail!("aggregate {aggregate}: version {found} at {offset} follows {have}");
            }
            match &fact {
                Fact::Event(event) => entry.take(event, offset),
                // Of a newer build, which says that it may be stepped over.
                _ => entry.stand_at(found, &head.origin.mall, offset),
            }
        }
        self.put(aggregate, entry);
        Ok(())
    }

    /// Takes a committed state as true.
    pub(super) fn put(&mut self, aggregate: Uuid, mut entry: Entry) {
        self.tick += 1;
        entry.used = self.tick;
        self.tail.remove(&aggregate);
        self.tail_ends.remove(&aggregate);
        self.entries.insert(aggregate, entry);
    }

    /// Forgets the tail and the decisions that newer checkpoints cover.
    pub(super) fn cover(&mut self, covered: Covered) {
        (self.covered, self.relied) = (covered, covered);
        self.tail_ends.retain(|_, end| *end >= covered.snapshot);
        let ends = &self.tail_ends;
        self.tail.retain(|aggregate, _| ends.contains_key(aggregate));
        self.decided.retain(|_, decided| match decided.stands {
            Stands::Events(offset) => offset >= covered.status_events,
            Stands::Decisions(offset) => offset >= covered.status_decisions,
        });
    }

    /// Where there are more than `most` entries, lets those go that the snapshot covers and that
    /// are not among the `most / 2` used last. Only between batches.
    pub(super) fn evict_over(&mut self, most: usize) {
        if self.entries.len() <= most {
            return;
        }
        let mut ages: Vec<u64> = self.entries.values().map(|entry| entry.used).collect();
        let surplus = ages.len().saturating_sub(most / 2);
        ages.sort_unstable();
        let oldest_kept = ages.get(surplus).copied().unwrap_or(u64::MAX);
        self.relied = self.covered;
        let covered = self.covered.snapshot;
        self.entries.retain(|_, entry| entry.last_event >= covered || entry.used >= oldest_kept);
    }

    /// How many entries are in memory.
    pub(super) fn cached(&self) -> usize {
        self.entries.len()
    }

    /// How many things must stay in memory because a projection has not covered them.
    pub(super) fn pinned(&self) -> usize {
        let covered = self.covered.snapshot;
        let entries = self.entries.values().filter(|entry| entry.last_event >= covered).count();
        // Those of other commands came with the taking, and no more of them come.
        let decided = self.decided.keys().filter(|command| command.may_be_sent_again()).count();
        entries + decided + self.tail.values().map(BTreeMap::len).sum::<usize>()
    }
}
