//! What happened to each aggregate, event by event.

use std::{collections::HashMap, sync::Arc};

use domain::{CommandId, MallId, Timestamp};
use schemas::{CATALOG, Records, Topic};
use serde::Serialize;
use serde_json::Value;
use sqlx::{
    MySqlConnection, MySqlExecutor, error::BoxDynError, mysql::MySqlArguments, mysql::MySqlRow,
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    column::{Columns, Values},
    error::Error,
    fact::{EventHead, Fact, Logged},
    page::Page,
    projection::{Fault, Projection, follows},
    store,
    table::Tables,
};

/// An event: the table's columns and the JSON answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HistoryRow {
    /// The aggregate it happened to.
    pub aggregate_id: Uuid,
    /// Its number in the aggregate's history, from 1.
    pub version: i64,
    /// The mall whose data it is.
    #[schema(value_type = String)]
    pub mall: MallId,
    /// The full name of its record.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was decided.
    pub at: Timestamp,
    /// Who asked.
    pub actor: String,
    /// The command that caused it.
    pub command_id: CommandId,
    /// Ties together what belongs to one request.
    pub correlation_id: Uuid,
    /// Its content; null where this build did not know the type.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// The end of an aggregate's history, and what is to be added to it.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    version: i64,
    added: Vec<HistoryRow>,
}

/// The read model.
pub struct History;

impl Projection for History {
    type State = Tail;
    type Row = HistoryRow;

    const NAME: &'static str = "history";
    const TOPICS: &'static [Topic] = &[CATALOG.events];
    const CREATE: &'static str = "CREATE TABLE IF NOT EXISTS {table} (
        aggregate_id BINARY(16) NOT NULL,
        version BIGINT NOT NULL,
        mall VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        kind TEXT NOT NULL,
        at BIGINT NOT NULL,
        actor TEXT NOT NULL,
        command_id BINARY(16) NOT NULL,
        correlation_id BINARY(16) NOT NULL,
        data MEDIUMTEXT NOT NULL,
        PRIMARY KEY (aggregate_id, version)
    ) DEFAULT CHARSET = utf8mb4";
    // With placeholders, MAX(version) of a group is not looked up in the primary key: every event
    // of the aggregate is read for it. Ordered by the whole key, the last one is found at once.
    const LOAD: &'static str = "SELECT wanted.aggregate_id, newest.version \
        FROM (SELECT DISTINCT aggregate_id FROM (VALUES {keys}) AS listed (aggregate_id)) \
            AS wanted JOIN LATERAL ( \
            SELECT version FROM {table} AS own WHERE own.aggregate_id = wanted.aggregate_id \
            ORDER BY own.aggregate_id DESC, own.version DESC LIMIT 1 \
        ) AS newest";
    const STORE: &'static str = "INSERT INTO {table} (aggregate_id, version, mall, kind, at, \
        actor, command_id, correlation_id, data) VALUES {values}";
    const WIDTH: usize = 9;

    fn key(logged: &Logged) -> Result<Option<Uuid>, Fault> {
        logged.aggregate()
    }

    fn apply(tail: Option<Tail>, logged: &Logged) -> Result<Tail, Fault> {
        let Some(head) = logged.fact.event_head() else { return Ok(tail.unwrap_or_default()) };
        let mut tail = tail.unwrap_or_default();
        follows(tail.version, head.version)?;
        tail.version = head.version;
        tail.added.push(happened(head, logged));
        Ok(tail)
    }

    fn begins(logged: &Logged) -> bool {
        logged.is_first()
    }

    fn written(tail: Arc<Tail>) -> Arc<Tail> {
        Arc::new(Tail { version: tail.version, added: vec![] })
    }

    fn read(row: &MySqlRow) -> Result<(Uuid, Tail), Error> {
        let columns = Columns(row);
        let version = columns.get("version")?;
        Ok((columns.uuid("aggregate_id")?, Tail { version, added: vec![] }))
    }

    fn rows(state: &Tail) -> &[HistoryRow] {
        &state.added
    }

    fn write(row: &HistoryRow, to: &mut MySqlArguments) -> Result<(), BoxDynError> {
        let mut values = Values(to);
        values.uuid(&row.aggregate_id)?.add(row.version)?.add(row.mall.as_str())?;
        values.add(&*row.kind)?.add(row.at.0)?.add(&*row.actor)?;
        values.uuid(&row.command_id.0)?.uuid(&row.correlation_id)?.json(&row.data)?;
        Ok(())
    }

    // Events are written once and are not larger than the records they came in, give or take.
    fn size(_row: &HistoryRow) -> usize {
        8 << 10
    }
}

