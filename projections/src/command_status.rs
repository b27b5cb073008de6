//! What became of each command.

use domain::{CommandId, MallId, Timestamp};
use schemas::{CATALOG, DecisionMessage, Topic, Verdict};
use serde::Serialize;
use sqlx::{
    MySqlConnection, MySqlExecutor, error::BoxDynError, mysql::MySqlArguments, mysql::MySqlRow,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    column::{Columns, Values},
    error::Error,
    fact::{EventHead, Fact, Logged},
    pool::Pool,
    projection::{Fault, Projection},
    store,
    table::{TableName, Tables},
};

/// The decision of a command: the table's columns and the JSON answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CommandStatusRow {
    /// The command.
    pub command_id: CommandId,
    /// The mall it was for.
    #[schema(value_type = String)]
    pub mall: MallId,
    /// The aggregate it was for.
    pub aggregate_id: Uuid,
    /// Tells two bodies under one key apart.
    #[serde(skip)]
    pub body_hash: String,
    /// What was concluded.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    /// The stable code of a rejection.
    pub code: Option<String>,
    /// What to mend, for a person.
    pub detail: Option<String>,
    /// The aggregate's version after the decision.
    pub version: i64,
    /// The partition of its events.
    #[serde(skip)]
    pub partition: i32,
    /// The log position of its last event; -1 where there is none, or it is not known.
    #[serde(skip)]
    pub offset: i64,
    /// When it was decided.
    pub decided_at: Timestamp,
}

/// The read model.
pub struct CommandStatus;

impl Projection for CommandStatus {
    type State = CommandStatusRow;
    type Row = CommandStatusRow;

    const NAME: &'static str = "command_status";
    const TOPICS: &'static [Topic] = &[CATALOG.events, CATALOG.decisions];
    const CREATE: &'static str = "CREATE TABLE IF NOT EXISTS {table} (
        command_id BINARY(16) NOT NULL PRIMARY KEY,
        mall VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        aggregate_id BINARY(16) NOT NULL,
        body_hash TEXT NOT NULL,
        verdict VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        code TEXT,
        detail MEDIUMTEXT,
        version BIGINT NOT NULL,
        partition_no INT NOT NULL,
        last_offset BIGINT NOT NULL,
        decided_at BIGINT NOT NULL,
        KEY by_age (decided_at)
    ) DEFAULT CHARSET = utf8mb4";
    const LOAD: &'static str = "SELECT * FROM {table} WHERE command_id IN ({values})";
    const STORE: &'static str = "INSERT INTO {table} (command_id, mall, aggregate_id, body_hash, \
        verdict, code, detail, version, partition_no, last_offset, decided_at) VALUES {values} \
        AS new ON DUPLICATE KEY UPDATE mall = new.mall, aggregate_id = new.aggregate_id, \
        body_hash = new.body_hash, verdict = new.verdict, code = new.code, detail = new.detail, \
        version = new.version, partition_no = new.partition_no, last_offset = new.last_offset, \
        decided_at = new.decided_at";
    const WIDTH: usize = 11;
    // The log drops decisions after 7 days, and rows are deleted some time after that.
    const COMPARED: &'static str = "decided_at > {now} - 601200000";

    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault> {
        let command = match &logged.fact {
            Fact::Decision(decision) => Some(decision.origin.command.0),
            // A newer kind of decision: its command stays unresolved here, and is not lost.
            Fact::Unknown { record } if logged.topic == CATALOG.decisions.name => {
                tracing::warn!(record, logged.offset, "an unknown decision is skipped");
                None
            }
            Fact::Unknown { record } => return Err(Fault::Unknown(record.clone())),
            fact => fact.event_head().map(|head| head.origin.command.0),
        };
        Ok(command)
    }

    fn apply(row: Option<CommandStatusRow>, logged: &Logged) -> Result<CommandStatusRow, Fault> {
        apply(row, logged)
    }

    fn read(row: &MySqlRow) -> Result<(Uuid, CommandStatusRow), Error> {
        read(row).map(|row| (row.command_id.0, row))
    }

    fn rows(state: &CommandStatusRow) -> &[CommandStatusRow] {
        std::slice::from_ref(state)
    }

    fn write(row: &CommandStatusRow, to: &mut MySqlArguments) -> Result<(), BoxDynError> {
        let mut values = Values(to);
        values.uuid(&row.command_id.0)?.add(row.mall.as_str())?.uuid(&row.aggregate_id)?;
        values.add(&*row.body_hash)?.add(row.verdict.as_str())?;
        values.add(row.code.as_deref())?.add(row.detail.as_deref())?;
        values.add(row.version)?.add(row.partition)?.add(row.offset)?.add(row.decided_at.0)?;
        Ok(())
    }
}

