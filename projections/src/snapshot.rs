//! The state of each aggregate as its commands need it, so that an owner can begin cold.

use std::collections::{BTreeMap, HashMap};

use domain::{Aggregate, CommandId, MallId, catalog::State};
use schemas::{CATALOG, Topic};
use sqlx::{MySqlConnection, error::BoxDynError, mysql::MySqlArguments, mysql::MySqlRow};
use uuid::Uuid;

use crate::{
    Checkpoint, EngineError, Extent, checkpoint,
    column::{Columns, Values, json_size},
    command_status::{self, CommandStatus, CommandStatusRow},
    engine::compare,
    error::Error,
    fact::{Fact, Logged},
    pool::Pool,
    projection::{Fault, Projection, follows},
    store,
    table::Tables,
};

/// An aggregate as of its last applied event.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The mall whose data it is.
    pub mall: MallId,
    /// How many events have made it what it is.
    pub version: i64,
    /// The log position of the last of them.
    pub last_offset: i64,
    /// The fold of them.
    pub state: State,
}

/// How far the read models that an owner relies on have come in one partition: the next offset of
/// each topic, 0 where nothing was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// Of the events, by the snapshot.
    pub snapshot: i64,
    /// Of the events, by the command status.
    pub status_events: i64,
    /// Of the decisions, by the command status.
    pub status_decisions: i64,
}

/// What an owner asked for, at least as new as `covered` says.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What was applied of each partition when the states were about to be read.
    pub covered: BTreeMap<i32, Covered>,
    /// The aggregates that exist.
    pub states: HashMap<Uuid, Stored>,
    /// The decisions that are known.
    pub decisions: HashMap<CommandId, CommandStatusRow>,
}

/// The key and the state: a row of the table.
#[derive(Clone, Debug)]
pub struct Row {
    aggregate: Uuid,
    stored: Stored,
}

/// The read model.
pub struct Snapshot;

impl Projection for Snapshot {
    type State = Row;
    type Row = Row;

    const NAME: &'static str = "snapshot";
    const TOPICS: &'static [Topic] = &[CATALOG.events];
    const CREATE: &'static str = "CREATE TABLE IF NOT EXISTS {table} (
        aggregate_id BINARY(16) NOT NULL PRIMARY KEY,
        mall VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        kind VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        version BIGINT NOT NULL,
        last_offset BIGINT NOT NULL,
        state MEDIUMTEXT NOT NULL
    ) DEFAULT CHARSET = utf8mb4";
    const LOAD: &'static str = "SELECT * FROM {table} WHERE aggregate_id IN ({values})";
    const STORE: &'static str = "INSERT INTO {table} (aggregate_id, mall, kind, version, \
        last_offset, state) VALUES {values} AS new ON DUPLICATE KEY UPDATE \
        version = new.version, last_offset = new.last_offset, state = new.state";
    const WIDTH: usize = 6;
    const FORMAT: &'static str = "2";

    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault> {
        match &logged.fact {
            // A decision that missed what a newer event changed would be a wrong one.
            Fact::NewerEvent { record, critical: true, .. } => Err(Fault::Unknown(record.clone())),
            _ => logged.aggregate(),
        }
    }

    fn apply(row: Option<Row>, logged: &Logged) -> Result<Row, Fault> {
        let head = logged.fact.event_head();
        let Some(head) = head else { return Err(Fault::Unknown("no event".to_owned())) };
        let (aggregate, mall) = (head.origin.aggregate, &head.origin.mall);
        let mut row = row.unwrap_or_else(|| Row { aggregate, stored: Stored::before(mall) });
        let stored = &mut row.stored;
        follows(stored.version, head.version)?;
        (stored.version, stored.last_offset) = (head.version, logged.offset);
        match &logged.fact {
            Fact::Event(event) => stored.state.evolve(&event.body, event.of_time()),
            Fact::NewerEvent { record, .. } if stored.state == State::Nothing => {
                return Err(Fault::Unknown(record.clone()));
            }
            _ => {}
        }
        Ok(row)
    }

    fn begins(logged: &Logged) -> bool {
        logged.is_first()
    }

    fn read(row: &MySqlRow) -> Result<(Uuid, Row), Error> {
        read(row).map(|row| (row.aggregate, row))
    }

    fn rows(state: &Row) -> &[Row] {
        std::slice::from_ref(state)
    }

    fn write(row: &Row, to: &mut MySqlArguments) -> Result<(), BoxDynError> {
        let (mut values, stored) = (Values(to), &row.stored);
        values.uuid(&row.aggregate)?.add(stored.mall.as_str())?.add(stored.state.kind())?;
        values.add(stored.version)?.add(stored.last_offset)?.json(&stored.state)?;
        Ok(())
    }

    fn size(row: &Row) -> usize {
        200 + json_size(&row.stored.state)
    }
}

impl Stored {
    /// An aggregate before its first event.
    fn before(mall: &MallId) -> Self {
        Self { mall: mall.clone(), version: 0, last_offset: -1, state: State::default() }
    }
}

fn read(row: &MySqlRow) -> Result<Row, Error> {
    let columns = Columns(row);
    let stored = Stored {
        mall: columns.mall("mall")?,
        version: columns.get("version")?,
        last_offset: columns.get("last_offset")?,
        state: columns.json("state")?,
    };
    Ok(Row { aggregate: columns.uuid("aggregate_id")?, stored })
}

