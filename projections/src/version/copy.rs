//! A version begun as a copy of another: its rows as of one moment, and the checkpoints of that
//! moment. Whoever feeds the other one meanwhile is not held up: nothing of it is locked.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use sqlx::{
    Arguments as _, AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, Row as _,
    mysql::{MySqlArguments, MySqlRow},
};
use tokio::task::JoinSet;

use super::{COPYING, all, keys};
use crate::{checkpoint, error::Error, pool::Pool, projection::AnyProjection, table::TableName};

/// Pieces on their way into the copy at a time.
const WRITERS: usize = 2;
/// Keys read at a time, at most.
const KEYS: usize = 2048;
/// Bytes and placeholders of a statement, about: the server takes 64 MiB, and 65,535.
const BYTES: usize = 4 << 20;
const PLACEHOLDERS: usize = 60_000;
/// The connections wait for each other, longer than those of the pool do for anything.
const PATIENT: &str = "SET SESSION wait_timeout = 86400";

/// Makes `to`, which is not there or was begun as a copy, a copy of `from`. What was copied before is
/// begun anew: the moment that it was of is gone. Until all is there, `to` is nobody's version; from
/// then on it is one that has not been fed for a while. At most `throttle` rows are copied in a
/// second, with their secondary keys, which are left out without a throttle; `pass` is told how many
/// rows they are by now.
///
/// # Errors
/// [`Error::OtherShape`] where `from` is not as this build writes it, [`Error::NotActive`] where it
/// is not there, or nothing is applied to it; [`Error::Begun`] where `to` is filled from the log;
/// [`Error`] when the server refuses, or `to` is dropped meanwhile.
pub async fn copy(
    db: &Pool,
    projection: &dyn AnyProjection,
    (from, to): (i32, i32),
    throttle: Option<NonZeroU32>,
    pass: impl FnMut(u64),
) -> Result<(), Error> {
    let name = projection.name();
    let tables = (TableName::of(name, from)?, TableName::of(name, to)?);
    // Another that copies, too, is waited for.
    let mut alone = keys::alone(db, &tables.1).await?;
    alone.execute(PATIENT).await?;
    let known = all(&mut alone).await?;
    match known.iter().find(|of| (of.projection, of.version) == (name, from)) {
        Some(of) if of.ours => {}
        Some(_) => return Err(Error::OtherShape(tables.0.to_string())),
        None => return Err(Error::NotActive(name.to_owned())),
    }
    begin(&mut alone, projection, &tables.1).await?;
    if throttle.is_none() {
        keys::drop_keys(&mut alone, projection, &tables.1).await?;
    }

    let mut moment = db.acquire().await?.detach();
    for text in [
        PATIENT,
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ] {
        moment.execute(text).await?;
    }
    let checkpoints = checkpoint::read_all(&mut moment, name, from).await?;
    if checkpoints.is_empty() {
        return Err(Error::NotActive(name.to_owned()));
    }
    rows(db, &mut moment, &tables, throttle, pass).await?;
    moment.close().await?;

    let mut transaction = alone.begin().await?;
    let text = "UPDATE shapes SET shape = ? WHERE table_name = ? AND shape = ?";
    let shape = sqlx::query(text).bind(projection.shape()).bind(tables.1.to_string()).bind(COPYING);
    if shape.execute(&mut *transaction).await?.rows_affected() != 1 {
        return Err(Error::Begun(tables.1.to_string()));
    }
    for (partition, at) in checkpoints {
        checkpoint::begin(&mut *transaction, name, to, partition, &at).await?;
    }
    transaction.commit().await?;
    alone.close().await?;
    Ok(())
}

/// About how many rows a version has, as the server believes.
///
/// # Errors
/// [`Error`] when the server refuses, or the version is none.
pub async fn about(db: &Pool, projection: &dyn AnyProjection, version: i32) -> Result<u64, Error> {
    let table = TableName::of(projection.name(), version)?;
    let text = "SELECT table_rows FROM information_schema.tables \
                WHERE table_schema = DATABASE() AND table_name = ?";
    let rows: Option<Option<u64>> =
        sqlx::query_scalar(text).bind(table.to_string()).fetch_optional(db).await?;
    Ok(rows.flatten().unwrap_or_default())
}

/// An empty table, which is marked so that nobody takes it for a version.
async fn begin(
    db: &mut MySqlConnection,
    projection: &dyn AnyProjection,
    table: &TableName,
) -> Result<(), Error> {
    let mark = "INSERT INTO shapes (table_name, shape, ready) VALUES (?, ?, FALSE) AS new \
                ON DUPLICATE KEY UPDATE ready = shapes.ready";
    sqlx::query(mark).bind(table.to_string()).bind(COPYING).execute(&mut *db).await?;
    let marked = "SELECT shape FROM shapes WHERE table_name = ?";
    let marked: String =
        sqlx::query_scalar(marked).bind(table.to_string()).fetch_one(&mut *db).await?;
    if marked != COPYING {
        return Err(Error::Begun(table.to_string()));
    }
    db.execute(table.statement("DROP TABLE IF EXISTS {table}", 0, 0)).await?;
    db.execute(table.statement(projection.table(), 0, 0)).await?;
    Ok(())
}