/// Takes a decision in, whichever way the log tells of it.
///
/// Events and decisions arrive in any order between the two topics, so what an event says wins
/// over a decision wherever both tell of one command. Of several events the last is kept, of
/// several decisions the first, as a retry met it.
fn apply(row: Option<CommandStatusRow>, logged: &Logged) -> Result<CommandStatusRow, Fault> {
    match (&logged.fact, row) {
        (Fact::Decision(_), Some(row)) => Ok(row),
        (Fact::Decision(decision), None) => Ok(decided(decision, logged.partition)),
        (fact, _) => match fact.event_head() {
            Some(head) => Ok(accepted(head, logged)),
            None => Err(Fault::Unknown("neither an event nor a decision".to_owned())),
        },
    }
}

fn accepted(head: EventHead<'_>, logged: &Logged) -> CommandStatusRow {
    CommandStatusRow {
        command_id: head.origin.command,
        mall: head.origin.mall.clone(),
        aggregate_id: head.origin.aggregate,
        body_hash: head.origin.body_hash.clone(),
        verdict: Verdict::Accepted,
        code: None,
        detail: None,
        version: head.version,
        partition: logged.partition,
        offset: logged.offset,
        decided_at: head.time,
    }
}

fn decided(decision: &DecisionMessage, partition: i32) -> CommandStatusRow {
    let DecisionMessage { origin, time, body } = decision;
    CommandStatusRow {
        command_id: origin.command,
        mall: origin.mall.clone(),
        aggregate_id: origin.aggregate,
        body_hash: origin.body_hash.clone(),
        verdict: body.verdict,
        code: body.code.clone(),
        detail: body.detail.clone(),
        version: body.version,
        partition,
        offset: body.last_event_offset,
        decided_at: *time,
    }
}

fn read(row: &MySqlRow) -> Result<CommandStatusRow, Error> {
    let columns = Columns(row);
    let verdict: String = columns.get("verdict")?;
    Ok(CommandStatusRow {
        command_id: CommandId(columns.uuid("command_id")?),
        mall: columns.mall("mall")?,
        aggregate_id: columns.uuid("aggregate_id")?,
        body_hash: columns.get("body_hash")?,
        verdict: Verdict::try_from(verdict).map_err(|e| Error::corrupt("verdict", e))?,
        code: columns.get("code")?,
        detail: columns.get("detail")?,
        version: columns.get("version")?,
        partition: columns.get("partition_no")?,
        offset: columns.get("last_offset")?,
        decided_at: columns.time("decided_at")?,
    })
}

/// The decision of the command `id` of `mall`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn by_id(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    id: CommandId,
) -> Result<Option<CommandStatusRow>, Error> {
    let table = tables.table(CommandStatus::NAME)?;
    let text = table.statement("SELECT * FROM {table} WHERE command_id = ? AND mall = ?", 0, 0);
    let query = sqlx::query(text).bind(id.0.as_bytes().as_slice()).bind(mall.as_str());
    query.fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// The decisions among `ids` that are known in `mall`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn of_mall(
    db: &Pool,
    tables: &Tables,
    mall: &MallId,
    ids: &[CommandId],
) -> Result<Vec<CommandStatusRow>, Error> {
    let table = tables.table(CommandStatus::NAME)?;
    let mut rows = by_ids(&mut *db.acquire().await?, &table, ids).await?;
    rows.retain(|row| row.mall == *mall);
    Ok(rows)
}

