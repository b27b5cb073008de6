//! The read models and the search index against the fold of the log.

use chrono::Utc;
use domain::{CommandId, ProductId};
use projections::products;
use uuid::Uuid;

use super::{Checks, Pass, Rule, fate::Fate, history::History, ledger::Ledger, passage::Stretch};
use crate::standing::Observer;

mod applied;
mod stored;

use applied::Applied;
pub(super) use applied::checkpoints;
use stored::Stored;
pub(super) use stored::statuses;

/// Aggregates that are compared at a time.
const PIECE: usize = 500;
/// The status of a command is kept for 7 days; within the last hour of them nobody can tell.
const KEPT_MS: i64 = (7 * 24 - 1) * 3_600_000;

/// Compares what a slice of a partition holds.
///
/// What stands at the same version must be equal. A store may be behind the log, but not behind the
/// checkpoint that was read before it, nor ahead of the one read after it; and where nothing was
/// appended meanwhile, not ahead of the log.
pub(super) fn compare(
    pass: &mut Pass<'_>,
    stretch: &Stretch,
    ledger: &Ledger<'_>,
) -> anyhow::Result<()> {
    let search_version = pass.observer.runtime.block_on(pass.observer.search.live())?;
    let is_judged = |history: &History| history.sound && pass.scope.is_then(history.changed);
    let histories: Vec<(Uuid, &History)> = (ledger.aggregates.iter())
        .filter(|(_, history)| is_judged(history))
        .map(|(id, history)| (*id, history))
        .collect();
    for piece in histories.chunks(PIECE) {
        let look = Look::at(pass, stretch, piece, search_version)?;
        for (id, history) in piece {
            look.compare(*id, history, &mut pass.checks);
        }
    }
    let fates: Vec<(CommandId, &Fate)> = (ledger.commands.iter())
        .filter(|(_, fate)| fate.is_judged)
        .map(|(id, fate)| (*id, fate))
        .collect();
    for piece in fates.chunks(PIECE) {
        compare_status(pass.observer, stretch.partition, piece, &mut pass.checks)?;
    }
    let products = ledger.aggregates.values().filter(|history| history.row.is_some());
    pass.products += products.count() as u64;
    Ok(())
}

fn compare_status(
    observer: &Observer,
    partition: i32,
    piece: &[(CommandId, &Fate)],
    checks: &mut Checks,
) -> anyhow::Result<()> {
    let ids: Vec<CommandId> = piece.iter().map(|(id, _)| *id).collect();
    let before = Applied::read(observer, partition, None)?;
    let decisions = stored::statuses(observer, partition, &ids)?;
    let recent = Utc::now().timestamp_millis() - KEPT_MS;
    for (id, fate) in piece {
        let Some(expected) = &fate.row else { continue };
        let next = if fate.events > 0 { before.status_events } else { before.status_decisions };
        let is_passed = next > fate.concluded;
        let found = decisions.get(id);
        // Between two events of a command its status is that of the first.
        let is_whole = found.is_some_and(|found| found.version >= expected.version);
        let may_be_pruned = expected.decided_at.0 < recent;
        if is_whole || (is_passed && (found.is_some() || !may_be_pruned)) {
            checks.note(Rule::Rows, found == Some(expected), || {
                format!("command {id}: {:?} in MySQL", found.map(|row| row.verdict))
            });
        }
    }
    Ok(())
}

/// What stores held of some aggregates at some moment, between two looks at the checkpoints.
struct Look {
    before: Applied,
    stored: Stored,
    after: Applied,
    /// Whether the log still ends where it was read to.
    is_end: bool,
    /// Whether brand names, whose events stand in other partitions, have reached all documents.
    brands: bool,
}

/// What was found of a state in a store, beside what the log makes of it.
struct Found {
    rule: Rule,
    what: &'static str,
    /// The version found, 0 where there is none.
    at: i64,
    /// The version of the fold.
    fold: i64,
    /// The offset of the fold's last event.
    last: i64,
    /// Whether that event made this version.
    is_last: bool,
    equal: bool,
    /// The store's checkpoint before and after it was read.
    passed: (i64, i64),
}

impl Look {
    fn at(
        pass: &Pass<'_>,
        stretch: &Stretch,
        piece: &[(Uuid, &History)],
        search_version: Option<i32>,
    ) -> anyhow::Result<Self> {
        let (observer, partition) = (pass.observer, stretch.partition);
        let before = Applied::read(observer, partition, search_version)?;
        let stored = Stored::of(observer, partition, piece, search_version)?;
        let after = Applied::read(observer, partition, search_version)?;
        let ends = observer.log.ends()?;
        let is_end = ends.get(usize::try_from(partition)?) == Some(&stretch.events.end);
        Ok(Self { before, stored, after, is_end, brands: pass.is_still(&ends) })
    }