async fn rows(
    db: &Pool,
    moment: &mut MySqlConnection,
    (from, to): &(TableName, TableName),
    throttle: Option<NonZeroU32>,
    mut pass: impl FnMut(u64),
) -> Result<(), Error> {
    let source = Source::of(moment, from).await?;
    let (mut after, mut count, mut size) = (vec![], 0, 1);
    let mut writing = JoinSet::new();
    loop {
        let began = Instant::now();
        // As many keys as are likely to fit.
        let (rows, upto) = source.page(moment, &after, (BYTES / size).clamp(1, KEYS)).await?;
        let (read, mut bytes) = (rows.len(), 0);
        for piece in source.pieces(&rows)? {
            bytes += piece.bytes;
            while writing.len() >= WRITERS {
                written(writing.join_next().await)?;
            }
            let (db, text) = (db.clone(), source.insertion(to, piece.rows));
            writing.spawn(async move {
                let query = sqlx::query_with(AssertSqlSafe(text), piece.values).persistent(false);
                query.execute(&db).await.map(drop)
            });
        }
        size = (bytes / read.max(1)).max(1);
        count += read as u64;
        pass(count);
        let Some(upto) = upto else { break };
        after = upto;
        let share = |most: NonZeroU32| read as f64 / f64::from(most.get());
        let due = Duration::from_secs_f64(throttle.map_or(0.0, share));
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
    }
    while !writing.is_empty() {
        written(writing.join_next().await)?;
    }
    Ok(())
}

/// What came of a statement, where one was waited for.
fn written(
    ended: Option<Result<Result<(), sqlx::Error>, tokio::task::JoinError>>,
) -> Result<(), Error> {
    match ended {
        Some(ended) => Ok(ended.map_err(|_| sqlx::Error::WorkerCrashed)??),
        None => Ok(()),
    }
}

/// The table that is copied.
struct Source {
    table: TableName,
    /// The first column of the primary key, by which pages are cut.
    first: String,
    /// Those that are not computed from others.
    columns: Vec<Column>,
}

struct Column {
    name: String,
    /// Whether it holds bytes, and no text or number.
    is_binary: bool,
}

/// Rows of one statement.
struct Piece {
    values: MySqlArguments,
    rows: usize,
    bytes: usize,
}

impl Source {
    async fn of(db: &mut MySqlConnection, table: &TableName) -> Result<Self, Error> {
        let text = "SELECT column_name, data_type LIKE '%binary' OR data_type LIKE '%blob', \
                    column_key = 'PRI' FROM information_schema.columns \
                    WHERE table_schema = DATABASE() AND table_name = ? AND generation_expression = '' \
                    ORDER BY ordinal_position";
        let found: Vec<(String, bool, bool)> =
            sqlx::query_as(text).bind(table.to_string()).fetch_all(db).await?;
        let first = found.iter().find(|(_, _, is_primary)| *is_primary);
        let first = first.ok_or_else(|| Error::NoSuchTable(table.to_string()))?.0.clone();
        let column = |(name, is_binary, _)| Column { name, is_binary };
        let columns = found.into_iter().map(column).collect();
        Ok(Self { table: table.clone(), first, columns })
    }

    /// The rows of the next keys, and the last of these unless no other row follows.
    async fn page(
        &self,
        db: &mut MySqlConnection,
        after: &[u8],
        keys: usize,
    ) -> Result<(Vec<MySqlRow>, Option<Vec<u8>>), Error> {
        let Self { table, first, columns } = self;
        let text = format!(
            "SELECT `{first}` FROM {table} WHERE `{first}` > ? ORDER BY `{first}` LIMIT 1 OFFSET {}",
            keys - 1
        );
        let upto: Option<Vec<u8>> =
            sqlx::query_scalar(AssertSqlSafe(text)).bind(after).fetch_optional(&mut *db).await?;
        let read = |Column { name, is_binary }: &Column| match is_binary {
            true => format!("`{name}`"),
            false => format!("CAST(`{name}` AS CHAR)"),
        };
        let text = format!(
            "SELECT {} FROM {table} WHERE `{first}` > ? AND `{first}` <= ? ORDER BY `{first}`",
            columns.iter().map(read).collect::<Vec<_>>().join(", ")
        );
        // Beyond every key: they are of 16 bytes.
        let last = upto.clone().unwrap_or_else(|| vec![u8::MAX; 17]);
        let rows = sqlx::query(AssertSqlSafe(text)).bind(after).bind(last).fetch_all(db).await?;
        Ok((rows, upto))
    }

    fn pieces(&self, rows: &[MySqlRow]) -> Result<Vec<Piece>, Error> {
        let empty = || Piece { values: MySqlArguments::default(), rows: 0, bytes: 0 };
        let (mut pieces, mut piece) = (vec![], empty());
        for row in rows {
            for (at, column) in self.columns.iter().enumerate() {
                let value: Option<&[u8]> = row.try_get_unchecked(at)?;
                piece.bytes += value.map_or(0, <[u8]>::len) + 4;
                let text =
                    |bytes| std::str::from_utf8(bytes).map_err(|e| Error::corrupt("a row", e));
                let added = match column.is_binary {
                    true => piece.values.add(value),
                    false => piece.values.add(value.map(text).transpose()?),
                };
                added.map_err(sqlx::Error::Encode)?;
            }
            piece.rows += 1;
            if piece.bytes >= BYTES || (piece.rows + 1) * self.columns.len() > PLACEHOLDERS {
                pieces.push(std::mem::replace(&mut piece, empty()));
            }
        }
        pieces.extend(Some(piece).filter(|piece| piece.rows > 0));
        Ok(pieces)
    }

    fn insertion(&self, to: &TableName, rows: usize) -> String {
        let names: Vec<String> = self.columns.iter().map(|of| format!("`{}`", of.name)).collect();
        let row = format!("({})", vec!["?"; names.len()].join(","));
        format!("INSERT INTO {to} ({}) VALUES {}", names.join(", "), vec![row; rows].join(","))
    }
}
