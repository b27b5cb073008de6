//! Looking things up in the directory.

use std::collections::HashMap;

use domain::{MallId, PartnerId};
use sqlx::{MySqlConnection, MySqlExecutor, mysql::MySqlRow};
use uuid::Uuid;

use super::{Directory, EntryKind, EntryRow, EntryState, key_of, read};
use crate::{
    Page, Pool, column::Columns, error::Error, projection::Projection, store, table::Tables,
};

/// The entry `id` of `kind` in `mall`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn by_id(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    kind: EntryKind,
    id: Uuid,
) -> Result<Option<EntryRow>, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "SELECT * FROM {table} WHERE mall = ? AND kind = ? AND id = ?";
    let query = sqlx::query(table.statement(text, 0, 0));
    let query = query.bind(mall.as_str()).bind(kind.as_str()).bind(id.as_bytes().as_slice());
    query.fetch_optional(db).await?.as_ref().map(read).transpose()
}

/// The entries among the rows of `keys` that exist, of whichever mall.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn by_keys(
    db: &mut MySqlConnection,
    tables: &Tables,
    keys: &[Uuid],
) -> Result<Vec<EntryRow>, Error> {
    let table = tables.table(Directory::NAME)?;
    let mut entries = Vec::with_capacity(keys.len());
    for keys in keys.chunks(store::MOST_KEYS) {
        for row in store::select(db, &table, Directory::LOAD, keys).await? {
            entries.push(read(&row)?);
        }
    }
    Ok(entries)
}

/// At most `limit` entries of `kind` in `mall`, in the order of their ids, beginning after `after`;
/// those in one state only where that is asked for.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn page(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    (mall, kind, state): (&MallId, EntryKind, Option<EntryState>),
    after: Uuid,
    limit: u32,
) -> Result<Page<EntryRow, Uuid>, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "SELECT * FROM {table} WHERE mall = ? AND kind = ? AND id > ? \
                AND (? IS NULL OR state = ?) ORDER BY id LIMIT ?";
    let state = state.map(EntryState::as_str);
    let query = sqlx::query(table.statement(text, 0, 0)).bind(mall.as_str()).bind(kind.as_str());
    let query = query.bind(after.as_bytes().as_slice()).bind(state).bind(state);
    let rows = query.bind(u64::from(limit) + 1).fetch_all(db).await?;
    let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |row| row.id))
}

/// All categories of `mall`, in the order of their ids.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn categories(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
) -> Result<Vec<EntryRow>, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "SELECT * FROM {table} WHERE mall = ? AND kind = ? ORDER BY id";
    let query = sqlx::query(table.statement(text, 0, 0)).bind(mall.as_str());
    let rows = query.bind(EntryKind::Category.as_str()).fetch_all(db).await?;
    rows.iter().map(read).collect()
}

/// How many events have made the categories of `mall` what they are; 0 where there are none.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn tree_version(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
) -> Result<i64, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "SELECT MAX(version) FROM {table} WHERE mall = ? AND kind = ?";
    let query = sqlx::query_scalar(table.statement(text, 0, 0)).bind(mall.as_str());
    let version: Option<i64> = query.bind(EntryKind::Category.as_str()).fetch_one(db).await?;
    Ok(version.unwrap_or_default())
}

/// The partners of `mall` that may not sell for the moment.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn suspended(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
) -> Result<Vec<PartnerId>, Error> {
    let table = tables.table(Directory::NAME)?;
    let text = "SELECT id FROM {table} WHERE mall = ? AND kind = ? AND state = ?";
    let query = sqlx::query(table.statement(text, 0, 0)).bind(mall.as_str());
    let query = query.bind(EntryKind::Partner.as_str()).bind(EntryState::Suspended.as_str());
    ids(&query.fetch_all(db).await?, PartnerId)
}

/// Those of `ids` that are of `kind` in `mall`.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn by_ids(
    db: &Pool,
    tables: &Tables,
    mall: &MallId,
    kind: EntryKind,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, EntryRow>, Error> {
    let keys: Vec<Uuid> = ids.iter().map(|&id| key_of(mall, kind, id)).collect();
    let entries = by_keys(&mut *db.acquire().await?, tables, &keys).await?;
    let own = entries.into_iter().filter(|entry| entry.mall == *mall && entry.kind == kind);
    Ok(own.map(|entry| (entry.id, entry)).collect())
}

fn ids<Id>(rows: &[MySqlRow], id: fn(Uuid) -> Id) -> Result<Vec<Id>, Error> {
    rows.iter().map(|row| Columns(row).uuid("id").map(id)).collect()
}