fn happened(head: EventHead<'_>, Logged { fact, as_written, .. }: &Logged) -> HistoryRow {
    let (kind, data) = match fact {
        Fact::Event(event) => {
            let mut data = event.body.to_json();
            // What its writer said beyond what this build knows.
            if let (Some(data), Some(Value::Object(written))) = (data.as_object_mut(), as_written) {
                let more = written.iter().filter(|(name, _)| !data.contains_key(*name));
                let more: Vec<_> =
                    more.map(|(name, value)| (name.clone(), value.clone())).collect();
                data.extend(more);
            }
            (event.body.record_name().to_owned(), data)
        }
        Fact::NewerEvent { record, .. } => (record.clone(), as_written.clone().unwrap_or_default()),
        Fact::Decision(_) | Fact::Unknown { .. } => (String::new(), Value::Null),
    };
    HistoryRow {
        aggregate_id: head.origin.aggregate,
        version: head.version,
        mall: head.origin.mall.clone(),
        kind,
        at: head.time,
        actor: head.origin.actor.clone(),
        command_id: head.origin.command,
        correlation_id: head.origin.correlation,
        data,
    }
}

fn read(row: &MySqlRow) -> Result<HistoryRow, Error> {
    let columns = Columns(row);
    Ok(HistoryRow {
        aggregate_id: columns.uuid("aggregate_id")?,
        version: columns.get("version")?,
        mall: columns.mall("mall")?,
        kind: columns.get("kind")?,
        at: columns.time("at")?,
        actor: columns.get("actor")?,
        command_id: CommandId(columns.uuid("command_id")?),
        correlation_id: columns.uuid("correlation_id")?,
        data: columns.json("data")?,
    })
}

/// At most `limit` events of the aggregate `id` of `mall`, oldest first, beginning after the one
/// with the version `after`; the cursor is a version, too.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn page(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    id: Uuid,
    after: i64,
    limit: u32,
) -> Result<Page<HistoryRow, i64>, Error> {
    let table = tables.table(History::NAME)?;
    let text = "SELECT * FROM {table} WHERE aggregate_id = ? AND version > ? AND mall = ? \
                ORDER BY version LIMIT ?";
    let rows = sqlx::query(table.statement(text, 0, 0))
        .bind(id.as_bytes().as_slice())
        .bind(after)
        .bind(mall.as_str())
        .bind(u64::from(limit) + 1)
        .fetch_all(db)
        .await?;
    let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |row| row.version))
}

/// What the table holds of an aggregate, told apart from any other by sums that need no order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many events.
    pub events: i64,
    /// The greatest version among them.
    pub version: i64,
    /// Their commands' ids, each bit added up without carry.
    pub commands: u128,
    /// Their times in milliseconds, added up.
    pub times: i64,
}

impl Extent {
    /// Adds an event.
    pub fn take(&mut self, head: &EventHead<'_>) {
        self.events += 1;
        self.version = self.version.max(head.version);
        self.commands ^= head.origin.command.0.as_u128();
        self.times += head.time.0;
    }
}

/// What the table holds of each of `aggregates`; for processes, never for a request.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn extents(
    db: &mut MySqlConnection,
    tables: &Tables,
    aggregates: &[Uuid],
) -> Result<HashMap<Uuid, Extent>, Error> {
    const EXTENTS: &str = "SELECT aggregate_id, COUNT(*) AS events, MAX(version) AS version, \
        BIT_XOR(command_id) AS commands, CAST(SUM(at) AS SIGNED) AS times \
        FROM {table} WHERE aggregate_id IN ({values}) GROUP BY aggregate_id";
    let table = tables.table(History::NAME)?;
    let mut extents = HashMap::with_capacity(aggregates.len());
    for keys in aggregates.chunks(store::MOST_KEYS) {
        for row in store::select(db, &table, EXTENTS, keys).await? {
            let columns = Columns(&row);
            let extent = Extent {
                events: columns.get("events")?,
                version: columns.get("version")?,
                commands: columns.uuid("commands")?.as_u128(),
                times: columns.get("times")?,
            };
            extents.insert(columns.uuid("aggregate_id")?, extent);
        }
    }
    Ok(extents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::given::{event, folded, id, newer, registered, renamed, repriced};

    #[test]
    fn every_event_is_a_row_in_the_order_of_its_version() {
        let facts = vec![
            event(1, 1, 11, registered("lamp")),
            newer(1, 2, 12),
            event(1, 3, 13, repriced(9)),
        ];
        let states = folded::<History>(facts).unwrap();
        let rows = History::rows(states[&id(1)].as_ref().unwrap());
        let told: Vec<_> = rows.iter().map(|row| (row.version, row.kind.as_str())).collect();
        let expected = [
            (1, "jangbu.catalog.ProductRegistered"),
            (2, "jangbu.catalog.ProductPolished"),
            (3, "jangbu.catalog.ProductRepriced"),
        ];
        assert_eq!(told, expected);
        assert_eq!(rows[2].data["list_price"]["minor"], 9);
    }

    #[test]
    fn a_double_is_never_a_second_row() {
        let facts = vec![event(1, 1, 11, registered("lamp")), event(1, 1, 12, renamed("light"))];
        let fault = Fault::Doubled { at: 1, found: 1 };
        assert_eq!(folded::<History>(facts).unwrap_err(), (1, fault));
    }
}