/// How far the read models have come in each of `partitions`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn covered(
    db: &Pool,
    tables: &Tables,
    partitions: &[i32],
) -> Result<BTreeMap<i32, Covered>, Error> {
    let mut connection = db.acquire().await?;
    covered_on(&mut connection, tables, partitions).await
}

/// How far the read models have come in `partition`, after comparing their checkpoints with the
/// `log` as it is now, by topic.
///
/// # Errors
/// [`EngineError::Refused`] when the two do not belong together, [`EngineError::Db`].
pub async fn take(
    db: &Pool,
    tables: &Tables,
    partition: i32,
    log: &BTreeMap<String, Extent>,
) -> Result<Covered, EngineError> {
    let checkpoints = checkpoint::read_several(db, &versions(tables)).await?;
    for (name, topics) in
        [(Snapshot::NAME, Snapshot::TOPICS), (CommandStatus::NAME, CommandStatus::TOPICS)]
    {
        if let Some(stored) = checkpoints.get(&(name.to_owned(), partition)) {
            compare(topics, stored, log)?;
        }
    }
    Ok(Covered::of(&checkpoints, partition))
}

/// The states of `aggregates` and the decisions of `commands`, where there are any; all of them
/// live in `partitions`.
///
/// The checkpoints are read first and the rows after them, so a row may be newer than `covered`
/// says, but never older: whatever an owner still holds beyond `covered`, minus what a state's
/// version already counts, is exactly what the state lacks.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn load(
    db: &Pool,
    tables: &Tables,
    partitions: &[i32],
    aggregates: &[Uuid],
    commands: &[CommandId],
) -> Result<Loaded, Error> {
    let mut connection = db.acquire().await?;
    let covered = covered_on(&mut connection, tables, partitions).await?;
    let table = tables.table(Snapshot::NAME)?;
    let mut states = HashMap::with_capacity(aggregates.len());
    for keys in aggregates.chunks(store::MOST_KEYS) {
        for row in store::select(&mut connection, &table, Snapshot::LOAD, keys).await? {
            let Row { aggregate, stored } = read(&row)?;
            states.insert(aggregate, stored);
        }
    }
    let table = tables.table(CommandStatus::NAME)?;
    let decisions = command_status::by_ids(&mut connection, &table, commands).await?;
    let decisions = decisions.into_iter().map(|row| (row.command_id, row)).collect();
    Ok(Loaded { covered, states, decisions })
}

async fn covered_on(
    db: &mut MySqlConnection,
    tables: &Tables,
    partitions: &[i32],
) -> Result<BTreeMap<i32, Covered>, Error> {
    let checkpoints = checkpoint::read_several(&mut *db, &versions(tables)).await?;
    Ok(partitions.iter().map(|at| (*at, Covered::of(&checkpoints, *at))).collect())
}

/// The read models that an owner relies on.
fn versions(tables: &Tables) -> [(&'static str, i32); 2] {
    [Snapshot::NAME, CommandStatus::NAME].map(|name| (name, tables.version(name)))
}

impl Covered {
    fn of(checkpoints: &BTreeMap<(String, i32), Checkpoint>, partition: i32) -> Self {
        let next = |projection: &str, topic: Topic| {
            let checkpoint = checkpoints.get(&(projection.to_owned(), partition));
            checkpoint.map_or(0, |checkpoint| checkpoint.next(topic.name))
        };
        Self {
            snapshot: next(Snapshot::NAME, CATALOG.events),
            status_events: next(CommandStatus::NAME, CATALOG.events),
            status_decisions: next(CommandStatus::NAME, CATALOG.decisions),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;
    use crate::given::{aside, event, folded, id, newer, registered, renamed, repriced, unknown};

    #[test]
    fn a_state_is_the_fold_of_its_events() {
        let bodies = [registered("lamp"), repriced(3), renamed("light")];
        let mut state = State::default();
        (1..).zip(&bodies).for_each(|(at, body)| state.evolve(body, Timestamp(1000 * at)));
        let facts = (1..).zip(bodies).map(|(version, body)| event(1, version, 11, body)).collect();
        let states = folded::<Snapshot>(facts).unwrap();
        let stored = &states[&id(1)].as_ref().unwrap().stored;
        assert_eq!((stored.version, stored.last_offset, &stored.state), (3, 2, &state));
    }

    #[test]
    fn nothing_is_skipped() {
        let begun = || event(1, 1, 11, registered("lamp"));
        for next in [newer(1, 2, 12), unknown()] {
            let (place, fault) = folded::<Snapshot>(vec![begun(), next]).unwrap_err();
            assert!(place == 1 && matches!(fault, Fault::Unknown(_)), "{fault}");
        }
        let gap = folded::<Snapshot>(vec![begun(), event(1, 3, 12, repriced(1))]).unwrap_err();
        assert_eq!(gap, (1, Fault::Gap { at: 1, found: 3 }));
        assert!(folded::<Snapshot>(vec![aside(1, 1, 11)]).is_err(), "a history begins with it");
    }

    #[test]
    fn what_a_newer_build_calls_uncritical_is_stepped_over() {
        let without = vec![event(1, 1, 11, registered("lamp")), event(1, 2, 12, repriced(3))];
        let mut with = without.clone();
        with.push(aside(1, 3, 13));
        let state =
            |facts| folded::<Snapshot>(facts).unwrap()[&id(1)].as_ref().unwrap().stored.clone();
        let (without, with) = (state(without), state(with));
        assert_eq!((with.version, with.last_offset, with.state), (3, 2, without.state));
    }
}