/// The decisions among `ids` that are known, of any mall; for processes, never for a request.
pub(crate) async fn by_ids(
    db: &mut MySqlConnection,
    table: &TableName,
    ids: &[CommandId],
) -> Result<Vec<CommandStatusRow>, Error> {
    let keys: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut found = Vec::new();
    for keys in keys.chunks(store::MOST_KEYS) {
        for row in store::select(db, table, CommandStatus::LOAD, keys).await? {
            found.push(read(&row)?);
        }
    }
    Ok(found)
}

/// Deletes at most `most` rows of `version` that were decided before `before`; returns how many.
/// Small pieces, so that no projector waits long for the locks.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn prune(db: &Pool, version: i32, before: Timestamp, most: u32) -> Result<u64, Error> {
    let table = TableName::of(CommandStatus::NAME, version)?;
    let text = "DELETE FROM {table} WHERE decided_at < ? ORDER BY decided_at LIMIT ?";
    let query = sqlx::query(table.statement(text, 0, 0)).bind(before.0).bind(most);
    Ok(query.execute(db).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::given::{decision, event, folded, id, logged, newer, registered, renamed};
    use crate::projection::{States, fold};

    #[test]
    fn a_command_is_accepted_by_its_last_event_or_concluded_by_its_decision() {
        let states = folded::<CommandStatus>(vec![
            event(1, 1, 11, registered("lamp")),
            event(1, 2, 11, renamed("light")),
            decision(1, 12, Verdict::Rejected),
            newer(1, 3, 13),
        ])
        .unwrap();
        let row = |command| states[&id(command)].clone().unwrap();
        assert_eq!((row(11).verdict, row(11).version, row(11).offset), (Verdict::Accepted, 2, 1));
        assert_eq!((row(12).verdict, row(12).version, row(12).offset), (Verdict::Rejected, 4, 17));
        assert_eq!(row(12).code.as_deref(), Some("BLANK_NAME"));
        assert_eq!(row(13).verdict, Verdict::Accepted);
    }

    #[test]
    fn an_unknown_decision_is_skipped_and_an_unreadable_event_is_not() {
        let mut records = logged(vec![crate::given::unknown()]);
        assert!(fold::<CommandStatus>(States::<CommandStatus>::new(), &records).is_err());
        records[0].topic = CATALOG.decisions.name.to_owned();
        let states = fold::<CommandStatus>(States::<CommandStatus>::new(), &records);
        assert!(states.is_ok_and(|states| states.is_empty()));
    }

    /// What may stand in the two topics: (version, command) of events, (command, verdict) of
    /// decisions, commands overlapping on purpose.
    fn topics() -> impl Strategy<Value = (Vec<u128>, Vec<(u128, bool)>)> {
        (
            prop::collection::vec(0..6_u128, 0..12),
            prop::collection::vec((0..6_u128, any::<bool>()), 0..12),
        )
    }

    proptest! {
        #[test]
        fn the_fold_commutes_between_topics(
            (events, decisions) in topics(),
            turns in prop::collection::vec(any::<bool>(), 24),
        ) {
            let events = (1..).zip(events).map(|(v, command)| event(1, v, command, renamed("x")));
            let events = logged(events.collect());
            let verdict = |no: bool| if no { Verdict::Rejected } else { Verdict::Unchanged };
            let decisions = decisions.into_iter().map(|(c, no)| decision(1, c, verdict(no)));
            let decisions = logged(decisions.collect());
            let one_after_the_other = [events.clone(), decisions.clone()].concat();
            let shuffled = merge(events, decisions, turns);
            let after = |records: Vec<Logged>| {
                fold::<CommandStatus>(States::<CommandStatus>::new(), &records).ok()
            };
            let (expected, found) = (after(one_after_the_other), after(shuffled));
            prop_assert!(expected.is_some());
            prop_assert_eq!(expected, found);
        }
    }

    /// Both lists in their own order, taken from in turns.
    fn merge(left: Vec<Logged>, right: Vec<Logged>, turns: Vec<bool>) -> Vec<Logged> {
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        let mut turns = turns.into_iter().cycle();
        let mut merged = vec![];
        while left.peek().is_some() || right.peek().is_some() {
            let first = turns.next().unwrap_or_default();
            let next = if first {
                left.next().or_else(|| right.next())
            } else {
                right.next().or_else(|| left.next())
            };
            merged.extend(next);
        }
        merged
    }
}