    fn compare(&self, id: Uuid, history: &History, checks: &mut Checks) {
        self.judge(id, &self.snapshot(id, history), checks);
        self.judge(id, &self.history(id, history), checks);
        if history.row.is_some() || self.stored.rows.contains_key(&ProductId(id)) {
            self.judge(id, &self.product(id, history), checks);
            self.judge_document(id, history, checks);
        }
        for (key, expected) in &history.entries {
            let found = self.stored.entries.get(key);
            let found = Found {
                rule: Rule::Rows,
                what: "entry",
                at: found.map_or(0, |entry| entry.version),
                fold: expected.version,
                last: history.last_offset,
                is_last: expected.version == history.version,
                equal: found == Some(expected),
                passed: (self.before.directory, self.after.directory),
            };
            self.judge(*key, &found, checks);
        }
    }

    fn judge(&self, id: Uuid, found: &Found, checks: &mut Checks) {
        let Found { rule, what, at, fold, last, equal, .. } = *found;
        let (before, after) = found.passed;
        let example = || format!("{id}: {what} at {at}, fold at {fold}");
        if at == fold || (at > fold && self.is_end) || (at < fold && before > last) {
            checks.note(rule, equal, example);
        }
        if before > last {
            checks.note(Rule::ReadYourWrites, at >= fold, || {
                format!("{id}: {what} at {at}, though {before} is passed and {last} made it {fold}")
            });
        }
        if at >= fold && found.is_last {
            checks.note(Rule::Rows, after > last, || {
                format!("{id}: {what} at {at}, of an event at {last}, and {after} is applied")
            });
        }
    }

    fn snapshot(&self, id: Uuid, history: &History) -> Found {
        let state = self.stored.states.get(&id);
        let equal = state.is_some_and(|state| {
            state.version == history.version
                && state.mall == history.mall
                && state.last_offset == history.last_offset
                && state.state == history.state
        });
        Found {
            rule: Rule::Snapshot,
            what: "snapshot",
            at: state.map_or(0, |state| state.version),
            equal,
            passed: (self.before.snapshot, self.after.snapshot),
            ..Found::none(history)
        }
    }

    /// Rows of the history are written once, so what they add up to says whether any is missing or
    /// another. What an event says is not compared: a build writes down what it knows of it.
    fn history(&self, id: Uuid, history: &History) -> Found {
        let extent = self.stored.extents.get(&id).copied().unwrap_or_default();
        Found {
            rule: Rule::Rows,
            what: "history",
            at: extent.version,
            equal: extent == history.extent,
            passed: (self.before.history, self.after.history),
            ..Found::none(history)
        }
    }

    fn product(&self, id: Uuid, history: &History) -> Found {
        let row = self.stored.rows.get(&ProductId(id));
        Found {
            rule: Rule::Rows,
            what: "row",
            at: row.map_or(0, |row| row.version),
            equal: row == history.row.as_ref(),
            passed: (self.before.products, self.after.products),
            ..Found::none(history)
        }
    }

    /// A document is compared with the rows; how new it must be, the log says.
    fn judge_document(&self, id: Uuid, history: &History, checks: &mut Checks) {
        let Some((before, _)) = self.before.search.zip(self.after.search) else { return };
        let row = self.stored.rows.get(&ProductId(id));
        let (at, document) = self.stored.document(id);
        let is_passed = before > history.last_offset;
        let rows = row.map_or(0, |row| row.version);
        if at == rows || (is_passed && at < history.version) {
            let expected = self.stored.expected(id, self.brands);
            checks.note(Rule::Documents, document == expected.as_ref(), || {
                format!("{id}: document at {at}, row at {rows}")
            });
        }
        if is_passed {
            checks.note(Rule::ReadYourWrites, at >= history.version, || {
                let (fold, last) = (history.version, history.last_offset);
                format!(
                    "{id}: document at {at}, though {before} is passed and {last} made it {fold}"
                )
            });
        }
    }
}

impl Found {
    /// Nothing, of what the log has made so.
    fn none(history: &History) -> Self {
        Self {
            rule: Rule::Rows,
            what: "",
            at: 0,
            fold: history.version,
            last: history.last_offset,
            is_last: true,
            equal: false,
            passed: (0, 0),
        }
    }
}

/// At rest no store holds more products than the log; nothing is said where something was appended
/// since.
pub(super) fn count(pass: &mut Pass<'_>) -> anyhow::Result<()> {
    let (observer, expected) = (pass.observer, pass.products);
    let rows = observer.runtime.block_on(products::count(&observer.db, &observer.tables))?;
    let documents = observer.runtime.block_on(documents(observer))?;
    // Asked for last: whatever was counted is of an event before these ends.
    if !pass.is_still(&observer.log.ends()?) {
        return Ok(());
    }
    let checks = &mut pass.checks;
    checks.note(Rule::Rows, rows == expected, || format!("{rows} rows, {expected} products"));
    if let Some(documents) = documents {
        checks.note(Rule::Documents, documents == expected, || {
            format!("{documents} documents, {expected} products")
        });
    }
    Ok(())
}

async fn documents(observer: &Observer) -> anyhow::Result<Option<u64>> {
    let Some(version) = observer.search.live().await? else { return Ok(None) };
    observer.search.refresh(version).await?;
    Ok(Some(observer.search.count(version).await?))
}
